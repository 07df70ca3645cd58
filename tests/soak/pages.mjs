/**
 * Real pages, as the shipped client makes them: each joins rooms, sits at a board, cuts its line, closes, comes back.
 * Arguments: the servers' addresses as JSON, a seed. A line on standard input: `calm` ends the coming and going, `state`
 * writes what every page shows as one line of JSON, `end` ends the process.
 */
import { createInterface } from 'node:readline';
import { io } from 'socket.io-client';
import { createBoardClient } from '../../server/web/client/board-client.js';
import { createPresenceClient } from '../../server/web/client/presence-client.js';

const [urls, seed] = [JSON.parse(process.argv[2]), Number(process.argv[3])];
const ROOMS = ['a', 'b', 'c', 'd'];
const BOARDS = ['x', 'y'];
const PAGES = 24;
const USERS = 14; // some have two pages

/** Numbers from 0 to 1 that a seed repeats: a linear congruential generator. */
function dice(state) {
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

let calm = false;

class Page {
  constructor(number) {
    this.user = `u${number % USERS}`;
    this.random = dice(seed * PAGES + number);
    this.open();
  }

  below = (n) => Math.floor(this.random() * n);
  pick = (all) => all[this.below(all.length)];

  open() {
    const transports = this.random() < 0.7 ? ['websocket'] : ['polling', 'websocket'];
    const auth = { userId: this.user };
    this.socket = io(this.pick(urls), { auth, transports, forceNew: true, reconnectionDelay: 100, reconnectionDelayMax: 500 });
    this.client = createPresenceClient(this.socket, { heartbeatInterval: 700, rejoin: this.pick(['always', 'never']) });
    this.board = null;
  }

  close() {
    this.board?.close();
    if (this.random() < 0.4) this.client.close();
    else this.cut();
    this.socket.disconnect();
  }

  /** As a network that goes away; socket.io does not come back from a line that was still being made. */
  cut() {
    if (this.socket.connected) this.socket.io.engine.close();
  }

  joined = () => this.client.rooms.filter((room) => room.joins);

  deeds = [
    ...Array(6).fill(() => this.client.joinRoom(this.pick(ROOMS), { userId: this.user, data: { n: this.below(9) } })),
    ...Array(4).fill(() => this.pick(this.joined())?.leave({ everywhere: this.random() < 0.1 })),
    ...Array(2).fill(() => this.pick(this.joined())?.update({ data: { n: this.below(99) } })),
    ...Array(2).fill(() => this.sit()),
    ...Array(3).fill(() => this.board?.moveItem(`i${this.below(6)}`, { x: this.below(1000), y: 5 })),
    () => this.board?.addActionItem({ task: `t${this.below(1e6)}`, assigneeId: 'z', assigneeName: 'Z' }),
    () => this.board?.group({ i1: `g${this.below(4)}` }, {}),
    () => this.board?.vote('g1', 1 + this.below(3), { g1: 1 + this.below(3) }),
    () => this.cut(),
    () => {
      this.close();
      this.open();
    },
  ];

  sit() {
    if (this.board) {
      this.board.close();
      this.board = null;
    } else {
      this.board = createBoardClient(this.socket, this.pick(BOARDS), this.user, { presence: this.client });
    }
  }

  async live() {
    while (!calm) {
      await new Promise((resume) => setTimeout(resume, 50 + this.below(700)));
      if (!calm) this.pick(this.deeds)();
    }
  }

  state() {
    const rooms = this.joined().map(({ roomId, status, count, connections, participants }) => {
      const data = Object.fromEntries(participants.map((member) => [member.userId, member.data]));
      return { room: roomId, status, count, connections, data };
    });
    const board = this.board && { board: this.board.retroId, status: this.board.status, ...this.board.view.state };
    return { user: this.user, rooms, board };
  }
}

const pages = Array.from({ length: PAGES }, (_, number) => new Page(number));
for (const page of pages) page.live();

const commands = createInterface({ input: process.stdin });
commands.on('line', (line) => {
  if (line === 'calm') calm = true;
  else if (line === 'state') process.stdout.write(`${JSON.stringify(pages.map((page) => page.state()))}\n`);
  else process.exit(0);
});
commands.on('close', () => process.exit(0)); // left behind, the pages would visit whoever gets those ports next
