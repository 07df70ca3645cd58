import { createBoardClient } from '/client/board-client.js';
import { createPresenceClient } from '/client/presence-client.js';
import { ActionList } from './board-actions.js';
import { GroupList } from './board-groups.js';
import { NoteField } from './board-notes.js';
import { atMostEvery, count, h, onNextFrame, setText } from './dom.js';

const PHASES = ['Collect', 'Group', 'Vote', 'Act'];
const TONES = { online: 'good', connecting: 'warn', reconnecting: 'warn', removed: 'bad', closed: 'bad' };
const TYPING_MS = 2500;

/** A retro board: joined when it is first looked at, left when another is opened. */
export class BoardView {
  board = null;
  room = null;
  #draw = onNextFrame(() => this.#show());
  #typing;
  #actionItems = null;
  // Action items are told without the board's version, so the whole state is asked for behind them.
  #askVersion = atMostEvery(1000, () => this.board?.status === 'online' && this.board.requestState());

  constructor(line, me, { popup, changed }) {
    this.line = line;
    this.me = me;
    this.popup = popup;
    this.changed = changed;
    this.retroId = new URLSearchParams(location.search).get('board') ?? 'demo';
    this.title = h('h2', { class: 'room-name' });
    this.status = h('span', { class: 'pill', data: { fact: 'board-status' } });
    this.number = h('strong', { class: 'number', data: { fact: 'board-count' } });
    this.phase = h('select', { 'aria-label': 'Phase', onchange: () =>
      this.board?.changePhase({ phase: this.phase.value, userId: me.userId }) },
    ...PHASES.map((phase) => h('option', {}, phase)));
    this.said = h('p', { class: 'quiet typing', role: 'status' });
    this.notes = new NoteField({ typing: () => this.board?.typing({ userId: me.userId, username: me.username }) });
    this.groups = new GroupList(me);
    this.actions = new ActionList(me);
    this.element = h(
      'div', { class: 'board' },
      h('div', { class: 'board-bar' }, this.title, this.status,
        h('span', { class: 'quiet' }, 'Currently users in the room: ', this.number),
        h('span', { class: 'push row' }, h('span', { class: 'quiet' }, 'Phase'), this.phase)),
      this.notes.bar, this.said,
      h('div', { class: 'board-layout' }, this.notes.element,
        h('div', { class: 'board-lists' }, this.groups.element, this.actions.element)),
    );
  }

  get roomId() {
    return `retro:${this.retroId}`;
  }

  /** Joins, unless it is joined already. After a restart of the server the board comes back by itself. */
  open() {
    if (this.board) return;
    const { socket, onTraffic } = this.line;
    const { userId, username, token } = this.me;
    const presence = createPresenceClient(socket, { rejoin: 'always', onTraffic });
    this.room = presence.joinRoom(this.roomId, token ? {} : { userId, username });
    this.board = createBoardClient(socket, this.retroId, userId, { presence, onTraffic });
    for (const part of [this.notes, this.groups, this.actions]) part.board = this.board;
    this.room.on('change', this.#draw);
    this.room.on('status', this.#draw);
    this.room.on('force-leave', (removal) => this.#removed(removal));
    this.board.on('change', this.#draw);
    // The room joins again by itself; the board goes with it.
    this.board.on('status', (status) => status === 'removed' && !this.room.ended && this.board.reconnect());
    this.board.on('error', ({ message }) => this.#say(message));
    this.board.on('phase-change', ({ phase }) => {
      this.phase.value = phase;
    });
    this.board.on('typing', ({ userId: who, username: name }) =>
      String(who) !== String(userId) && this.#say(`${name} is writing a note…`));
    this.#draw();
  }

  #removed(removal) {
    this.board.close();
    this.board = null;
    this.popup.tell(removal);
    this.#draw();
  }

  #say(text) {
    setText(this.said, text);
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => setText(this.said, ''), TYPING_MS);
  }

  #show() {
    const status = this.board?.view.status ?? 'closed';
    setText(this.title, this.retroId);
    setText(this.status, status);
    this.status.dataset.tone = TONES[status];
    setText(this.number, count(status === 'online' ? this.room.count : null));
    if (this.board) {
      const { state, loaded } = this.board.view;
      this.notes.show(state, loaded);
      this.groups.show(state);
      this.actions.show(state, this.room.participants);
      if (loaded && JSON.stringify(state.actionItems) !== this.#actionItems) {
        if (this.#actionItems !== null) this.#askVersion();
        this.#actionItems = JSON.stringify(state.actionItems);
      }
    }
    this.changed();
  }
}
