import assert from 'node:assert/strict';
import test from 'node:test';
import { apply, compareIds, createRoomState, distrust, nextRequest } from '../../server/web/client/room-state.js';
import { RoomModel } from './room-model.mjs';

const ids = (state) => state.participants.map(({ userId }) => String(userId));
const said = (state) => state.changes.map(({ event, member }) => `${event} ${member.userId}`);

function entered(model, pageSize) {
  return apply(createRoomState(), { type: 'room:joined', body: model.snapshot(pageSize) });
}

function roomOf(...users) {
  const model = new RoomModel();
  for (const user of users) model.join(user);
  return model;
}

test('000-11: before the first snapshot the count is unknown, not 0', () => {
  const state = createRoomState();
  assert.equal(state.count, null);
  assert.deepEqual(nextRequest(state), { event: 'room:sync', payload: {} });
});

test('a snapshot gives the list in the order (joinedAt, userId by code point)', () => {
  const users = ['b', 'a', '\u{1F600}', '\uFFFD', 15].map((userId) => ({ userId, username: 'x', joinedAt: 5, data: {} }));
  const body = { ...roomOf().snapshot(), users, count: 5 };
  const state = apply(createRoomState(), { type: 'room:joined', body });
  assert.deepEqual(ids(state), ['15', 'a', 'b', '\uFFFD', '\u{1F600}']);
});

test('ids compare as their UTF-8 bytes do', () => {
  const words = ['', 'a', 'ab', 'b', 'é', '\u05D0', '\uD7FF', '\uE000', '\uFFFD', '\u{10000}', '\u{10FFFF}', 'a\u{1F600}', 'a\uFB01'];
  for (const a of words) {
    for (const b of words) {
      assert.equal(Math.sign(compareIds(a, b)), Buffer.compare(Buffer.from(a), Buffer.from(b)), `${a} ${b}`);
    }
  }
});

test('a diff that starts where the list stands applies; T3.11: 15 and "15" are one user', () => {
  const model = roomOf('a', 15);
  const state = entered(model);
  const from = model.seq;
  model.rename('15', 'fifteen');
  model.leave('a');
  model.join('c');
  const body = model.diff(from);
  body.updated[0] = { ...body.updated[0], userId: '15' };
  const next = apply(state, { type: 'room:diff', body });
  assert.deepEqual(ids(next), ['15', 'c']);
  assert.equal(next.participants[0].username, 'fifteen');
  assert.deepEqual(said(next), ['left a', 'joined c', 'updated 15']);
  assert.deepEqual([next.count, next.seq, next.needsSync], [2, model.seq, null]);
  assert.deepEqual(ids(state), ['a', '15'], 'the earlier state stays as it was');
});

test('a diff heard already changes nothing, not even the object', () => {
  const model = roomOf('a');
  const from = model.seq;
  model.join('b');
  const event = { type: 'room:diff', body: model.diff(from) };
  const state = entered(model);
  assert.equal(apply(state, event), state);
});

test('a gap asks for the diffs missed, and the diff behind it waits for them', () => {
  const model = roomOf('a');
  const state = entered(model);
  const start = model.seq;
  model.join('b');
  const middle = model.seq;
  model.join('c');
  const gapped = apply(state, { type: 'room:diff', body: model.diff(middle) });
  assert.equal(gapped.needsSync, 'diffs');
  assert.deepEqual(nextRequest(gapped), { event: 'room:sync', payload: { epoch: 'e1', seq: start } });
  const body = { ok: true, sync: 'diffs', epoch: 'e1', seq: middle, diffs: [model.diff(start, middle)] };
  const healed = apply(gapped, { type: 'room:sync', body });
  assert.deepEqual(ids(healed), ['a', 'b', 'c']);
  assert.equal(healed.needsSync, null);
  assert.deepEqual(said(healed), ['joined b', 'joined c']);
});

test('an answer with diffs that do not reach asks for a snapshot', () => {
  const model = roomOf('a');
  const state = distrust(entered(model), 'diffs');
  model.rename('a', 'unseen');
  model.join('c');
  const { seq } = model;
  for (const diffs of [[], [model.diff(seq - 1)]]) {
    const body = { ok: true, sync: 'diffs', epoch: 'e1', seq, diffs };
    assert.equal(apply(state, { type: 'room:sync', body }).needsSync, 'snapshot');
  }
  const other = { ok: true, sync: 'diffs', epoch: 'e2', seq, diffs: [] };
  assert.equal(apply(state, { type: 'room:sync', body: other }).needsSync, 'snapshot');
  const whole = { ok: true, sync: 'diffs', epoch: 'e1', seq, diffs: [model.diff(1)] };
  assert.equal(apply(state, { type: 'room:sync', body: whole }).needsSync, null);
  assert.equal(apply(distrust(state, 'snapshot'), { type: 'room:sync', body: whole }).needsSync, 'snapshot');
});

test('another epoch needs a snapshot, and its diffs wait for it', () => {
  const state = entered(roomOf('a', 'b'));
  const reborn = new RoomModel('e2');
  reborn.join('z');
  const middle = reborn.seq;
  reborn.join('y');
  const lost = apply(state, { type: 'room:diff', body: reborn.diff(middle) });
  assert.deepEqual(nextRequest(lost), { event: 'room:sync', payload: {} });
  const answer = { ...reborn.snapshot(), sync: 'snapshot', seq: middle, users: reborn.list(middle), count: 1 };
  const found = apply(lost, { type: 'room:sync', body: answer });
  assert.deepEqual(ids(found), ['z', 'y']);
  assert.deepEqual(said(found), ['left a', 'left b', 'joined z', 'joined y']);
});

test('the second room:joined of one join does not take the list back', () => {
  const model = roomOf('a');
  const first = model.snapshot();
  const from = model.seq;
  model.join('b');
  let state = apply(createRoomState(), { type: 'room:joined', body: first });
  state = apply(state, { type: 'room:diff', body: model.diff(from) });
  assert.equal(apply(state, { type: 'room:joined', body: first }), state);
});

test('diffs that overtake the join answer wait for it', () => {
  const model = roomOf('a');
  const answer = model.snapshot();
  const from = model.seq;
  model.join('b');
  let state = apply(createRoomState(), { type: 'room:diff', body: model.diff(from) });
  assert.equal(state.count, null);
  state = apply(state, { type: 'room:joined', body: answer });
  assert.deepEqual(ids(state), ['a', 'b']);
});

test('a snapshot that was asked for is taken although its position is lower: a failover lost the newest writes', () => {
  const model = roomOf('a', 'b');
  const older = model.snapshot();
  model.join('c');
  const state = distrust(entered(model), 'diffs');
  const healed = apply(state, { type: 'room:sync', body: { ...older, sync: 'snapshot' } });
  assert.deepEqual([ids(healed), healed.seq], [['a', 'b'], older.seq]);
});

test('pages: one who left between two pages does not come back, a rename is not undone', () => {
  const model = roomOf('a', 'b', 'c', 'd');
  let state = entered(model, 2);
  assert.deepEqual(ids(state), ['a', 'b']);
  const request = nextRequest(state);
  assert.equal(request.event, 'room:users:get');
  const stale = model.page(request.payload.cursor, 2);
  const from = model.seq;
  model.leave('c');
  model.rename('d', 'new name');
  state = apply(state, { type: 'room:diff', body: model.diff(from) });
  state = apply(state, { type: 'room:users:get', body: stale, asked: request.asked });
  assert.deepEqual(ids(state), ['a', 'b', 'd']);
  assert.equal(state.participants[2].username, 'new name');
  assert.deepEqual([state.needsSync, state.cursor], [null, null]);
});

test('pages: one who came and went within one window, seen by the page alone, is found out', () => {
  const model = roomOf('a', 'b', 'c');
  let state = entered(model, 2);
  const request = nextRequest(state);
  const from = model.seq;
  model.join('ghost');
  const page = model.page(request.payload.cursor, 10);
  model.leave('ghost');
  state = apply(state, { type: 'room:users:get', body: page, asked: request.asked });
  assert.equal(state.needsSync, 'diffs', 'the list does not add up');
  const { seq } = model;
  const body = { ok: true, sync: 'diffs', epoch: 'e1', seq, diffs: [model.diff(from)] };
  state = apply(state, { type: 'room:sync', body });
  assert.equal(state.needsSync, 'snapshot', 'nor does it at the end of the window');
  state = apply(state, { type: 'room:sync', body: { ...model.snapshot(), sync: 'snapshot' } });
  assert.deepEqual([ids(state), said(state)], [['a', 'b', 'c'], ['left ghost']]);
});

test('pages: the page of an earlier snapshot is dropped', () => {
  const model = roomOf('a', 'b', 'c');
  const state = entered(model, 2);
  const { payload, asked } = nextRequest(state);
  const page = model.page(payload.cursor, 2);
  const again = apply(distrust(state, 'snapshot'), { type: 'room:sync', body: { ...model.snapshot(2), sync: 'snapshot' } });
  assert.equal(apply(again, { type: 'room:users:get', body: page, asked }), again);
});

test('while a list is read anew the old one stays, and only true changes are told', () => {
  const model = roomOf('a', 'b', 'c', 'd');
  let state = entered(model);
  model.leave('a');
  model.join('e');
  state = apply(distrust(state, 'snapshot'), { type: 'room:sync', body: { ...model.snapshot(2), sync: 'snapshot' } });
  assert.deepEqual([ids(state), said(state), state.count], [['a', 'b', 'c', 'd'], [], 4]);
  const { payload, asked } = nextRequest(state);
  state = apply(state, { type: 'room:users:get', body: model.page(payload.cursor, 10), asked });
  assert.deepEqual([ids(state), said(state)], [['b', 'c', 'd', 'e'], ['left a', 'joined e']]);
});

test('a list that stops adding up asks for a snapshot', () => {
  const model = roomOf('a', 'b');
  const state = entered(model);
  const from = model.seq;
  model.join('c');
  const body = { ...model.diff(from), count: 2 };
  assert.equal(apply(state, { type: 'room:diff', body }).needsSync, 'snapshot');
});

test('the newest count wins, the list keeps its place', () => {
  const model = roomOf('a');
  const state = entered(model);
  const count = (seq, n) => ({ type: 'room:count', body: { roomId: 'r', epoch: 'e1', seq, count: n, connections: n } });
  const ahead = apply(state, count(9, 5));
  assert.deepEqual([ahead.count, ahead.seq, ahead.needsSync], [5, 1, null]);
  assert.equal(apply(ahead, count(8, 4)), ahead);
  const reborn = { type: 'room:count', body: { epoch: 'e2', seq: 1, count: 1, connections: 1 } };
  assert.equal(apply(ahead, reborn).needsSync, 'snapshot');
});

test('X3: in counts mode the list is the first page, nothing is followed, and coming back the gap is closed', () => {
  const model = roomOf('a', 'b', 'c');
  let state = apply(createRoomState(), { type: 'room:joined', body: model.snapshot(2, 'counts') });
  assert.equal(nextRequest(state), null);
  assert.equal(apply(state, { type: 'room:diff', body: { ...model.diff(2), from: 7, seq: 9, count: 6 } }).count, 6);
  state = apply(state, { type: 'room:mode', body: { roomId: 'r', mode: 'diffs' } });
  assert.equal(state.needsSync, 'snapshot');

  state = apply(entered(model), { type: 'room:mode', body: { roomId: 'r', mode: 'counts' } });
  assert.deepEqual([state.mode, nextRequest(state)], ['counts', null]);
  state = apply(state, { type: 'room:mode', body: { roomId: 'r', mode: 'diffs' } });
  assert.deepEqual(nextRequest(state).payload, { epoch: 'e1', seq: 3 });
});

test('after a force-leave there is nothing left to ask', () => {
  const body = { roomId: 'r', reason: 'kicked' };
  const state = apply(distrust(entered(roomOf('a')), 'diffs'), { type: 'room:force-leave', body });
  assert.deepEqual([state.removed, nextRequest(state)], [body, null]);
});

test('a list of 2,000 takes a diff in a few milliseconds', (t) => {
  const model = new RoomModel();
  for (let i = 0; i < 2000; i += 1) model.join(`user ${i}`);
  let state = entered(model, 2000);
  const started = performance.now();
  for (let i = 0; i < 50; i += 1) {
    const from = model.seq;
    model.leave(`user ${i}`);
    model.join(`late ${i}`);
    state = apply(state, { type: 'room:diff', body: model.diff(from) });
  }
  const each = (performance.now() - started) / 50;
  assert.deepEqual(state.participants, model.list());
  t.diagnostic(`2,000 members: ${each.toFixed(2)} ms a diff, the making of it included`);
  assert.ok(each < 50);
});
