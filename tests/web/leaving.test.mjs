import assert from 'node:assert/strict';
import test from 'node:test';
import { createPresenceClient } from '../../server/web/client/presence-client.js';
import { FORCED, enter, page, pass, populated, useClock } from './entered-room.mjs';
import { ScriptedSocket, settle } from './scripted-socket.mjs';

test('leave: at once, and no listener is left, on the socket or the page', async (t) => {
  const added = t.mock.method(EventTarget.prototype, 'addEventListener');
  const removed = t.mock.method(EventTarget.prototype, 'removeEventListener');
  const { socket, room, client, log } = await enter(t);
  assert.ok(socket.listenerCount > 0);
  const answer = await room.leave();
  assert.deepEqual(answer, { ok: true, left: true });
  assert.deepEqual(socket.of('leave_room'), [{ roomId: 'r' }]);
  await pass(60_000);
  assert.deepEqual([room.status, client.rooms, socket.listenerCount], ['left', [], 0]);
  assert.equal(socket.of('room:heartbeat').length, 1);
  assert.equal(added.mock.callCount(), 4);
  assert.equal(removed.mock.callCount(), 4);
  assert.deepEqual(await room.leave(), { ok: true, left: false });
  assert.deepEqual(log.of('force-leave'), []);
});

test('leave everywhere says so; a leave in another tab ends this room without a popup', async (t) => {
  const { socket, client, room, log } = await enter(t);
  const other = client.joinRoom('s', { userId: 'u1' });
  await settle();
  other.leave({ everywhere: true });
  assert.deepEqual(socket.of('leave_room'), [{ roomId: 's', everywhere: true }]);
  socket.say('room:left', { roomId: 'r', left: true });
  assert.deepEqual([room.status, log.of('force-leave')], ['left', []]);
});

test('T3.5: leave while joining: the leave follows the join, and its late answer changes nothing', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  const client = createPresenceClient(socket, { page });
  const room = client.joinRoom('r', { userId: 'u1' });
  const left = room.leave();
  assert.deepEqual(socket.sent.map(({ event }) => event), ['join_room', 'leave_room']);
  socket.sent[0].ack(populated('u1').snapshot());
  socket.sent[1].ack({ ok: true, left: true });
  await left;
  await assert.rejects(room.ready, { code: 'left' });
  await pass(60_000);
  assert.deepEqual([room.status, socket.sent.length, socket.listenerCount], ['left', 2, 0]);
});

test('leave and join at once: the room:left of before does not end the new room', async (t) => {
  const { socket, client, room } = await enter(t, { answers: { leave_room: undefined } });
  delete socket.answers.join_room;
  room.leave();
  const again = client.joinRoom('r', { userId: 'u1' });
  socket.say('room:left', { roomId: 'r', left: true });
  assert.equal(again.status, 'joining');
});

test('leave without a connection sends nothing later', async (t) => {
  const { socket, room } = await enter(t);
  socket.drop();
  const answer = await room.leave();
  assert.equal(answer.error.code, 'disconnected');
  assert.equal(socket.listenerCount, 0);
  const before = socket.sent.length;
  socket.open();
  await settle();
  assert.equal(socket.sent.length, before);
});

test('close leaves every room and lets the socket go', async (t) => {
  const { socket, client } = await enter(t);
  client.joinRoom('s', { userId: 'u1' });
  client.keepAlive('k', 'u1', () => {});
  await settle();
  await client.close();
  assert.deepEqual(socket.of('leave_room').map(({ roomId }) => roomId), ['r', 's']);
  await pass(60_000);
  assert.deepEqual([socket.listenerCount, client.rooms], [0, []]);
});

test('T1.4: a force-leave of the time before does not end a join under way', async (t) => {
  const { socket, client, room, model } = await enter(t);
  delete socket.answers.join_room;
  room.leave();
  const again = client.joinRoom('r', { userId: 'u1' });
  socket.say('room:force-leave', FORCED);
  assert.equal(again.status, 'joining');
  socket.answer('join_room', model.snapshot());
  await settle();
  assert.equal(again.status, 'online');
});
