import assert from 'node:assert/strict';
import test from 'node:test';
import { POPUP, createPresenceClient } from '../../server/web/client/presence-client.js';
import { BEAT_OK, FORCED, LOST, enter, names, page, pass, populated, useClock } from './entered-room.mjs';
import { RoomModel } from './room-model.mjs';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

test('T1.7: after a reconnect the room beats, catches up from its place, and is online again', async (t) => {
  const { socket, room, model, log } = await enter(t);
  socket.drop();
  assert.equal(room.status, 'reconnecting');
  await pass(60_000);
  assert.equal(socket.of('room:heartbeat').length, 1, 'nothing is sent into a closed socket');
  model.leave('a');
  socket.answers['room:heartbeat'] = { ...BEAT_OK, adopted: true };
  socket.open();
  await settle();
  assert.equal(socket.of('join_room').length, 1);
  assert.deepEqual(socket.of('room:sync'), [{ roomId: 'r', epoch: 'e1', seq: 2 }]);
  assert.equal(room.status, 'reconnecting', 'not before it knows what it missed');
  socket.answer('room:sync', { ok: true, sync: 'diffs', epoch: 'e1', seq: 3, diffs: [model.diff(2)] });
  await settle();
  assert.deepEqual([room.status, names(room)], ['online', ['u1']]);
  assert.deepEqual(log, [['status', 'online'], ['status', 'reconnecting'], ['left', 'a'], ['status', 'online']]);
});

test('T1.7: a server that knows us no more: negative ack, then the event, one popup, and no way back in', async (t) => {
  const { socket, room, log } = await enter(t);
  socket.answers['room:heartbeat'] = LOST;
  socket.drop();
  socket.open();
  await settle();
  assert.equal(room.status, 'reconnecting');
  socket.say('room:force-leave', { ...FORCED, reason: 'server_restart', message: POPUP });
  socket.say('room:force-leave', FORCED);
  await pass(60_000);
  assert.deepEqual(log.of('force-leave'), ['u1']);
  assert.deepEqual([room.status, room.view.removal.reason, room.view.removal.message], ['removed', 'server_restart', POPUP]);
  assert.equal(socket.of('join_room').length, 1);
  assert.equal(socket.of('room:heartbeat').length, 2, 'the beats stop');
});

test('001-10: the negative ack alone ends in the popup\'s own text after a short wait', async (t) => {
  const { socket, room, log } = await enter(t, { answers: { 'room:heartbeat': LOST } });
  await pass(3999);
  assert.deepEqual(log.of('force-leave'), []);
  page.dispatchEvent(new Event('online'));
  await pass(1);
  assert.equal(room.view.removal.message, 'You are not in the chatroom');
  assert.equal(room.view.removal.popup, POPUP);
  socket.say('room:force-leave', FORCED);
  assert.deepEqual(log.of('force-leave'), ['u1']);
});

test('001-10: the connection that closes before the event came is waited for no longer', async (t) => {
  const { socket, room, log } = await enter(t, { answers: { 'room:heartbeat': LOST } });
  socket.drop('io server disconnect');
  assert.equal(room.status, 'removed');
  assert.deepEqual(log.of('force-leave'), ['u1']);
  await pass(60_000);
  assert.equal(socket.connects, 0, 'the last room is gone: the server meant it');
});

test('001-10, T1.10: the event alone ends its room and no other', async (t) => {
  const { socket, client, room, log } = await enter(t);
  const other = client.joinRoom('other', { userId: 'u1' });
  await settle();
  socket.say('room:force-leave', FORCED);
  await pass(25_000);
  assert.deepEqual([room.status, room.view.removal.message, room.view.removal.roomId], ['removed', 'gone', 'r']);
  assert.deepEqual([log.of('force-leave').length, other.status], [1, 'online']);
  assert.deepEqual(socket.of('room:heartbeat').filter(({ roomId }) => roomId === 'r').length, 1);
});

test('the server closes the connection although rooms are open: it is opened again', async (t) => {
  const { socket, room } = await enter(t);
  socket.drop('io server disconnect');
  assert.deepEqual([room.status, socket.connects], ['reconnecting', 0]);
  await pass(1000);
  assert.equal(socket.connects, 1);
});

test('after a removal the room can be joined anew', async (t) => {
  const { socket, client, room, model } = await enter(t);
  socket.say('room:force-leave', FORCED);
  socket.drop('io server disconnect');
  const again = client.joinRoom('r', { userId: 'u1' });
  assert.notEqual(again, room);
  assert.equal(socket.connects, 1);
  socket.open();
  await settle();
  assert.deepEqual([again.status, names(again)], ['online', ['a', 'u1']]);
  assert.equal(model.seq, again.state.seq);
});

test('rejoin always: lost means joined anew, without a popup, and the late force-leave is of before', async (t) => {
  const { socket, room, log } = await enter(t, { options: { rejoin: 'always' } });
  const beats = [LOST, BEAT_OK];
  const reborn = new RoomModel('e2');
  reborn.join('u1');
  socket.answers['room:heartbeat'] = () => beats.shift() ?? BEAT_OK;
  delete socket.answers.join_room;
  socket.drop();
  socket.open();
  await settle();
  assert.equal(socket.of('join_room').length, 2);
  socket.say('room:force-leave', FORCED);
  socket.answer('join_room', reborn.snapshot());
  await settle();
  assert.deepEqual([room.status, names(room), log.of('force-leave')], ['online', ['u1'], []]);
  assert.deepEqual(log.of('left'), ['a']);
});

test('rejoin always: even then a kick is final, and an endless refusal no storm', async (t) => {
  const { socket, room, log } = await enter(t, { options: { rejoin: 'always' } });
  socket.answers['room:heartbeat'] = LOST;
  await pass(25_000);
  for (let second = 0; second < 60; second += 1) await pass(1000);
  const joins = socket.of('join_room').length;
  assert.ok(joins > 2 && joins < 130, `${joins} joins`);
  socket.answers['room:heartbeat'] = BEAT_OK;
  for (let second = 0; second < 40; second += 1) await pass(1000);
  assert.equal(room.status, 'online');
  socket.say('room:force-leave', { ...FORCED, reason: 'kicked' });
  assert.deepEqual([room.status, log.of('force-leave')], ['removed', ['u1']]);
});

test('C16: unavailable is never a popup: the room is reconnecting, retries slower and slower, then catches up', async (t) => {
  const { socket, room, model, log } = await enter(t);
  socket.answers['room:heartbeat'] = refusal('unavailable', true);
  await pass(25_000);
  assert.equal(room.status, 'reconnecting');
  for (let second = 0; second < 300; second += 1) await pass(1000);
  const tries = socket.of('room:heartbeat').length - 1;
  assert.ok(tries > 8 && tries < 20, `${tries} tries in five minutes`);
  assert.deepEqual(log.of('force-leave'), []);
  socket.answers['room:heartbeat'] = BEAT_OK;
  socket.answers['room:sync'] = ({ seq }) => ({ ok: true, sync: 'diffs', epoch: 'e1', seq: model.seq, diffs: [model.diff(seq)] });
  model.join('b');
  await pass(40_000);
  assert.deepEqual([room.status, names(room)], ['online', ['a', 'u1', 'b']]);
});

test('C16: a join that finds Redis away is tried again until it is let in', async (t) => {
  const refusals = [refusal('unavailable', true), refusal('rate_limited', true)];
  const model = populated('u1');
  const { room, log } = await enter(t, { answers: { join_room: () => refusals.shift() ?? model.snapshot() } });
  assert.deepEqual([room.status, room.view.error.code], ['joining', 'unavailable']);
  await pass(600);
  await pass(1200);
  assert.deepEqual([room.status, room.error], ['online', null]);
  assert.deepEqual(log.of('error'), ['unavailable', 'rate_limited']);
});

test('a refused connection: unauthorized ends the wait, anything else is tried again', async (t) => {
  useClock(t);
  const socket = new ScriptedSocket({ connected: false });
  const client = createPresenceClient(socket, { page, random: () => 0.5 });
  const room = client.joinRoom('r', { userId: 'u1' });
  socket.refuse('unavailable');
  assert.deepEqual([room.status, socket.connects], ['joining', 1]);
  await pass(500);
  assert.equal(socket.connects, 2);
  socket.refuse('unauthorized');
  await assert.rejects(room.ready, { code: 'unauthorized' });
  await pass(60_000);
  assert.deepEqual([socket.connects, socket.listenerCount], [2, 0]);
});

test('no answer within the time counts as unavailable', async (t) => {
  const { socket, room, log } = await enter(t);
  delete socket.answers['room:heartbeat'];
  await pass(25_000);
  assert.equal(room.status, 'online');
  await pass(10_000);
  assert.deepEqual([room.status, log.of('error')], ['reconnecting', ['timeout']]);
});

test('a beat without an answer when the connection drops holds up nothing on the next one', async (t) => {
  const { socket } = await enter(t);
  delete socket.answers['room:heartbeat'];
  await pass(25_000);
  socket.drop();
  await settle();
  socket.open();
  assert.equal(socket.of('room:heartbeat').length, 3);
});

test('a force-leave in the middle of catching up does not pass through online', async (t) => {
  const { socket, log } = await enter(t);
  socket.drop();
  socket.open();
  await settle();
  assert.equal(socket.of('room:sync').length, 1);
  socket.say('room:force-leave', FORCED);
  assert.deepEqual(log.of('status'), ['online', 'reconnecting', 'removed']);
});

test('unauthorized after a reconnect: the room says so and waits, the connection is left alone', async (t) => {
  const { socket, room, log } = await enter(t);
  socket.drop();
  socket.refuse('unauthorized');
  await pass(60_000);
  assert.deepEqual([room.status, log.of('error'), socket.connects], ['reconnecting', ['unauthorized'], 0]);
});

const transition = (name, persisted) => Object.assign(new Event(name), { persisted });

test('a page that goes into the back-forward cache closes its connection, and opens it when it comes out', async (t) => {
  const { socket, room } = await enter(t);
  socket.io = { engine: { close: () => socket.drop('forced close') } };
  page.dispatchEvent(transition('pagehide', false));
  page.document.visibilityState = 'hidden';
  page.document.dispatchEvent(new Event('visibilitychange'));
  assert.equal(room.status, 'online', 'a page that is closed or hidden is let alone');
  page.dispatchEvent(transition('pagehide', true));
  assert.deepEqual([room.status, socket.connects], ['reconnecting', 0]);
  page.dispatchEvent(transition('pageshow', true));
  assert.equal(socket.connects, 1);
  page.dispatchEvent(transition('pageshow', true));
  socket.open();
  await settle();
  assert.deepEqual([socket.connects, socket.of('room:heartbeat').length, socket.of('room:sync').length], [1, 2, 1]);
});

test('a connection the application has closed itself stays closed when its page comes out of the cache', async (t) => {
  const { socket } = await enter(t);
  socket.drop('io client disconnect');
  page.dispatchEvent(transition('pagehide', true));
  page.dispatchEvent(transition('pageshow', true));
  assert.equal(socket.connects, 0);
});
