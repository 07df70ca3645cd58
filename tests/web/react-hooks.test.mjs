import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import test, { mock } from 'node:test';
import { RoomModel } from './room-model.mjs';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

const BEAT_OK = { ok: true, timestamp: 1, ttl: 21_600_000 };

function installed(name) {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

const missing = ['react', 'react-test-renderer'].filter((name) => !installed(name));
const skip = missing.length > 0 && !process.env.CI ? `not installed: ${missing.join(', ')}` : false;

globalThis.IS_REACT_ACT_ENVIRONMENT = true;
const renderer = skip ? null : await quietly(() => import('react-test-renderer'));
const React = skip ? null : await import('react');
const hooks = skip ? null : await import('../../server/web/client/react.js');

/** react-test-renderer says on import that it is deprecated; it is all that renders without a DOM. */
async function quietly(load) {
  const { error } = console;
  console.error = (...words) => String(words[0]).includes('deprecated') || error(...words);
  return load();
}

function clock(t) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
}

/** Renders `useIt(props)` in StrictMode; `seen.at(-1)` is what it returned last. */
async function render(t, socket, useIt, first) {
  const seen = [];
  const Probe = (props) => {
    seen.push(useIt(props));
    return null;
  };
  const tree = (props) => React.createElement(React.StrictMode, null,
    React.createElement(hooks.PresenceProvider, { socket, baseUrl: '' }, React.createElement(Probe, props)));
  let root;
  await renderer.act(async () => { root = renderer.create(tree(first)); });
  let mounted = true;
  const unmount = async () => {
    if (mounted) await renderer.act(async () => root.unmount());
    mounted = false;
    await settle();
  };
  t.after(unmount);
  return {
    seen,
    unmount,
    rerender: (props) => renderer.act(async () => root.update(tree(props))),
    act: (work) => renderer.act(async () => { await work(); await settle(); }),
  };
}

function roomSocket(...users) {
  const model = new RoomModel();
  for (const user of users) model.join(user);
  const socket = new ScriptedSocket();
  socket.answers = {
    join_room: () => model.snapshot(), 'room:heartbeat': BEAT_OK, leave_room: { ok: true, left: true },
    'room:update': { ok: true }, 'join-retro-room': { ok: true },
  };
  return { socket, model };
}

test('003-8, T3.4: beats at mount and every 25 s, not on re-render, not after a force-leave, one popup', { skip }, async (t) => {
  clock(t);
  const { socket } = roomSocket();
  const told = [];
  const useIt = ({ tick }) => hooks.useRoomHeartbeat(15, 42, (message) => told.push([tick, message]));
  const { rerender, act } = await render(t, socket, useIt, { tick: 0 });
  assert.deepEqual(socket.of('room:heartbeat'), [{ roomId: 15, userId: 42, timestamp: 1_000_000 }], 'StrictMode mounts twice');
  for (let tick = 1; tick < 20; tick += 1) await rerender({ tick });
  assert.equal(socket.of('room:heartbeat').length, 1);
  await act(() => mock.timers.tick(25_000));
  assert.equal(socket.of('room:heartbeat').length, 2);
  await act(() => socket.say('room:force-leave', { roomId: 15, userId: 42, reason: 'server_restart' }));
  await act(() => socket.say('room:force-leave', { roomId: 15, userId: 42, message: 'again' }));
  await act(() => mock.timers.tick(100_000));
  await rerender({ tick: 99 });
  assert.deepEqual(told, [[19, 'You are not in the chatroom']], 'the newest callback, once, with the fallback text');
  assert.equal(socket.of('room:heartbeat').length, 2);
});

test('003-8: unmount ends the beats and takes every listener off', { skip }, async (t) => {
  clock(t);
  const { socket } = roomSocket();
  const { unmount } = await render(t, socket, () => hooks.useRoomHeartbeat('r', 'u1', () => {}), {});
  assert.ok(socket.listenerCount > 0);
  await unmount();
  mock.timers.tick(100_000);
  await settle();
  assert.deepEqual([socket.of('room:heartbeat').length, socket.listenerCount], [1, 0]);
});

test('another room: the beats move over', { skip }, async (t) => {
  clock(t);
  const { socket } = roomSocket();
  const { rerender } = await render(t, socket, ({ id }) => hooks.useRoomHeartbeat(id, 'u1', () => {}), { id: 'a' });
  await rerender({ id: 'b' });
  await settle();
  mock.timers.tick(25_000);
  await settle();
  assert.deepEqual(socket.of('room:heartbeat').map(({ roomId }) => roomId), ['a', 'b', 'b']);
});

test('useRoomPresence: StrictMode joins once, shows the room live, leaves once', { skip }, async (t) => {
  const { socket, model } = roomSocket('a', 'u1');
  const useIt = ({ name }) => hooks.useRoomPresence('r', { userId: 'u1', username: name });
  const { seen, act, rerender, unmount } = await render(t, socket, useIt, { name: 'Ada' });
  await act(() => {});
  assert.deepEqual(socket.sent.map(({ event }) => event), ['join_room', 'room:heartbeat']);
  assert.deepEqual([seen.at(-1).status, seen.at(-1).count, seen[0].count], ['online', 2, null]);
  const from = model.seq;
  model.join('b');
  await act(() => socket.say('room:diff', model.diff(from)));
  assert.deepEqual(seen.at(-1).participants.map(({ userId }) => userId), ['a', 'u1', 'b']);
  await rerender({ name: 'Ada' });
  assert.deepEqual(socket.of('room:update'), []);
  await rerender({ name: 'Ada L.' });
  assert.deepEqual(socket.of('room:update'), [{ roomId: 'r', username: 'Ada L.' }]);
  await unmount();
  assert.deepEqual([socket.of('join_room').length, socket.of('leave_room').length, socket.listenerCount], [1, 1, 0]);
});

test('useRoomPresence: what changes while the line is down is told when it is back', { skip }, async (t) => {
  const { socket } = roomSocket('u1');
  socket.answers['room:sync'] = ({ seq, epoch }) => ({ ok: true, sync: 'diffs', epoch, seq, diffs: [] });
  const useIt = ({ name }) => hooks.useRoomPresence('r', { userId: 'u1', username: name });
  const { act, rerender } = await render(t, socket, useIt, { name: 'Ada' });
  await act(() => socket.drop());
  await rerender({ name: 'Ada L.' });
  await act(() => socket.open());
  await act(() => {});
  assert.deepEqual(socket.of('room:update'), [{ roomId: 'r', username: 'Ada L.' }]);
});

test('useRoomPresence: two components share one join; a removal shows with its text', { skip }, async (t) => {
  const { socket } = roomSocket('u1');
  const useIt = () => [hooks.useRoomPresence('r', { userId: 'u1' }), hooks.useRoomPresence('r', { userId: 'u1' })];
  const { seen, act } = await render(t, socket, useIt, {});
  await act(() => {});
  assert.equal(socket.of('join_room').length, 1);
  await act(() => socket.say('room:force-leave', { roomId: 'r', message: 'gone', reason: 'kicked' }));
  for (const { status, removal } of seen.at(-1)) assert.deepEqual([status, removal.message], ['removed', 'gone']);
});

test('useRoomPresence: a refused join shows as left', { skip }, async (t) => {
  const { socket } = roomSocket();
  socket.answers.join_room = refusal('room_full');
  const { seen, act } = await render(t, socket, () => hooks.useRoomPresence('r', { userId: 'u1' }), {});
  await act(() => {});
  assert.deepEqual([seen.at(-1).status, seen.at(-1).error.code], ['left', 'room_full']);
});

test('000-9: useRoomParticipants fetches on every open', { skip }, async (t) => {
  const fetched = [];
  t.mock.method(globalThis, 'fetch', async (url, { cache }) => {
    fetched.push([url, cache]);
    return Response.json({ count: fetched.length, users: [{ userId: 'u1', username: 'migxtes4' }] });
  });
  const { seen, act } = await render(t, new ScriptedSocket(), () => hooks.useRoomParticipants('a/b'), {});
  assert.deepEqual([seen.at(-1).isOpen, fetched.length], [false, 0]);
  await act(() => seen.at(-1).open());
  assert.deepEqual([seen.at(-1).count, seen.at(-1).users[0].username, seen.at(-1).loading], [1, 'migxtes4', false]);
  await act(() => seen.at(-1).close());
  assert.deepEqual([seen.at(-1).isOpen, seen.at(-1).users], [false, []]);
  await act(() => seen.at(-1).open());
  assert.deepEqual([seen.at(-1).count, fetched], [2, Array(2).fill(['/api/chatroom/a%2Fb/participants', 'no-store'])]);
});

test('002-3: useRetroRoomSocket: one join in StrictMode, state, errors, reconnect, clean-up', { skip }, async (t) => {
  const { socket } = roomSocket();
  const { seen, act, unmount } = await render(t, socket, () => hooks.useRetroRoomSocket('b1', 'u1'), {});
  await act(() => {});
  assert.deepEqual([socket.of('join-retro-room'), seen.at(-1).isConnected], [['b1'], true]);
  await act(() => socket.say('retro-state:b1', { itemPositions: {}, version: 3, lastUpdated: 'then' }));
  assert.deepEqual([seen.at(-1).version, seen.at(-1).lastUpdated, seen.at(-1).state.actionItems], [3, 'then', []]);
  await act(() => socket.drop('io server disconnect'));
  assert.deepEqual([seen.at(-1).status, seen.at(-1).isConnected], ['reconnecting', false]);
  await act(() => seen.at(-1).reconnect());
  assert.equal(socket.connects, 1);
  socket.answers['vote-update'] = refusal('invalid_input');
  await act(() => { socket.open(); });
  await act(() => seen.at(-1).board.vote(0, 9, { 0: 9 }));
  assert.equal(seen.at(-1).error.code, 'invalid_input');
  await unmount();
  assert.deepEqual([socket.of('leave-retro-room').length, socket.listenerCount], [1, 0]);
});

test('without a socket the hooks wait; without a provider or a default they say what is missing', { skip }, async (t) => {
  const waiting = await render(t, null, () => [hooks.useRoomPresence('r', {}), hooks.useRetroRoomSocket('b', 'u')], {});
  assert.deepEqual(waiting.seen.at(-1).map(({ status }) => status), ['joining', 'connecting']);

  const Bare = () => hooks.useRoomHeartbeat('r', 'u1', () => {}) ?? null;
  t.mock.method(console, 'error', () => {});
  await assert.rejects(async () => renderer.act(async () => renderer.create(React.createElement(Bare))), /PresenceProvider/);
  const { socket } = roomSocket();
  hooks.setDefaultSocket(socket);
  let root;
  await renderer.act(async () => { root = renderer.create(React.createElement(Bare)); });
  assert.equal(socket.of('room:heartbeat').length, 1);
  await renderer.act(async () => root.unmount());
  hooks.setDefaultSocket(null);
});
