/** The chat's client against a server that is slow, away, or ahead of what it told. */
import assert from 'node:assert/strict';
import test, { afterEach, beforeEach, mock } from 'node:test';
import { serialize } from 'node:v8';
import { ChatClient } from '../../server/web/assets/chat-client.js';
import { ChatServer } from './chat-server.mjs';
import { settle } from './scripted-socket.mjs';

let server;
let chat;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout'] });
  globalThis.document = Object.assign(new EventTarget(), { hidden: false });
  server = new ChatServer();
});

afterEach(() => mock.timers.reset());

async function quiet() {
  for (let turn = 0; turn < 20; turn += 1) await settle();
}

async function started({ open } = {}) {
  chat = new ChatClient(server, 'agent');
  await quiet();
  if (open) await chat.open(open);
  await quiet();
}

const room = (roomId) => chat.state.rooms.find(({ room_id: id }) => id === roomId);
const seqs = () => chat.state.messages.map(({ seq }) => seq);
const range = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => from + at);

function look(hidden) {
  document.hidden = hidden;
  document.dispatchEvent(new Event('visibilitychange'));
}

async function away(work) {
  server.drop();
  work();
  server.open();
  await quiet();
}

test('more messages missed than a page has are behind “Earlier messages”', async () => {
  server.customer('a', 5);
  await started({ open: 'a' });
  await away(() => server.customer('a', 120));
  assert.deepEqual(seqs(), range(76, 125));
  assert.equal(chat.state.hasMore, true);
  server.asked.length = 0;
  server.customer('a', 3);
  await quiet();
  assert.deepEqual(server.asked, [], 'nothing is missing, so nothing is read again');
  await chat.older();
  await chat.older();
  assert.deepEqual(seqs(), range(1, 128));
  assert.equal(chat.state.hasMore, false);
});

test('messages missed within a page are there, with those known before', async () => {
  server.customer('a', 60);
  await started({ open: 'a' });
  await away(() => server.customer('a', 20));
  assert.deepEqual(seqs(), range(11, 80));
  assert.equal(chat.state.hasMore, true);
});

test('a message that never was told is read when the next one comes', async () => {
  server.customer('a', 2);
  await started({ open: 'a' });
  server.save('a');
  server.customer('a');
  await quiet();
  assert.deepEqual(seqs(), range(1, 4));
});

test('seqs that a store gave twice, after it lost some, are those of the later messages', async () => {
  server.customer('a', 4);
  await started({ open: 'a' });
  server.tell(server.save('a', { lost: 2 }));
  await quiet();
  assert.equal(room('a').last_message.id, server.rooms.get('a').messages.at(-1).id);
  server.customer('a');
  await quiet();
  assert.deepEqual(chat.state.messages.map(({ id }) => id), server.rooms.get('a').messages.map(({ id }) => id));
});

test('a list that could not be read is unknown, not empty, and read as soon as it can be', async () => {
  server.customer('a');
  server.failures = [503, 503];
  const said = [];
  await started();
  chat.on('error', (message) => said.push(message));
  assert.deepEqual([chat.state.rooms, chat.state.cursor], [[], undefined]);
  mock.timers.tick(700);
  await quiet();
  mock.timers.tick(1300);
  await quiet();
  assert.equal(room('a').unread_count, 1);
  assert.equal(chat.state.cursor, null);
  assert.deepEqual(said, ['503', '']);
});

test('a refused read is not repeated', async () => {
  server.failures = [403];
  await started();
  mock.timers.tick(60_000);
  await quiet();
  assert.equal(server.asked.length, 1);
});

test('the messages of an opened room are read again, too, until another is opened', async () => {
  server.customer('a', 3);
  server.customer('b', 3);
  await started();
  server.failures = [503];
  chat.open('a');
  await quiet();
  server.customer('a');
  assert.deepEqual([seqs(), chat.state.hasMore], [[4], null], 'whether there are earlier ones is not known');
  mock.timers.tick(700);
  await quiet();
  assert.deepEqual([seqs(), chat.state.hasMore], [range(1, 4), false]);
  server.failures = [503];
  chat.open('a');
  await quiet();
  chat.open('b');
  await quiet();
  server.asked.length = 0;
  mock.timers.tick(60_000);
  await quiet();
  assert.deepEqual([server.asked, seqs()], [[], range(1, 3)]);
});

test('the room that is open counts nothing as unread after a reconnect', async () => {
  server.customer('a', 2);
  await started({ open: 'a' });
  await away(() => server.customer('a', 2));
  assert.equal(room('a').unread_count, 0);
  assert.equal(server.readOf('a'), 4);
});

test('a message that came while nobody looked is read when somebody does', async () => {
  server.customer('a');
  await started({ open: 'a' });
  look(true);
  server.customer('a');
  assert.equal(server.readOf('a'), 1);
  look(false);
  assert.equal(server.readOf('a'), 2);
});

test('a message read while the server cannot take that is read when it can', async () => {
  const unavailable = { ok: false, error: { code: 'unavailable', retryable: true } };
  server.customer('a');
  server.answers['room:read'] = unavailable;
  await started({ open: 'a' });
  server.answers['room:read'] = { ok: true };
  server.sent.length = 0;
  mock.timers.tick(700);
  await quiet();
  assert.equal(server.readOf('a'), 1);
  server.answers['room:read'] = { ok: false, error: { code: 'not_found', retryable: false } };
  server.customer('a');
  await quiet();
  server.sent.length = 0;
  mock.timers.tick(60_000);
  await quiet();
  assert.deepEqual(server.of('room:read'), [], 'what was refused for good is not repeated');
});

test('a message told while the list is on its way is in it', async () => {
  server.customer('a');
  server.onRead = () => server.customer('a');
  await started();
  assert.deepEqual([room('a').unread_count, room('a').last_message_text], [2, 'm2']);
});

test('a message read before it is told counts once', async () => {
  server.customer('a');
  const late = server.save('a');
  await started();
  server.tell(late);
  assert.deepEqual([room('a').unread_count, room('a').message_count], [2, 2]);
});

test('the list goes on page by page, and is as long again after a reconnect', async () => {
  for (const id of range(1, 120)) server.customer(`r${id}`);
  await started();
  assert.equal(chat.state.rooms.length, 50);
  server.onRead = () => server.customer('r30');
  await chat.more();
  server.onRead = () => {};
  assert.deepEqual([chat.state.rooms.length, room('r30').unread_count], [100, 2]);
  server.customer('r1');
  mock.timers.tick(1000);
  await quiet();
  assert.deepEqual([chat.state.rooms[0].room_id, room('r1').unread_count], ['r1', 2]);
  await away(() => server.customer('r119'));
  assert.equal(chat.state.rooms.length, 101);
  assert.equal(chat.state.rooms[0].room_id, 'r119');
  await chat.more();
  assert.deepEqual([chat.state.rooms.length, chat.state.cursor], [120, null]);
});

test('a room that is not listed is read once for many messages, and again when that was refused', async () => {
  for (const id of range(1, 60)) server.customer(`r${id}`);
  await started();
  server.asked.length = 0;
  server.failures = [403];
  server.customer('r1', 20);
  mock.timers.tick(1000);
  await quiet();
  assert.deepEqual(server.asked, ['/rooms/r1?']);
  server.customer('r1', 20);
  server.customer('r2');
  mock.timers.tick(1000);
  await quiet();
  assert.deepEqual(server.asked, ['/rooms/r1?', '/rooms/r1?', '/rooms/r2?']);
  assert.equal(room('r1').unread_count, 41);
});

test('what is kept does not grow with the messages of rooms that are not open', async () => {
  server.customer('a', 99);
  await started();
  server.customer('a');
  const { length } = serialize(chat.state);
  server.customer('a', 70);
  assert.equal(serialize(chat.state).length, length);
});
