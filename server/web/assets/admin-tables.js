import { duration } from './admin-tiles.js';
import { count, h, keepChildren, setText } from './dom.js';

/** Live rooms, the largest first, each with a bar of its share of the largest. */
export function roomsTable() {
  const body = h('tbody');
  const note = h('p', { class: 'quiet' });
  const element = h('section', { class: 'card', 'aria-labelledby': 'rooms-title' },
    h('h2', { id: 'rooms-title' }, 'Rooms by size'), note,
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Rooms as a table' },
      h('table', {}, head(['Room', 'Users', 'Connections']), body)));
  return {
    element,
    show({ rooms, total }) {
      const largest = Math.max(1, ...rooms.map((room) => room.count));
      setText(note, total ? `${count(Math.min(rooms.length, total))} of ${count(total)}` : 'Nobody is in any room.');
      keepChildren(body, rooms, {
        key: ({ roomId }) => roomId,
        make: ({ roomId }) => h('tr', {},
          h('td', {}, h('span', { class: 'room-name' }, roomId), h('span', { class: 'bar' })),
          h('td', { class: 'number' }), h('td', { class: 'number' })),
        show: (row, room) => {
          row.querySelector('.bar').style.setProperty('--share', room.count / largest);
          setText(row.children[1], count(room.count));
          setText(row.children[2], count(room.connections));
        },
      });
    },
  };
}

/** Every process with a lease, and the dead that are being cleaned up after. */
export function nodesTable() {
  const body = h('tbody');
  const element = h('section', { class: 'card', 'aria-labelledby': 'nodes-title' },
    h('h2', { id: 'nodes-title' }, 'Nodes and leases'),
    h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Nodes as a table' },
      h('table', {}, head(['Node', 'Boot', 'Lease left']), body)));
  return {
    element,
    show({ nodes, condemned }) {
      const dead = condemned.map(({ bootId, reason, sinceMs }) => ({ name: reason, bootId, told: `for ${duration(sinceMs)}` }));
      const alive = nodes.map((node) => ({
        ...node, told: node.leaseMs > 0 ? duration(node.leaseMs) : `lapsed ${duration(-node.leaseMs)} ago`,
      }));
      keepChildren(body, [...alive, ...dead], {
        key: ({ bootId, leaseMs }) => `${bootId} ${leaseMs === undefined}`,
        make: ({ name, bootId }) => h('tr', {},
          h('td', { class: 'room-name' }, name), h('td', {}, h('code', {}, bootId)), h('td', { class: 'number' })),
        show: (row, { told, leaseMs }) => {
          setText(row.lastChild, told);
          row.dataset.tone = leaseMs > 0 ? '' : 'bad';
        },
      });
    },
  };
}

const head = (names) => h('thead', {}, h('tr', {}, ...names.map((name) => h('th', { scope: 'col' }, name))));
