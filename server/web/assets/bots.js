import { io } from '/vendor/socket.io-client/socket.io.esm.min.js';
import { createPresenceClient } from '/client/presence-client.js';

export const MOST_BOTS = 50;
const STEP = 5;
const STEP_MS = 50;
const NAMES = ['Ada', 'Bao', 'Chidi', 'Dana', 'Emre', 'Freya', 'Goran', 'Hana', 'Ines', 'Jun'];

/** Up to 50 more people in a room, each with a connection of its own out of this page. */
export class Bots {
  #bots = [];
  #wanted = false;

  get size() {
    return this.#bots.length;
  }

  /** Brings them in, a few at a time. Resolves when all have been sent for. */
  async come(roomId, onChange) {
    this.#wanted = true;
    const run = Math.random().toString(36).slice(2, 6);
    while (this.#wanted && this.#bots.length < MOST_BOTS) {
      for (let i = 0; i < STEP; i += 1) this.#bots.push(bot(roomId, run, this.#bots.length));
      onChange();
      await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    }
  }

  /** Sends them home: everyone leaves, then hangs up. */
  async go() {
    this.#wanted = false;
    const leaving = this.#bots.splice(0);
    await Promise.all(leaving.map(async ({ client, socket }) => {
      await client.close();
      socket.disconnect();
    }));
  }
}

function bot(roomId, run, number) {
  const userId = `bot-${run}-${number + 1}`;
  const username = `${NAMES[number % NAMES.length]} Bot ${number + 1}`;
  const socket = io({ forceNew: true, transports: ['websocket'], auth: { userId, username } });
  const client = createPresenceClient(socket, { rejoin: 'always' });
  client.joinRoom(roomId, { userId, username });
  return { socket, client };
}
