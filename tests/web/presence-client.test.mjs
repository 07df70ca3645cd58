import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { createPresenceClient } from '../../server/web/client/presence-client.js';
import { BEAT_OK, enter, names, page, pass, populated, useClock } from './entered-room.mjs';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

test('join: one join_room, the list, one beat at once, then one every 25 s', async (t) => {
  const { socket, room, log } = await enter(t);
  assert.deepEqual(socket.of('join_room'), [{ roomId: 'r', userId: 'u1', username: 'Ada' }]);
  assert.deepEqual([names(room), room.count, room.connections, room.mode, room.status], [['a', 'u1'], 2, 2, 'diffs', 'online']);
  assert.deepEqual(socket.of('room:heartbeat'), [{ roomId: 'r', userId: 'u1', timestamp: 1_000_000 }]);
  assert.equal(await room.ready, room);
  for (let beats = 2; beats < 6; beats += 1) {
    await pass(24_999);
    assert.equal(socket.of('room:heartbeat').length, beats - 1);
    await pass(1);
    assert.equal(socket.of('room:heartbeat').length, beats);
  }
  assert.deepEqual(log, [['status', 'online']]);
});

test('the interval is the one the server names', async (t) => {
  const model = populated('u1');
  const { socket } = await enter(t, { answers: { join_room: () => ({ ...model.snapshot(), heartbeatInterval: 500 }) } });
  await pass(499);
  assert.equal(socket.of('room:heartbeat').length, 1);
  await pass(1);
  assert.equal(socket.of('room:heartbeat').length, 2);
});

test('a join before the connection is made waits for it and is sent once', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket({ connected: false });
  const room = createPresenceClient(socket, { page }).joinRoom('r', { userId: 'u1' });
  assert.deepEqual([socket.connects, socket.sent.length, room.status], [1, 0, 'joining']);
  socket.open();
  assert.equal(socket.of('join_room').length, 1);
});

test('diffs become joined, left and updated, and one change each', async (t) => {
  const { socket, room, model, log } = await enter(t);
  let changes = 0;
  room.on('change', () => { changes += 1; });
  const from = model.seq;
  model.join('b');
  model.leave('a');
  model.rename('u1', 'Ada L.');
  const seen = room.view;
  socket.say('room:diff', model.diff(from));
  assert.deepEqual(log.slice(1), [['left', 'a'], ['joined', 'b'], ['updated', 'u1']]);
  assert.equal(changes, 1);
  assert.notEqual(room.view, seen);
  assert.equal(room.view, room.view);
  assert.deepEqual(room.view.participants, model.list());
});

test('ids: the answer for room 15 reaches the room joined as "15"', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  const model = populated(7);
  socket.answers = { join_room: model.snapshot(), 'room:heartbeat': BEAT_OK };
  const client = createPresenceClient(socket, { page });
  const room = client.joinRoom('15', { userId: 7 });
  await settle();
  assert.equal(client.joinRoom(15, { userId: 7 }), room);
  const from = model.seq;
  model.join(8);
  socket.say('room:diff', { ...model.diff(from), roomId: 15 });
  assert.deepEqual(names(room), [7, 8]);
});

test('a gap is closed by room:sync; a disagreement that stays is asked about ever less often', async (t) => {
  const { socket, room, model } = await enter(t);
  model.join('missed');
  const from = model.seq;
  model.join('b');
  socket.say('room:diff', model.diff(from));
  assert.deepEqual(socket.of('room:sync'), [{ roomId: 'r', epoch: 'e1', seq: 2 }]);
  socket.answer('room:sync', { ok: true, sync: 'diffs', epoch: 'e1', seq: from, diffs: [model.diff(2, from)] });
  await settle();
  assert.deepEqual(names(room), ['a', 'u1', 'missed', 'b']);

  socket.answers['room:sync'] = { ok: true, sync: 'diffs', epoch: 'e1', seq: 99, diffs: [] };
  socket.say('room:diff', { ...model.diff(2), from: 90, seq: 91 });
  for (let second = 0; second < 60; second += 1) await pass(1000);
  const asked = socket.of('room:sync').length;
  assert.ok(asked > 3 && asked < 12, `${asked} syncs in a minute`);
  assert.equal(room.status, 'online');
});

test('a room of 250 is read page by page', async (t) => {
  const model = populated(...Array.from({ length: 249 }, (_, i) => `user ${i}`), 'u1');
  const pages = { 'room:users:get': ({ cursor, limit }) => model.page(cursor, Math.min(limit, 100)) };
  const { socket, room } = await enter(t, { model, answers: pages });
  await settle();
  assert.deepEqual(room.participants, model.list());
  assert.deepEqual(socket.of('room:users:get').map(({ limit }) => limit), [1000, 1000]);
});

test('a cursor the server no longer takes leads to a snapshot', async (t) => {
  const model = populated(...Array.from({ length: 150 }, (_, i) => i), 'u1');
  const answers = {
    'room:users:get': refusal('invalid_input'),
    'room:sync': () => ({ ...model.snapshot(1000), sync: 'snapshot' }),
  };
  const { room } = await enter(t, { model, answers });
  await pass(2000);
  assert.deepEqual(room.participants, model.list());
});

test('one timer serves all rooms', async (t) => {
  const { socket, client } = await enter(t);
  for (const id of ['s', 't', 'u']) client.joinRoom(id, { userId: 'u1' });
  await settle();
  await pass(25_000);
  assert.equal(socket.of('room:heartbeat').length, 8);
});

test('003-8: a hidden tab whose timers are late beats when it is shown, once for three events', async (t) => {
  const { socket } = await enter(t);
  mock.timers.setTime(1_000_000 + 20_000); // no timer ran: the tab was frozen
  page.document.visibilityState = 'hidden';
  page.document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(socket.of('room:heartbeat').length, 1);
  page.document.visibilityState = 'visible';
  page.document.dispatchEvent(new Event('visibilitychange'));
  page.dispatchEvent(new Event('pageshow'));
  page.dispatchEvent(new Event('online'));
  await settle();
  assert.equal(socket.of('room:heartbeat').length, 2);
  page.dispatchEvent(new Event('online'));
  assert.equal(socket.of('room:heartbeat').length, 2, 'a second after the last beat there is no need for another');
  await pass(25_000);
  assert.equal(socket.of('room:heartbeat').length, 3, 'the next is 25 s after it');
});

test('a clock set back an hour does not stop the beats', async (t) => {
  const { socket } = await enter(t);
  const real = Date.now;
  t.mock.method(Date, 'now', () => real() - 3_600_000);
  await pass(25_000);
  await pass(25_000);
  assert.ok(socket.of('room:heartbeat').length >= 2);
});

test('a join that is refused for good ends the room and rejects ready', async (t) => {
  const { client, room, log } = await enter(t, { answers: { join_room: refusal('room_full') } });
  await assert.rejects(room.ready, { name: 'PresenceError', code: 'room_full', retryable: false });
  assert.deepEqual([room.status, log.of('error'), client.rooms], ['left', ['room_full'], []]);
});

test('update sends what is given, and tells the refusal', async (t) => {
  const { socket, room } = await enter(t);
  socket.answers['room:update'] = refusal('too_large');
  const answer = await room.update({ data: { mood: [] } });
  assert.deepEqual(socket.of('room:update'), [{ roomId: 'r', data: { mood: [] } }]);
  assert.equal(answer.error.code, 'too_large');
});

test('a listener that throws keeps nothing from the others', async (t) => {
  const { socket, room, model } = await enter(t);
  const reported = t.mock.method(console, 'error', () => {});
  const heard = [];
  room.on('joined', () => { throw new Error('mine'); });
  const off = room.on('joined', ({ userId }) => heard.push(userId));
  const from = model.seq;
  model.join('b');
  socket.say('room:diff', model.diff(from));
  off();
  assert.deepEqual([heard, reported.mock.callCount()], [['b'], 1]);
});

test('a count that stays ahead of the list for a beat makes it ask for a snapshot', async (t) => {
  const { socket, room, model } = await enter(t);
  for (const user of ['b', 'c']) model.join(user);
  socket.say('room:count', { roomId: 'r', epoch: 'e1', seq: 4, count: 4, connections: 4 });
  assert.equal(room.count, 4);
  await pass(25_000);
  assert.deepEqual(socket.of('room:sync'), []);
  socket.answers['room:sync'] = () => ({ ...model.snapshot(), sync: 'snapshot', mode: 'counts' });
  await pass(25_000);
  assert.deepEqual(socket.of('room:sync'), [{ roomId: 'r' }]);
  assert.deepEqual([room.mode, names(room)], ['counts', ['a', 'u1', 'b', 'c']]);
});

test('onTraffic tells every request with its latency', async (t) => {
  const traffic = [];
  const { socket } = await enter(t, { options: { onTraffic: (entry) => traffic.push(entry) } });
  delete socket.answers['room:heartbeat'];
  await pass(25_000);
  await pass(40);
  socket.answer('room:heartbeat', BEAT_OK);
  assert.deepEqual(traffic.map(({ event, ok, latencyMs }) => [event, ok, latencyMs]), [
    ['join_room', true, 0], ['room:heartbeat', true, 0], ['room:heartbeat', true, 40],
  ]);
});

test('the interval is the option\'s where the server names none', async (t) => {
  const model = populated('u1');
  const answers = { join_room: () => ({ ...model.snapshot(), heartbeatInterval: undefined }) };
  const { socket } = await enter(t, { answers, options: { heartbeatInterval: 1000 } });
  await pass(1000);
  assert.equal(socket.of('room:heartbeat').length, 2);
});

test('of many gaps within 10 s the first is asked about at once, the rest once and later; then at once again', async (t) => {
  const { socket, model } = await enter(t);
  socket.answers['room:sync'] = () => ({ ...model.snapshot(), sync: 'snapshot' });
  const gap = () => {
    model.join(`missed ${model.seq}`);
    const from = model.seq;
    model.join(`seen ${model.seq}`);
    socket.say('room:diff', model.diff(from));
  };
  const syncs = () => socket.of('room:sync').length;
  gap();
  await settle();
  assert.equal(syncs(), 1);
  for (let i = 0; i < 5; i += 1) gap();
  await settle();
  assert.equal(syncs(), 1);
  await pass(700);
  assert.equal(syncs(), 2);
  await pass(10_001);
  assert.equal(syncs(), 2);
  gap();
  assert.equal(syncs(), 3);
});
