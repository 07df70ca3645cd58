import assert from 'node:assert/strict';
import test from 'node:test';
import { BEAT_OK, FORCED, enter, pass } from './entered-room.mjs';
import { refusal, settle } from './scripted-socket.mjs';

const caughtUp = ({ seq, epoch }) => ({ ok: true, sync: 'diffs', epoch, seq, diffs: [] });
const updates = (socket) => socket.of('room:update').map(({ roomId, ...change }) => change);

async function comeBack(socket) {
  socket.open();
  await settle();
  await settle();
}

test('a change made while the line is down is sent when the room is online again, in its newest form', async (t) => {
  const { socket, room } = await enter(t, { answers: { 'room:sync': caughtUp, 'room:update': { ok: true } } });
  socket.drop();
  assert.equal((await room.update({ username: 'Old', data: { v: 1 } })).error.code, 'disconnected');
  await room.update({ username: 'New' });
  assert.deepEqual(updates(socket), []);
  await comeBack(socket);
  assert.equal(room.status, 'online');
  assert.deepEqual(updates(socket), [{ username: 'New', data: { v: 1 } }]);
  socket.drop();
  await comeBack(socket);
  assert.equal(updates(socket).length, 1, 'it was taken');
});

test('a change under way when the line drops is sent again', async (t) => {
  const { socket, room } = await enter(t, { answers: { 'room:sync': caughtUp } });
  const answer = room.update({ username: 'New' });
  socket.drop();
  assert.equal((await answer).error.code, 'disconnected');
  await comeBack(socket);
  assert.deepEqual(updates(socket), [{ username: 'New' }, { username: 'New' }]);
});

test('a change that finds the store away is tried again, ever less often, though the room never noticed', async (t) => {
  let away = true;
  const answers = { 'room:update': () => (away ? refusal('unavailable', true) : { ok: true }) };
  const { socket, room } = await enter(t, { answers });
  const answer = await room.update({ username: 'New' });
  assert.deepEqual([answer.error.code, room.status], ['unavailable', 'online']);
  for (let second = 0; second < 10; second += 1) await pass(1000);
  const tries = updates(socket).length;
  assert.ok(tries > 2 && tries < 8, `${tries} tries in 10 s`);
  away = false;
  for (let second = 0; second < 60; second += 1) await pass(1000);
  assert.equal(updates(socket).length, tries + 1);
});

test('a later change that is taken is not undone by the repeating of an earlier one', async (t) => {
  const refusals = [refusal('unavailable', true)];
  const { socket, room } = await enter(t, { answers: { 'room:update': () => refusals.shift() ?? { ok: true } } });
  await room.update({ username: 'First' });
  await room.update({ username: 'Second' });
  await pass(1000);
  assert.equal(updates(socket).at(-1).username, 'Second');
});

test('a change refused for good is not repeated, and no join repeats it', async (t) => {
  const answers = { 'room:update': refusal('invalid_input') };
  const { socket, room } = await enter(t, { options: { rejoin: 'always' }, answers });
  await room.update({ username: 'x'.repeat(200) });
  await pass(60_000);
  assert.equal(updates(socket).length, 1);
  socket.say('room:force-leave', FORCED);
  await settle();
  assert.deepEqual(socket.of('join_room').map(({ username }) => username), ['Ada', 'Ada']);
});

test('a join takes the change along; a room that ends drops it', async (t) => {
  const answers = { 'room:update': refusal('unavailable', true) };
  const { socket, room } = await enter(t, { options: { rejoin: 'always' }, answers });
  await room.update({ username: 'New' });
  socket.say('room:force-leave', FORCED);
  await pass(2000);
  assert.deepEqual(socket.of('join_room').at(-1), { roomId: 'r', userId: 'u1', username: 'New' });
  assert.equal(updates(socket).length, 1);
  await room.update({ username: 'Newer' });
  socket.answers['room:heartbeat'] = BEAT_OK;
  room.leave();
  await pass(60_000);
  assert.equal(updates(socket).length, 2);
});
