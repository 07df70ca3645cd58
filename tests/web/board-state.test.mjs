import assert from 'node:assert/strict';
import test from 'node:test';
import { applyBoard, awaitState, createBoardState, emptyBoard } from '../../server/web/client/board-state.js';
import { seeded } from './room-model.mjs';

const whole = (version, parts = {}) => ({ type: 'retro-state', body: { ...emptyBoard(), ...parts, version, lastUpdated: version } });
const moved = (itemId, x, version) => ({ type: 'item-position-update', body: { itemId, position: { x, y: 0 }, version } });
const loaded = (version, parts) => applyBoard(createBoardState(), whole(version, parts));

test('002-6: a whole state is taken as it is, an older one only when asked for', () => {
  const state = loaded(5, { itemPositions: { a: { x: 1, y: 2 } }, actionItems: [] });
  assert.deepEqual(state.board.itemPositions, { a: { x: 1, y: 2 } });
  assert.ok(Array.isArray(state.board.actionItems), 'T2.3');
  const older = applyBoard(state, whole(4, { itemPositions: {} }));
  assert.deepEqual([older.board, older.stale], [state.board, true]);
  assert.deepEqual(applyBoard(awaitState(older), whole(4)).board.itemPositions, {});
  assert.equal(applyBoard(state, whole(5, { participants: ['u1'] })).board.participants.length, 1);
});

test('after a reconnect the whole state counts although it is lower: the board expired and began again', () => {
  const state = applyBoard(awaitState(loaded(500)), whole(1, { itemGroups: { a: 's' } }));
  assert.deepEqual([state.board.version, state.board.itemGroups], [1, { a: 's' }]);
  assert.equal(applyBoard(state, moved('a', 1, 2)).board.version, 2);
});

test('T2.6: what is said before the whole state is laid over it, unless it is in it', () => {
  let state = createBoardState();
  for (const event of [moved('a', 7, 7), moved('b', 8, 8)]) state = applyBoard(state, event);
  state = applyBoard(state, whole(7, { itemPositions: { a: { x: 70, y: 0 } } }));
  assert.deepEqual(state.board.itemPositions, { a: { x: 70, y: 0 }, b: { x: 8, y: 0 } });
});

test('002-5: versions are compared field by field', () => {
  let state = loaded(5);
  state = applyBoard(state, moved('b', 7, 7));
  state = applyBoard(state, moved('a', 6, 6));
  assert.deepEqual([state.board.itemPositions, state.board.version], [{ b: { x: 7, y: 0 }, a: { x: 6, y: 0 } }, 7]);
  assert.equal(applyBoard(state, moved('a', 5, 6)), state);
});

test('changes in any order end at the newest of every field', () => {
  for (let seed = 1; seed <= 50; seed += 1) {
    const random = seeded(seed);
    const events = Array.from({ length: 40 }, (_, i) => moved('abc'[Math.floor(random() * 3)], i, i + 1));
    const expected = {};
    for (const { body } of events) expected[body.itemId] = body.position;
    const shuffled = events.map((event) => [random(), event]).sort(([a], [b]) => a - b).map(([, event]) => event);
    const state = shuffled.reduce(applyBoard, loaded(0));
    assert.deepEqual(state.board.itemPositions, expected, `seed ${seed}`);
  }
});

test('a change older than the whole state makes it ask for another', () => {
  assert.equal(applyBoard(loaded(9), moved('a', 1, 3)).stale, true);
});

test('action items without a version, heard before the whole state, make it ask once more', () => {
  const state = applyBoard(createBoardState(), { type: 'action-items-update', body: [{ id: 1 }] });
  const taken = applyBoard(state, whole(3, { actionItems: [{ id: 2 }] }));
  assert.deepEqual([taken.stale, taken.board.actionItems], [true, [{ id: 2 }]]);
  assert.equal(applyBoard(applyBoard(awaitState(state), whole(3)), { type: 'action-items-update', body: [] }).stale, false);
});

test('every event of the board lands in its field', () => {
  let state = loaded(1, { allUserVotes: { u2: { 0: 1 } }, actionItems: [{ id: 'x' }] });
  const hear = (type, body) => { state = applyBoard(state, { type, body }); };
  hear('item-position-update', { itemPositions: { a: { x: 1, y: 1 }, __proto__x: { x: 2, y: 2 } }, version: 2 });
  hear('grouping-update', { itemGroups: { a: 's' }, signatureColors: { s: 'red' }, version: 3, lastUpdated: 'now' });
  hear('vote-update', { userId: 'u1', userVotes: { 1: 2 }, version: 4 });
  hear('user-votes', { userId: 'u3', userVotes: { 2: 1 } });
  hear('action-items-update', []);
  hear('something-else', {});
  assert.deepEqual(state.board, {
    itemPositions: { a: { x: 1, y: 1 }, __proto__x: { x: 2, y: 2 } }, itemGroups: { a: 's' }, signatureColors: { s: 'red' },
    actionItems: [], allUserVotes: { u2: { 0: 1 }, u1: { 1: 2 }, u3: { 2: 1 } }, participants: [], lastUpdated: 'now', version: 4,
  });
  hear('vote-update', { allUserVotes: { u9: {} }, version: 5 });
  hear('initial-voting-result', { allUserVotes: { u8: {} } });
  assert.deepEqual(state.board.allUserVotes, { u8: {} });
});

test('X1: an item called __proto__ is an item', () => {
  const state = applyBoard(loaded(0), moved('__proto__', 3, 1));
  assert.deepEqual(Object.keys(state.board.itemPositions), ['__proto__']);
});
