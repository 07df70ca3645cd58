import { count, h, setText } from './dom.js';

const NAMES = [
  ['rooms', 'Live rooms'], ['sockets', 'Sockets here'], ['nodes', 'Nodes'], ['lag', 'Sweeper lag'], ['memory', 'Memory'],
  ['ops', 'Commands/s'], ['clients', 'Store clients'], ['keys', 'Keys'],
];

/** The figures of the first row. */
export function tiles() {
  const values = {};
  const notes = {};
  const element = h('dl', { class: 'tiles' }, ...NAMES.map(([name, label]) => {
    values[name] = h('dd', { class: 'number', data: { fact: name } }, '–');
    notes[name] = h('dd', { class: 'quiet note-line' }, '\u00a0');
    return h('div', { class: 'card' }, h('dt', { class: 'quiet' }, label), values[name], notes[name]);
  }));
  return {
    element,
    show({ node, nodes, condemned, sweeper, partitions, redis }, { total }) {
      const shown = {
        rooms: [count(total), partitions === 1 ? '1 partition' : `${partitions} partitions`],
        sockets: [count(node.sockets), node.name],
        nodes: [count(nodes.length), condemned.length ? `${condemned.length} being cleaned up after` : 'all alive'],
        lag: [duration(sweeper.lagMs), `${count(sweeper.dueRooms)} rooms due`],
        memory: [bytes(redis.usedMemoryBytes), redis.maxMemoryBytes ? `of ${bytes(redis.maxMemoryBytes)}` : 'no limit set'],
        ops: [count(redis.opsPerSecond), redis.server],
        clients: [count(redis.clients), `up ${duration(redis.uptimeS * 1000)}`],
        keys: [count(redis.keys), redis.evictedKeys ? `${count(redis.evictedKeys)} evicted` : 'none evicted'],
      };
      for (const [name, [value, note]] of Object.entries(shown)) {
        setText(values[name], value);
        setText(notes[name], note);
      }
    },
  };
}

export function duration(ms) {
  if (ms < 1000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min`;
  return `${Math.floor(ms / 3_600_000)} h`;
}

function bytes(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(number, 1)) / 10));
  return `${(number / 1024 ** power).toFixed(power ? 1 : 0)} ${units[power]}`;
}
