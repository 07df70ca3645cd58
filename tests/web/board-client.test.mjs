import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { createBoardClient } from '../../server/web/client/board-client.js';
import { emptyBoard } from '../../server/web/client/board-state.js';
import { createPresenceClient } from '../../server/web/client/presence-client.js';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

async function enter(t, answers = {}) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  const socket = new ScriptedSocket();
  socket.answers = { 'join-retro-room': { ok: true }, ...answers };
  const board = createBoardClient(socket, 'b1', 'u1', { random: () => 0.5 });
  await settle();
  return { socket, board };
}

const whole = (version, parts) => ({ ...emptyBoard(), ...parts, version });

test('002-3: joins, shows the state, and joins again after a reconnect', async (t) => {
  const { socket, board } = await enter(t);
  assert.deepEqual(socket.of('join-retro-room'), ['b1']);
  assert.deepEqual([board.status, board.view.loaded], ['online', false]);
  socket.say('retro-state:b1', whole(3, { itemPositions: { a: { x: 1, y: 1 } } }));
  assert.deepEqual([board.view.loaded, board.view.version, board.view.state.itemPositions.a.x], [true, 3, 1]);
  assert.equal(board.view, board.view);
  socket.drop();
  assert.equal(board.status, 'reconnecting');
  assert.equal(board.view.state.itemPositions.a.x, 1, 'what was seen stays on the screen');
  socket.open();
  await settle();
  assert.equal(socket.of('join-retro-room').length, 2);
  socket.say('retro-state:b1', whole(0));
  assert.deepEqual([board.status, board.view.version], ['online', 0]);
});

test('002-3: a join that finds the store away is tried again; the error shows and goes', async (t) => {
  const refusals = [refusal('unavailable', true)];
  const { socket, board } = await enter(t, { 'join-retro-room': () => refusals.shift() ?? { ok: true } });
  assert.deepEqual([board.status, board.view.error.code], ['connecting', 'unavailable']);
  await pass(500);
  assert.deepEqual([board.status, board.view.error, socket.of('join-retro-room').length], ['online', null, 2]);
});

test('the server ends the connection: it is opened again', async (t) => {
  const { socket } = await enter(t);
  socket.drop('io server disconnect');
  await pass(500);
  assert.equal(socket.connects, 1);
});

test('T2.10: a drag of 60 moves a second is seen here at once and sent at most every 50 ms, the last place always', async (t) => {
  const { socket, board } = await enter(t, { 'item-position-update': { ok: true } });
  for (let i = 1; i <= 60; i += 1) {
    board.moveItem('a', { x: i, y: 0 });
    assert.equal(board.view.state.itemPositions.a.x, i);
    await pass(16);
  }
  await pass(50);
  const sent = socket.of('item-position-update');
  assert.ok(sent.length >= 10 && sent.length <= 20, `${sent.length} sent`);
  assert.deepEqual(sent.at(-1), { retroId: 'b1', itemId: 'a', position: { x: 60, y: 0 }, userId: 'u1', source: 'drag' });
});

test('an item under the hand does not jump: echoes and foreign moves wait for our own', async (t) => {
  const { socket, board } = await enter(t);
  socket.say('retro-state:b1', whole(1));
  board.moveItem('a', { x: 5, y: 0 });
  await pass(50);
  const say = (x, userId, version) => socket.say('item-position-update:b1', { itemId: 'a', position: { x, y: 0 }, userId, version });
  board.moveItem('a', { x: 6, y: 0 });
  say(5, 'u1', 2);
  assert.equal(board.view.state.itemPositions.a.x, 6);
  socket.answer('item-position-update', { ok: true, version: 2 });
  await settle();
  assert.equal(board.view.state.itemPositions.a.x, 6);
  await pass(50);
  socket.answer('item-position-update', { ok: true, version: 3 });
  await settle();
  assert.equal(board.view.state.itemPositions.a.x, 6, 'the echo of the first is older than our second');
  say(9, 'u2', 4);
  assert.equal(board.view.state.itemPositions.a.x, 9);
  board.moveItem('a', { x: 7, y: 0 });
  await pass(50);
  say(8, 'u2', 6);
  socket.answer('item-position-update', { ok: true, version: 5 });
  await settle();
  assert.equal(board.view.state.itemPositions.a.x, 8, 'the other one was later');
});

test('a refused move asks for the board as it is', async (t) => {
  const { socket, board } = await enter(t, { 'item-position-update': refusal('invalid_input') });
  socket.say('retro-state:b1', whole(4, { itemPositions: { a: { x: 1, y: 1 } } }));
  board.moveItem('a', { x: 5, y: 0 });
  await pass(50);
  assert.deepEqual(socket.of('request-retro-state'), [{ retroId: 'b1' }]);
  socket.say('retro-state:b1', whole(4, { itemPositions: { a: { x: 1, y: 1 } } }));
  assert.deepEqual([board.view.state.itemPositions.a.x, board.view.error.code], [1, 'invalid_input']);
});

test('changes of a board that began again ask for it, at most every 2 s', async (t) => {
  const { socket, board } = await enter(t);
  socket.say('retro-state:b1', whole(100));
  for (let version = 1; version < 5; version += 1) {
    socket.say('grouping-update:b1', { itemGroups: { a: 's' }, signatureColors: {}, version });
  }
  assert.equal(socket.of('request-retro-state').length, 1);
  socket.say('retro-state:b1', whole(4, { itemGroups: { a: 's' } }));
  assert.deepEqual([board.view.version, board.view.state.itemGroups], [4, { a: 's' }]);
});

test('a board that went back, as Redis lost its last second, is shown as it is', async (t) => {
  const { socket, board } = await enter(t, { 'request-retro-state': { ok: true } });
  socket.say('retro-state:b1', whole(4, { itemPositions: { a: { x: 1, y: 1 } } }));
  socket.say('item-position-update:b1', { itemId: 'a', position: { x: 9, y: 9 }, version: 5 });
  socket.say('retro-state:b1', whole(4, { itemPositions: { a: { x: 1, y: 1 } } }));
  assert.deepEqual([board.view.state.itemPositions.a.x, socket.of('request-retro-state').length], [9, 1]);
  socket.say('retro-state:b1', whole(4, { itemPositions: { a: { x: 1, y: 1 } } }));
  assert.equal(board.view.state.itemPositions.a.x, 1);
  socket.say('item-position-update:b1', { itemId: 'a', position: { x: 5, y: 5 }, version: 5 });
  assert.equal(board.view.state.itemPositions.a.x, 5, 'the version counts again');
});

test('section by section: every sender says its event', async (t) => {
  const { socket, board } = await enter(t);
  board.requestState();
  board.layOut({ a: { x: 1, y: 1 } });
  board.group({ a: 's' }, { s: 'red' });
  board.vote(0, 2, { 0: 2 });
  board.requestUserVotes();
  board.requestVotingResult();
  board.addActionItem({ task: 't', assigneeId: 'u2', assigneeName: 'Bo' });
  board.updateActionItem('i1', { task: 'new' });
  board.deleteActionItem('i1');
  board.changePhase({ phase: 'vote' });
  board.updateLabel({ signature: 's', label: 'L' });
  board.submitVote({ x: 1 });
  board.typing({ itemId: 'a' });
  const retroId = 'b1';
  assert.deepEqual(socket.sent.slice(1).map(({ event, payload }) => [event, payload]), [
    ['request-retro-state', { retroId }],
    ['item-position-update', { retroId, itemPositions: { a: { x: 1, y: 1 } }, userId: 'u1', source: 'init-layout' }],
    ['grouping-update', { retroId, itemGroups: { a: 's' }, signatureColors: { s: 'red' }, userId: 'u1' }],
    ['vote-update', { retroId, groupId: 0, votes: 2, userId: 'u1', userVotes: { 0: 2 } }],
    ['request-user-votes', { retroId, userId: 'u1' }],
    ['request-voting-result', { retroId, userId: 'u1' }],
    ['action-item-added', { retroId, task: 't', assigneeId: 'u2', assigneeName: 'Bo', createdBy: 'u1' }],
    ['action-item-updated', { retroId, actionItemId: 'i1', task: 'new', updatedBy: 'u1' }],
    ['action-item-deleted', { retroId, actionItemId: 'i1' }],
    ['phase-change', { retroId, phase: 'vote' }],
    ['label-update', { retroId, signature: 's', label: 'L' }],
    ['vote-submission', { retroId, x: 1 }],
    ['typing', { retroId, itemId: 'a' }],
  ]);
});

test('relayed events are told, another board\'s are not', async (t) => {
  const { socket, board } = await enter(t);
  const heard = [];
  board.on('typing', (body) => heard.push(body));
  socket.say('typing:b1', { userId: 'u2' });
  socket.say('typing:b2', { userId: 'u3' });
  socket.say('retro-state:b2', whole(9));
  socket.say('user-votes:b1:u1', { userVotes: { 0: 1 } });
  assert.deepEqual([heard, board.view.version, board.view.state.allUserVotes], [[{ userId: 'u2' }], 0, { u1: { 0: 1 } }]);
});

test('close leaves the board once and lets go of the socket', async (t) => {
  const { socket, board } = await enter(t);
  board.close();
  board.close();
  board.moveItem('a', { x: 1, y: 1 });
  await pass(60_000);
  assert.deepEqual([socket.of('leave-retro-room'), socket.listenerCount, board.status], [['b1'], 0, 'closed']);
  assert.equal(socket.of('item-position-update').length, 0);
});

test('with a presence client the board beats for its presence room, behind its join', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  const socket = new ScriptedSocket();
  socket.answers = { 'join-retro-room': { ok: true }, 'room:heartbeat': { ok: true, timestamp: 1, ttl: 1 } };
  const board = createBoardClient(socket, 'b1', 'u1', { presence: createPresenceClient(socket) });
  await settle();
  await pass(25_000);
  assert.deepEqual(socket.sent.map(({ event }) => event), ['join-retro-room', 'room:heartbeat', 'room:heartbeat']);
  assert.equal(socket.of('room:heartbeat')[0].roomId, 'retro:b1');
  socket.say('room:force-leave', { roomId: 'retro:b1', message: 'lost', reason: 'node_lost' });
  await settle();
  const joins = ['join-retro-room', 'room:heartbeat', 'room:heartbeat', 'join-retro-room', 'room:heartbeat'];
  assert.deepEqual([board.status, socket.sent.map(({ event }) => event)], ['online', joins], 'and again after its server was lost');
  await pass(25_000);
  assert.equal(socket.of('room:heartbeat').length, 4);
});

test('kicked or timed out, a board is removed until it is told to come back', async (t) => {
  const { socket, board } = await enter(t);
  const told = [];
  board.on('status', (status) => told.push(status));
  socket.say('room:force-leave', { roomId: 'retro:other', message: 'another', reason: 'kicked' });
  assert.equal(board.status, 'online');
  socket.say('room:force-leave', { roomId: 'retro:b1', message: 'out', reason: 'kicked' });
  assert.deepEqual([board.status, board.view.error.code, board.view.error.message], ['removed', 'not_in_room', 'out']);
  board.moveItem('a', { x: 1, y: 1 });
  socket.drop();
  socket.open();
  await pass(60_000);
  assert.deepEqual([board.status, socket.of('join-retro-room').length, board.view.state.itemPositions], ['removed', 1, {}]);
  board.reconnect();
  await settle();
  assert.deepEqual(told, ['removed', 'reconnecting', 'online']);
  socket.say('room:force-leave', { roomId: 'retro:b1', message: 'idle', reason: 'inactivity_timeout' });
  assert.equal(board.status, 'removed');
});

test('beats that ended before the board was joined begin again with it', async (t) => {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  const refusals = [refusal('unavailable', true)];
  const socket = new ScriptedSocket();
  socket.answers = {
    'join-retro-room': () => refusals.shift() ?? { ok: true },
    'room:heartbeat': { ok: true, timestamp: 1, ttl: 1 },
  };
  const board = createBoardClient(socket, 'b1', 'u1', { presence: createPresenceClient(socket), random: () => 0.5 });
  await settle();
  socket.say('room:force-leave', { roomId: 'retro:b1', message: 'out', reason: 'not_in_room' });
  await pass(500);
  assert.equal(board.status, 'online');
  const before = socket.of('room:heartbeat').length;
  await pass(25_000);
  assert.equal(socket.of('room:heartbeat').length, before + 1);
});

test('a board left everywhere by another page is removed, and a connection that is closed then stays closed', async (t) => {
  const { socket, board } = await enter(t);
  socket.say('room:left', { roomId: 'retro:b1', left: true });
  assert.equal(board.status, 'removed');
  socket.drop('io server disconnect');
  await pass(60_000);
  assert.deepEqual([board.status, socket.connects], ['removed', 0]);
  board.reconnect();
  assert.deepEqual([board.status, socket.connects], ['reconnecting', 1]);
});

for (const code of ['forbidden', 'invalid_input', 'too_large']) {
  test(`${code}: a refusal for good leaves it to the caller to ask again`, async (t) => {
    const refusals = [refusal(code)];
    const { socket, board } = await enter(t, { 'join-retro-room': () => refusals.shift() ?? { ok: true } });
    socket.drop();
    socket.open();
    await pass(60_000);
    assert.deepEqual([board.status, board.view.error.code, socket.of('join-retro-room').length], ['removed', code, 1]);
    board.reconnect();
    await settle();
    assert.equal(board.status, 'online');
  });
}

for (const code of ['rate_limited', 'internal', 'unauthorized', 'room_full']) {
  test(`${code}: a refusal that time or a fresh token mends is asked again, ever less often`, async (t) => {
    const { socket, board } = await enter(t, { 'join-retro-room': refusal(code) });
    assert.deepEqual([board.status, board.view.error.code], ['connecting', code]);
    for (let second = 0; second < 60; second += 1) await pass(1000);
    const tries = socket.of('join-retro-room').length;
    assert.ok(tries > 4 && tries < 9, `${tries} tries in a minute`);
    socket.answers['join-retro-room'] = { ok: true };
    socket.drop();
    socket.open();
    await settle();
    assert.deepEqual([board.status, board.view.error], ['online', null]);
    await pass(60_000);
    assert.equal(socket.of('join-retro-room').length, tries + 1);
  });
}

for (const [what, wholeVersion, shown] of [['before', 3, 9], ['after', 7, 1]]) {
  test(`a whole state of ${what} a move that is under way`, async (t) => {
    const { socket, board } = await enter(t);
    board.moveItem('a', { x: 9, y: 9 });
    await pass(50);
    socket.say('retro-state:b1', whole(wholeVersion, { itemPositions: { a: { x: 1, y: 1 } } }));
    socket.answer('item-position-update', { ok: true, version: 5, lastUpdated: 'then' });
    await settle();
    assert.equal(board.view.state.itemPositions.a.x, shown);
    assert.equal(board.view.version, Math.max(wholeVersion, 5));
    socket.say('item-position-update:b1', { itemId: 'a', position: { x: 9, y: 9 }, version: 5 });
    assert.equal(board.view.state.itemPositions.a.x, shown, 'its echo');
  });
}

test('a state that could not be read is asked for again: a move that was refused does not stay on the screen', async (t) => {
  const refusals = [refusal('unavailable', true), refusal('unavailable', true)];
  const { socket, board } = await enter(t, {
    'item-position-update': refusal('unavailable', true),
    'request-retro-state': () => refusals.shift() ?? { ok: true },
  });
  socket.say('retro-state:b1', whole(3, { itemPositions: { a: { x: 1, y: 1 } } }));
  board.moveItem('a', { x: 9, y: 9 });
  await pass(50);
  for (let i = 0; i < 5; i += 1) await pass(2000);
  assert.equal(socket.of('request-retro-state').length, 3);
  socket.say('retro-state:b1', whole(3, { itemPositions: { a: { x: 1, y: 1 } } }));
  assert.equal(board.view.state.itemPositions.a.x, 1);
});

test('a clock set back three hours does not keep a refused move on the screen', async (t) => {
  const { socket, board } = await enter(t, { 'item-position-update': refusal('invalid_input'), 'request-retro-state': { ok: true } });
  socket.say('retro-state:b1', whole(3, { itemPositions: { a: { x: 1, y: 1 } } }));
  await board.requestState();
  socket.say('retro-state:b1', whole(3, { itemPositions: { a: { x: 1, y: 1 } } }));
  const real = Date.now;
  t.mock.method(Date, 'now', () => real() - 3 * 3_600_000);
  board.moveItem('a', { x: 9, y: 9 });
  for (let i = 0; i < 5; i += 1) await pass(1000);
  assert.ok(socket.of('request-retro-state').length >= 2);
});
