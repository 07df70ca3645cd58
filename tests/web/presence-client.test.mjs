import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { POPUP, createPresenceClient } from '../../server/web/client/presence-client.js';
import { RoomModel } from './room-model.mjs';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

const BEAT_OK = { ok: true, timestamp: 1, ttl: 21_600_000 };
const LOST = refusal('not_in_room');
const FORCED = { roomId: 'r', userId: 'u1', message: 'gone', popup: POPUP, reason: 'inactivity_timeout', timestamp: 7 };

class Page extends EventTarget {
  document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
}

let page;

/** A joined room over a scripted socket, under mocked time. */
async function enter(t, { options, answers, model = populated('a', 'u1') } = {}) {
  useClock(t);
  const socket = new ScriptedSocket();
  socket.answers = { join_room: () => model.snapshot(), 'room:heartbeat': BEAT_OK, leave_room: { ok: true, left: true }, ...answers };
  const client = createPresenceClient(socket, { random: () => 0.5, page, ...options });
  const room = client.joinRoom('r', { userId: 'u1', username: 'Ada' });
  const log = listenTo(room);
  await settle();
  return { socket, client, room, model, log };
}

function useClock(t) {
  page = new Page();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
}

function populated(...users) {
  const model = new RoomModel();
  for (const user of users) model.join(user);
  return model;
}

function listenTo(room) {
  const log = [];
  for (const event of ['joined', 'left', 'updated', 'status', 'force-leave', 'error']) {
    room.on(event, (body) => log.push([event, body.userId ?? body.code ?? body]));
  }
  const of = (event) => log.filter(([name]) => name === event).map(([, body]) => body);
  return Object.defineProperty(log, 'of', { value: of });
}

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

const names = (room) => room.participants.map(({ userId }) => userId);

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
  assert.equal(room.status, 'joining');
  await pass(600);
  await pass(1200);
  assert.equal(room.status, 'online');
  assert.deepEqual(log.of('error'), ['unavailable', 'rate_limited']);
});

test('a join that is refused for good ends the room and rejects ready', async (t) => {
  const { client, room, log } = await enter(t, { answers: { join_room: refusal('room_full') } });
  await assert.rejects(room.ready, { name: 'PresenceError', code: 'room_full', retryable: false });
  assert.deepEqual([room.status, log.of('error'), client.rooms], ['left', ['room_full'], []]);
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
  assert.equal(added.mock.callCount(), 3);
  assert.equal(removed.mock.callCount(), 3);
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
