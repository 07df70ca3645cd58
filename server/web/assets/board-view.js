import { createBoardClient } from '/client/board-client.js';
import { createPresenceClient } from '/client/presence-client.js';
import { ActionList } from './board-actions.js';
import { GroupList } from './board-groups.js';
import { NoteField } from './board-notes.js';
import { atMostEvery, count, h, onNextFrame, setText } from './dom.js';

const PHASES = ['Collect', 'Group', 'Vote', 'Act'];
const TONES = { online: 'good', connecting: 'warn', reconnecting: 'warn', removed: 'bad', left: 'bad', refused: 'bad' };
const TYPING_MS = 2500;

/** A retro board: joined when it is first looked at; whoever is out of it stays so until asking to be in again. */
export class BoardView {
  board = null;
  room = null;
  #draw = onNextFrame(() => this.#show());
  #typing;
  #phase = PHASES[0];
  #refusal = null;
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
    this.phase = h('select', { 'aria-label': 'Phase', onchange: () => this.#changePhase() },
      ...PHASES.map((phase) => h('option', {}, phase)));
    this.again = h('button', { class: 'small main', hidden: true, onclick: () => this.open() }, 'Join again');
    this.said = h('p', { class: 'quiet typing', role: 'status' });
    this.notes = new NoteField({ typing: () => this.board?.typing({ userId: me.userId, username: me.username }) });
    this.groups = new GroupList(me);
    this.actions = new ActionList(me);
    this.layout = h('div', { class: 'board-layout' }, this.notes.element,
      h('div', { class: 'board-lists' }, this.groups.element, this.actions.element));
    this.element = h(
      'div', { class: 'board' },
      h('div', { class: 'board-bar' }, this.title, this.status, this.again,
        h('span', { class: 'quiet' }, 'Currently users in the room: ', this.number),
        h('span', { class: 'push row' }, h('span', { class: 'quiet' }, 'Phase'), this.phase)),
      this.notes.bar, this.said, this.layout,
    );
  }

  get roomId() {
    return `retro:${this.retroId}`;
  }

  get out() {
    return Boolean(this.room?.ended);
  }

  look() {
    if (!this.room) this.open();
  }

  rename(username) {
    return this.board ? [this.room.update({ username })] : [];
  }

  /** Joins, unless it is joined already. After a restart of the server the board comes back by itself. */
  open() {
    if (this.board) return;
    const { socket, onTraffic } = this.line;
    const { userId, username, token } = this.me;
    this.#refusal = null;
    setText(this.said, '');
    const presence = createPresenceClient(socket, { rejoin: 'always', onTraffic });
    this.room = presence.joinRoom(this.roomId, token ? {} : { userId, username });
    this.board = createBoardClient(socket, this.retroId, userId, { presence, onTraffic });
    for (const part of [this.notes, this.groups, this.actions]) part.board = this.board;
    this.room.on('change', this.#draw);
    this.room.on('status', () => (this.out ? this.#end() : this.#draw()));
    this.room.ready.catch((error) => this.#refused(error));
    this.room.on('force-leave', (removal) => this.popup.tell(removal));
    this.board.on('change', this.#draw);
    this.board.on('status', (status) => status === 'removed' && this.#removed());
    this.board.on('error', ({ message }) => this.#say(message));
    this.board.on('phase-change', ({ phase }) => this.#setPhase(phase));
    this.board.on('typing', ({ userId: who, username: name }) =>
      String(who) !== String(userId) && this.#say(`${name ?? 'Somebody'} is writing a note…`));
    this.#draw();
  }

  /** Put out, the room joins again by itself, and the board goes with it; refused, neither is wanted. */
  #removed() {
    if (this.out) return;
    const { error } = this.board.view;
    if (error.code === 'not_in_room') return this.board.reconnect();
    this.#refused(error);
    this.room.leave();
  }

  #refused({ code, message }) {
    if (code !== 'left') this.#refusal ??= message;
    this.#draw();
  }

  #end() {
    clearTimeout(this.#typing);
    this.board.close();
    this.board = null;
    this.#draw();
  }

  async #changePhase() {
    const { value } = this.phase;
    const answer = await this.board?.changePhase({ phase: value, userId: this.me.userId });
    this.#setPhase(answer?.ok ? value : this.#phase);
  }

  #setPhase(phase) {
    if (!PHASES.includes(phase)) return;
    this.#phase = phase;
    this.phase.value = phase;
  }

  #say(text) {
    if (this.out) return; // there it says why
    setText(this.said, text);
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => setText(this.said, ''), TYPING_MS);
  }

  #status() {
    if (this.out) return this.#refusal ? 'refused' : this.room.status;
    return this.board?.view.status ?? 'connecting';
  }

  #showOut() {
    const { out } = this;
    this.again.hidden = !out;
    for (const part of [this.notes.bar, this.layout]) part.inert = out;
    this.phase.disabled = out;
    if (out) setText(this.said, this.#refusal ?? this.room.removal?.message ?? 'You have left this board');
  }

  #show() {
    const status = this.#status();
    setText(this.title, this.retroId);
    setText(this.status, status);
    this.status.dataset.tone = TONES[status];
    this.#showOut();
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
