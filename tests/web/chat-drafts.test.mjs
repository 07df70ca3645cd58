/** What an agent writes to several customers at once. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { Drafts } from '../../server/web/assets/chat-drafts.js';

/** A `send` whose answers the test gives. */
function line() {
  const sent = [];
  return { sent, send: (draft) => new Promise((answer) => sent.push({ ...draft, answer })) };
}

test('each room has a draft of its own', () => {
  const drafts = new Drafts();
  drafts.write('a', 'to a');
  drafts.write('b', 'to b');
  assert.deepEqual(['a', 'b', 'c'].map((room) => drafts.textOf(room)), ['to a', 'to b', '']);
});

test('a draft is sent once at a time, and under the same id until it is changed', async () => {
  const drafts = new Drafts();
  const { sent, send } = line();
  await drafts.send('a', send);
  drafts.write('a', 'hello');
  const first = drafts.send('a', send);
  drafts.send('a', send);
  assert.deepEqual([sent.length, drafts.isSending('a'), drafts.isSending('b')], [1, true, false]);
  sent[0].answer(false);
  await first;
  assert.equal(drafts.textOf('a'), 'hello');
  const second = drafts.send('a', send);
  assert.equal(sent[1].id, sent[0].id);
  sent[1].answer(true);
  await second;
  assert.deepEqual([drafts.textOf('a'), drafts.isSending('a')], ['', false]);
  drafts.write('a', 'hello');
  drafts.send('a', send);
  assert.notEqual(sent[2].id, sent[0].id);
});

test('what was written while the answer was awaited stays', async () => {
  const drafts = new Drafts();
  const { sent, send } = line();
  drafts.write('a', 'hello');
  const done = drafts.send('a', send);
  drafts.write('a', 'hello again');
  sent[0].answer(true);
  await done;
  assert.equal(drafts.textOf('a'), 'hello again');
});
