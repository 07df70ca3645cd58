/** What the server refused for good stays out of the record: every join would be refused for it as well. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FORCED, enter, pass } from './entered-room.mjs';
import { refusal, settle } from './scripted-socket.mjs';

const BAD = 'x'.repeat(200);
const caughtUp = ({ seq, epoch }) => ({ ok: true, sync: 'diffs', epoch, seq, diffs: [] });
const judged = ({ username }) => (username === BAD ? refusal('invalid_input') : { ok: true });
const updates = (socket) => socket.of('room:update').map(({ roomId, ...change }) => change);

const entered = (t, update = judged) =>
  enter(t, { options: { rejoin: 'always' }, answers: { 'room:sync': caughtUp, 'room:update': update } });

/** Lets the server put the room out, and returns what it joins with then. */
async function rejoined({ socket, room }) {
  socket.say('room:force-leave', FORCED);
  await settle();
  await settle();
  assert.equal(room.status, 'online');
  const { roomId, userId, ...record } = socket.of('join_room').at(-1);
  return record;
}

/** Answers the updates under way, oldest first. */
async function answer(socket, ...answers) {
  const open = socket.sent.filter(({ event }) => event === 'room:update').slice(-answers.length);
  open.forEach(({ ack }, at) => ack(answers[at]));
  await settle();
}

test('a change made while the line was down is undone when it is refused, which the room tells', async (t) => {
  const scene = await entered(t);
  const { socket, room, log } = scene;
  await room.update({ username: 'Grace' });
  socket.drop();
  await room.update({ username: BAD });
  socket.open();
  await settle();
  await settle();
  assert.deepEqual(updates(socket), [{ username: 'Grace' }, { username: BAD }]);
  assert.deepEqual([log.of('error'), room.view.error.code], [['invalid_input'], 'invalid_input']);
  assert.deepEqual(await rejoined(scene), { username: 'Grace' });
});

test('a change that is only put off is no error of the room, nor is one whose caller has the refusal', async (t) => {
  const answers = [refusal('unavailable', true), refusal('unavailable', true), { ok: true }, refusal('invalid_input')];
  const { room, log } = await entered(t, () => answers.shift());
  await room.update({ username: 'Grace' });
  for (let second = 0; second < 5; second += 1) await pass(1000);
  await room.update({ username: BAD });
  assert.deepEqual([answers, log.of('error')], [[], []]);
});

test('refused behind a later change that was taken, a change takes nothing along', async (t) => {
  const scene = await entered(t);
  scene.socket.answers['room:update'] = undefined;
  scene.room.update({ username: BAD, data: { v: 1 } });
  scene.room.update({ username: 'Grace' });
  await answer(scene.socket, refusal('invalid_input'), { ok: true });
  assert.deepEqual(await rejoined(scene), { username: 'Grace' }, 'and its data is gone');
});

test('of two refused at once neither stays', async (t) => {
  const scene = await entered(t);
  scene.socket.answers['room:update'] = undefined;
  scene.room.update({ username: BAD });
  scene.room.update({ username: `${BAD}y` });
  await answer(scene.socket, refusal('invalid_input'), refusal('invalid_input'));
  assert.deepEqual(await rejoined(scene), { username: 'Ada' });
});

test('the same value sent twice stays when only the first of them was refused', async (t) => {
  const scene = await entered(t);
  scene.socket.answers['room:update'] = undefined;
  scene.room.update({ username: 'Grace' });
  scene.room.update({ username: 'Grace' });
  await answer(scene.socket, refusal('rate_limited'), { ok: true });
  assert.deepEqual(await rejoined(scene), { username: 'Grace' });
});

test('what a join took along is what a later refusal goes back to', async (t) => {
  const scene = await entered(t, refusal('unavailable', true));
  await scene.room.update({ username: 'Grace' });
  assert.deepEqual(await rejoined(scene), { username: 'Grace' });
  scene.socket.answers['room:update'] = judged;
  await scene.room.update({ username: BAD });
  await pass(20_000);
  assert.deepEqual(await rejoined(scene), { username: 'Grace' });
});

test('a join that is refused for a change it took along goes on without it', async (t) => {
  const scene = await entered(t, refusal('unavailable', true));
  const { socket, room, log } = scene;
  const join = socket.answers.join_room;
  socket.answers.join_room = (user) => (user.username === BAD ? refusal('invalid_input') : join());
  await room.update({ username: BAD });
  assert.deepEqual(await rejoined(scene), { username: 'Ada' });
  assert.deepEqual(log.of('error'), ['invalid_input']);
  socket.answers.join_room = refusal('forbidden');
  socket.say('room:force-leave', FORCED);
  await pass(60_000);
  assert.deepEqual([room.status, socket.of('join_room').length], ['left', 4], 'with nothing to leave behind it ends');
});

test('a change that waits is given up, and nothing sent for it, when a newer one is refused', async (t) => {
  const answers = [refusal('unavailable', true), refusal('invalid_input')];
  const { socket, room } = await entered(t, () => answers.shift() ?? { ok: true });
  await room.update({ data: { v: 1 } });
  await room.update({ data: { v: BAD } });
  await pass(60_000);
  assert.equal(updates(socket).length, 2);
});

test('a room that only beat joins as the user it is given then, and once when that one is refused', async (t) => {
  const { socket, client } = await entered(t);
  socket.answers.join_room = refusal('forbidden');
  client.keepAlive('other', 'u1', () => {});
  await settle();
  const room = client.joinRoom('other', { userId: 'u1', username: 'Ada' });
  await settle();
  assert.equal(room.status, 'left');
  const joins = socket.of('join_room').filter(({ roomId }) => roomId === 'other');
  assert.deepEqual(joins, [{ roomId: 'other', userId: 'u1', username: 'Ada' }]);
});
