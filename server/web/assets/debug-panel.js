import { atMostEvery, clock, count, fillPlaces, h, keepChildren, setText } from './dom.js';
import { Tree } from './tree.js';

const SHOWN_EVENTS = 14;
const FACTS = [
  ['connection', 'Connection'], ['transport', 'Transport'], ['node', 'Node'], ['socket', 'Socket'], ['epoch', 'Epoch'],
  ['seq', 'Seq'], ['count', 'Count'], ['connections', 'Connections'], ['version', 'Board version'],
  ['updated', 'Last update'],
];

/** What the page knows, and how: connection, position and state of one room, the last events with their latency. */
export class DebugPanel {
  #facts = {};
  #shown = [];

  /** `sources()`: the rooms and boards that can be looked at, as `{name, room?, board?}`. */
  constructor(line, sources) {
    this.line = line;
    this.sources = sources;
    this.choice = h('select', { 'aria-label': 'What to look at', onchange: () => this.#show() });
    const facts = FACTS.map(([name, label]) => {
      this.#facts[name] = h('dd', { class: 'number', data: { fact: name } }, '–');
      return h('div', {}, h('dt', {}, label), this.#facts[name]);
    });
    this.tree = new Tree('State');
    this.events = h('tbody');
    this.element = h(
      'details', { class: 'card debug', open: window.innerWidth >= 1100, ontoggle: () => this.update() },
      h('summary', {}, h('h2', {}, 'Debug')),
      this.choice,
      h('dl', { class: 'facts' }, ...facts),
      h('h3', {}, 'State'), this.tree.element,
      h('h3', {}, 'Last events'),
      h('div', { class: 'events', tabindex: '0', role: 'region', 'aria-label': 'Last events' }, h('table', {},
        h('thead', { class: 'unseen' }, h('tr', {}, ...['Time', 'Event', 'Latency'].map((name) => h('th', {}, name)))),
        this.events)),
    );
    this.update = atMostEvery(100, () => this.#show());
    line.on('change', this.update);
    line.on('event', this.update);
  }

  /** Shows this one of the sources. */
  look(name) {
    this.#show();
    this.choice.value = name;
    this.update();
  }

  #show() {
    const sources = this.sources();
    keepChildren(this.choice, sources, { key: ({ name }) => name, make: ({ name }) => h('option', { value: name }, name) });
    if (!this.element.open) return;
    const { room, board } = sources.find(({ name }) => name === this.choice.value) ?? {};
    const { line } = this;
    const state = room?.state;
    const facts = {
      connection: line.status, transport: line.transport, node: line.node, socket: line.socket.id,
      epoch: state?.epoch, seq: state && count(state.seq), count: state && count(state.count),
      connections: state && count(state.connections), version: board && count(board.view.version),
      updated: line.lastUpdate && clock(line.lastUpdate),
    };
    for (const [name, value] of Object.entries(facts)) setText(this.#facts[name], value ?? '–');
    this.#showState(room, board);
    fillPlaces(this.events, line.events.slice(0, SHOWN_EVENTS), { make: makeRow, show: showRow });
  }

  #showState(room, board) {
    // All of them are immutable: the same objects are the same picture.
    const parts = [room?.status, room?.state, board?.view.state];
    if (parts.every((part, i) => part === this.#shown[i])) return;
    this.#shown = parts;
    this.tree.show({ ...(room && { status: room.status, ...plain(room.state) }), ...(board && { board: board.view.state }) });
  }
}

/** The public part of a room's state: the rest is work in progress. */
function plain({ epoch, seq, mode, count: users, connections, countSeq, needsSync, removed, participants }) {
  return { epoch, seq, mode, count: users, connections, countSeq, needsSync, removed, participants };
}

const makeRow = () => h(
  'tr', {}, h('td', { class: 'quiet number' }),
  h('td', { class: 'grow' }, h('span'), ' ', h('span'), ' ', h('span', { class: 'quiet' })), h('td', { class: 'number' }),
);

function showRow(row, { event, way, at, ok, code, latencyMs, payload }) {
  const [time, what, latency] = row.children;
  const [arrow, name, room] = what.children;
  row.classList.toggle('failed', !ok);
  setText(time, clock(at));
  setText(arrow, way === 'in' ? '↓' : '↑');
  arrow.title = way === 'in' ? 'received' : 'sent';
  setText(name, event);
  setText(room, code ?? payload?.roomId ?? payload?.retroId ?? payload?.room_id ?? payload?.reason ?? '');
  setText(latency, latencyMs === undefined ? '' : `${latencyMs} ms`);
}
