import assert from 'node:assert/strict';
import test from 'node:test';
import { Ballot } from '../../server/web/assets/board-votes.js';

const GROUPS = ['a', 'b'];

function boardAt(version, votes = {}) {
  const sent = [];
  const board = {
    view: { state: { version, allUserVotes: { me: votes, other: { a: 2 } } } },
    vote: (groupId, n, userVotes) => new Promise((resolve) => sent.push({ groupId, n, userVotes, resolve })),
  };
  const hear = (next, mine) => {
    board.view = { state: { version: next, allUserVotes: { me: mine, other: { a: 2 } } } };
  };
  return { board, sent, hear, state: () => board.view.state };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('a second vote before the answer to the first builds on it, and both are shown at once', async () => {
  const { board, sent, hear, state } = boardAt(7);
  const ballot = new Ballot('me');
  ballot.cast(board, GROUPS, 'a', 1);
  ballot.cast(board, GROUPS, 'b', 1);
  assert.deepEqual(sent.map(({ groupId, n, userVotes }) => [groupId, n, userVotes]), [['a', 1, { a: 1 }], ['b', 1, { a: 1, b: 1 }]]);
  assert.deepEqual([ballot.votes(state()), ballot.spent(state(), GROUPS), ballot.total(state(), 'a')], [{ a: 1, b: 1 }, 2, 3]);
  sent[0].resolve({ ok: true, version: 8 });
  await turn();
  hear(8, { a: 1 });
  assert.deepEqual(ballot.votes(state()), { a: 1, b: 1 }, 'the echo of the first is older');
  sent[1].resolve({ ok: true, version: 9 });
  await turn();
  assert.deepEqual(ballot.votes(state()), { a: 1, b: 1 }, 'nor does the ack that comes before its echo take it back');
  hear(9, { b: 3 });
  assert.deepEqual(ballot.votes(state()), { b: 3 }, 'from now on the board is right');
});

test('a vote that is refused goes back to what the board says', async () => {
  const { board, sent, state } = boardAt(7, { b: 1 });
  const ballot = new Ballot('me');
  ballot.cast(board, GROUPS, 'a', 1);
  assert.equal(ballot.spent(state(), GROUPS), 2);
  sent[0].resolve({ ok: false, error: { code: 'disconnected', message: 'no connection', retryable: true } });
  await turn();
  assert.deepEqual(ballot.votes(state()), { b: 1 });
});

test('a board that began anew counts, and votes for groups that are gone are not sent on', async () => {
  const { board, sent, hear, state } = boardAt(7, { gone: 2 });
  const ballot = new Ballot('me');
  ballot.cast(board, GROUPS, 'a', 1);
  assert.deepEqual(sent[0].userVotes, { a: 1 });
  sent[0].resolve({ ok: true, version: 8 });
  await turn();
  hear(0, {});
  assert.deepEqual(ballot.votes(state()), {});
});
