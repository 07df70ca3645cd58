import assert from 'node:assert/strict';
import test from 'node:test';
import { POPUP, createPresenceClient } from '../../server/web/client/presence-client.js';
import { BEAT_OK, FORCED, LOST, enter, page, pass, useClock } from './entered-room.mjs';
import { ScriptedSocket, settle } from './scripted-socket.mjs';

test('keepAlive: beats without joining, one popup, then silence', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  socket.answers['room:heartbeat'] = BEAT_OK;
  const client = createPresenceClient(socket, { page });
  const told = [];
  const stop = client.keepAlive(7, 42, (message) => told.push(message));
  await settle();
  await pass(25_000);
  await pass(25_000);
  assert.deepEqual(socket.of('room:heartbeat').map(({ roomId, userId }) => [roomId, userId]), [[7, 42], [7, 42], [7, 42]]);
  assert.deepEqual(new Set(socket.sent.map(({ event }) => event)), new Set(['room:heartbeat']));
  socket.say('room:force-leave', { ...FORCED, roomId: 7, message: undefined });
  await pass(100_000);
  assert.deepEqual([told, socket.of('room:heartbeat').length, socket.listenerCount], [[POPUP], 3, 0]);
  stop();
});

test('T3.5: keepAlive: a beat that overtakes the page\'s own join is no popup', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  const answers = [LOST, BEAT_OK];
  socket.answers['room:heartbeat'] = () => answers.shift() ?? BEAT_OK;
  const told = [];
  createPresenceClient(socket, { page }).keepAlive('r', 'u1', (message) => told.push(message));
  await settle();
  await pass(4000);
  await pass(25_000);
  assert.deepEqual([told, socket.of('room:heartbeat').length], [[], 3]);
});

test('keepAlive: two negative acks without the event: the popup\'s own text; stop ends the beats', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  socket.answers['room:heartbeat'] = LOST;
  const client = createPresenceClient(socket, { page });
  const told = [];
  client.keepAlive('r', 'u1', (message) => told.push(message));
  await settle();
  await pass(4000);
  assert.deepEqual([told, socket.of('room:heartbeat').length], [[POPUP], 2]);
  socket.answers['room:heartbeat'] = BEAT_OK;
  const stop = client.keepAlive('r', 'u1', () => {});
  stop();
  const stopAgain = client.keepAlive('r', 'u1', () => {});
  await settle();
  assert.equal(socket.of('room:heartbeat').length, 3, 'stopped and taken up at once: no second beat');
  stopAgain();
  await settle();
  await pass(100_000);
  assert.deepEqual([socket.of('room:heartbeat').length, socket.listenerCount], [3, 0]);
});

test('keepAlive beside a join of the same room does not beat twice, and a join takes the room over', async (t) => {
  const { socket, client, room } = await enter(t);
  const stop = client.keepAlive('r', 'u1', () => {});
  stop();
  await pass(25_000);
  assert.deepEqual([socket.of('room:heartbeat').length, room.status], [2, 'online']);

  client.keepAlive('s', 'u1', () => {});
  const taken = client.joinRoom('s', { userId: 'u1', username: 'Ada' });
  await settle();
  assert.deepEqual([taken.status, socket.of('join_room').length], ['online', 2]);
});

test('keepAlive twice for one room: one beat, until both have stopped', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  socket.answers['room:heartbeat'] = BEAT_OK;
  const client = createPresenceClient(socket, { page });
  const stop = client.keepAlive('r', 'u1', () => {});
  client.keepAlive('r', 'u1', () => {});
  stop();
  await settle();
  await pass(25_000);
  assert.deepEqual([socket.of('room:heartbeat').length, client.rooms.length], [2, 1]);
});

test('keepAlive: refused on a connection that then closes, it waits for the new one to say why', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket();
  socket.answers['room:heartbeat'] = LOST;
  const told = [];
  createPresenceClient(socket, { page }).keepAlive('r', 'u1', (message) => told.push(message));
  await settle();
  socket.drop();
  socket.open();
  await settle();
  assert.deepEqual(told, []);
  socket.say('room:force-leave', FORCED);
  assert.deepEqual(told, ['gone']);
});
