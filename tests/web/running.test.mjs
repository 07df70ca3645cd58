import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { gzipSync } from 'node:zlib';
import { createBoardClient } from '../../server/web/client/board-client.js';
import { createPresenceClient } from '../../server/web/client/presence-client.js';
import { RoomModel } from './room-model.mjs';
import { ScriptedSocket, settle } from './scripted-socket.mjs';

const CLIENT = new URL('../../server/web/client/', import.meta.url);
const BUDGET_BYTES = 13 * 1024;

const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;

function scripted() {
  const model = new RoomModel();
  model.join('u1');
  const socket = new ScriptedSocket();
  socket.answers = {
    join_room: model.snapshot(), 'room:heartbeat': { ok: true, timestamp: 1, ttl: 1 }, leave_room: { ok: true, left: true },
    'join-retro-room': { ok: true },
  };
  return socket;
}

test('five rooms need one timer, and none after the last is left', async () => {
  const before = timers();
  const socket = scripted();
  const client = createPresenceClient(socket);
  const rooms = ['a', 'b', 'c', 'd', 'e'].map((id) => client.joinRoom(id, { userId: 'u1' }));
  await Promise.all(rooms.map((room) => room.ready));
  await settle();
  assert.equal(timers(), before + 1);
  await Promise.all(rooms.map((room) => room.leave()));
  assert.deepEqual([timers(), socket.listenerCount], [before, 0]);
});

test('a board with a move under way leaves no timer behind', async () => {
  const before = timers();
  const socket = scripted();
  const presence = createPresenceClient(socket);
  const board = createBoardClient(socket, 'b', 'u1', { presence });
  await settle();
  board.moveItem('note', { x: 1, y: 2 });
  assert.ok(timers() > before);
  board.close();
  await settle();
  assert.deepEqual([timers(), socket.listenerCount], [before, 0]);
});

test('a program that joined and left ends by itself', () => {
  const program = `
    import { createPresenceClient } from ${JSON.stringify(new URL('presence-client.js', CLIENT).href)};
    const socket = { connected: true, active: true, on() {}, off() {}, emit(event, payload, ack) {
      ack(event === 'join_room' ? { ok: true, epoch: 'e', seq: 1, count: 0, connections: 0, users: [] } : { ok: true });
    } };
    const client = createPresenceClient(socket);
    const room = await client.joinRoom('r', { userId: 1 }).ready;
    client.keepAlive('other', 1, () => {});
    await client.close();
    console.log(room.status);
  `;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { timeout: 10_000, encoding: 'utf8' });
  assert.deepEqual([status, stdout.trim()], [0, 'left']);
});

/** The modules a page loads for one entry, the entry included. */
function modulesOf(entry, found = new Map()) {
  if (found.has(entry)) return found;
  const source = readFileSync(new URL(entry, CLIENT), 'utf8');
  found.set(entry, source);
  for (const [, name] of source.matchAll(/from '\.\/([\w-]+\.js)'/g)) modulesOf(name, found);
  return found;
}

test('the presence client is at most 13 KB gzipped, comments and all', (t) => {
  const modules = modulesOf('presence-client.js');
  const apart = [...modules.values()].reduce((sum, source) => sum + gzipSync(source, { level: 9 }).length, 0);
  const together = gzipSync([...modules.values()].join('\n'), { level: 9 }).length;
  t.diagnostic(`presence client: ${modules.size} modules, ${apart} bytes gzipped one by one, ${together} as one`);
  assert.ok(modules.has('room-state.js'));
  assert.ok(apart <= BUDGET_BYTES, `${apart} bytes`);
});

test('only react.js imports from outside, and no module touches the DOM but through the page it is given', () => {
  for (const entry of ['presence-client.js', 'board-client.js', 'participants.js', 'sharing.js', 'react.js']) {
    for (const [name, source] of modulesOf(entry)) {
      const outside = [...source.matchAll(/from '([^.'][^']*)'/g)].map(([, module]) => module);
      assert.deepEqual(outside, name === 'react.js' ? ['react'] : [], name);
      assert.doesNotMatch(source, /\bwindow\.|localStorage|innerHTML/, name);
    }
  }
});
