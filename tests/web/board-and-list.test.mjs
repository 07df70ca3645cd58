/** A board, and a list of who is at it, on one socket: one presence room on the server. Taken and released as components do. */
import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { sharedOn } from '../../server/web/client/sharing.js';
import { RoomModel } from './room-model.mjs';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

/** Takes events in their order, each a turn after the one before, as a server does. */
class SerialServer extends ScriptedSocket {
  here = new Set();
  board = null;
  refused = null; // what joining a board is answered instead
  taken = [];
  pageSize = 100;
  model = new RoomModel();
  #before = Promise.resolve();

  emit(event, payload, ack = () => {}) {
    this.#before = this.#before.then(settle).then(() => {
      this.taken.push(event);
      const answer = this.#take(event, payload?.roomId ?? `retro:${payload}`, payload);
      ack(answer);
      if (answer.left) this.say('room:left', { roomId: answer.left, left: true });
    });
  }

  #take(event, room, { cursor } = {}) {
    if (event === 'join-retro-room') return this.#seat(room);
    if (event === 'leave-retro-room') return this.board === room ? this.#leave(room) : { ok: true, left: false };
    if (event === 'leave_room') return this.#leave(room);
    if (event === 'join_room') return this.#join(room);
    if (event === 'room:users:get') return this.model.page(cursor, this.pageSize);
    if (event !== 'room:heartbeat') return { ok: true, sync: 'diffs', epoch: 'e1', seq: 0, diffs: [] };
    return this.here.has(room) ? { ok: true, timestamp: 1, ttl: 1 } : refusal('not_in_room');
  }

  #join(room) {
    this.here.add(room);
    if (!this.model.at().has('u1')) this.model.join('u1');
    return { ...this.model.snapshot(this.pageSize), roomId: room };
  }

  #seat(room) {
    if (this.refused) return this.refused;
    if (this.board && this.board !== room) return refusal('forbidden');
    this.board = room;
    this.here.add(room);
    return { ok: true };
  }

  #leave(room) {
    if (this.board === room) this.board = null;
    return { ok: true, left: this.here.delete(room) && room };
  }

  putOut(reason) {
    const [room] = this.here;
    this.here.clear();
    this.board = null;
    this.say('room:force-leave', { roomId: room, reason, message: 'gone' });
  }

  /** The joins and leaves taken, in short. */
  get moves() {
    return this.taken.filter((event) => /join|leave/.test(event)).join(' ');
  }
}

async function turns() {
  for (let n = 0; n < 40; n += 1) await settle();
}

function scene(t) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
  const server = new SerialServer();
  const shared = sharedOn(server, { random: () => 0.5 });
  return {
    server,
    rooms: () => shared.client.rooms,
    board: (id = 'b1') => shared.takeBoard(`${id}\nu1`, id, 'u1'),
    list: () => shared.takeRoom('retro:b1', 'retro:b1', { userId: 'u1' }),
    /** Nobody holds anything any more: nothing of it may go on. */
    async empty() {
      await turns();
      mock.timers.tick(60_000);
      await turns();
      assert.deepEqual([[...server.here], shared.client.rooms.length, server.listenerCount], [[], 0, 0]);
    },
  };
}

test('a list that is closed leaves the board as it is, and its beats go on', async (t) => {
  const { server, board, list, empty } = scene(t);
  const [b, first] = [board(), list()];
  await turns();
  assert.deepEqual([b.value.status, first.value.status], ['online', 'online']);
  first.release();
  await turns();
  const beats = server.taken.filter((event) => event === 'room:heartbeat').length;
  mock.timers.tick(25_000);
  await turns();
  assert.equal(server.taken.filter((event) => event === 'room:heartbeat').length, beats + 1);
  assert.deepEqual([b.value.status, [...server.here]], ['online', ['retro:b1']]);
  const second = list();
  await turns();
  assert.deepEqual([second.value.status, second.value.count], ['online', 1]);
  server.putOut('kicked');
  await turns();
  assert.deepEqual([b.value.status, second.value.status], ['removed', 'removed']);
  b.release();
  second.release();
  await empty();
});

test('a list that is closed before it was let in only beats, and follows nothing', async (t) => {
  const { server, board, list, empty } = scene(t);
  const b = board();
  await turns();
  const l = list();
  server.say('room:diff', { roomId: 'retro:b1' });
  l.release();
  await turns();
  assert.deepEqual(server.taken.filter((event) => /sync|users/.test(event)), []);
  assert.deepEqual([b.value.status, l.value.count, [...server.here]], ['online', null, ['retro:b1']]);
  b.release();
  await empty();
});

test('a list that is closed asks for no more of its pages', async (t) => {
  const { server, board, list, empty } = scene(t);
  server.pageSize = 1;
  for (const user of ['a', 'b', 'c', 'd', 'e']) server.model.join(user);
  const b = board();
  await turns();
  const l = list();
  while (!server.taken.includes('room:users:get')) await settle();
  l.release();
  await turns();
  const asked = server.taken.filter((event) => event === 'room:users:get').length;
  assert.ok(asked <= 2, `one may have been under way: ${asked}`);
  assert.equal(b.value.status, 'online');
  b.release();
  await empty();
});

test('a list goes on when the board is closed', async (t) => {
  const { server, board, list, empty } = scene(t);
  const b = board();
  await turns();
  const l = list();
  await turns();
  const told = [];
  l.value.on('status', (status) => told.push(status));
  b.release();
  await turns();
  assert.equal(server.moves, 'join-retro-room join_room leave-retro-room join_room');
  assert.deepEqual(told, ['reconnecting', 'online']);
  assert.deepEqual([l.value.status, l.value.count, [...server.here]], ['online', 1, ['retro:b1']]);
  l.release();
  await empty();
});

test('a list that comes as the board goes is in, whatever is under way', async (t) => {
  const { server, board, list, empty } = scene(t);
  const b = board();
  await turns();
  b.release();
  const l = list();
  await turns();
  assert.deepEqual([l.value.status, [...server.here], server.board], ['online', ['retro:b1'], null]);
  l.release();
  await empty();
});

test('a board that comes as the list goes is open', async (t) => {
  const { server, board, list, empty } = scene(t);
  const l = list();
  await turns();
  l.release();
  const b = board();
  await turns();
  assert.deepEqual([b.value.status, [...server.here]], ['online', ['retro:b1']]);
  b.release();
  await empty();
});

test('another board in place of the first is joined once that is left', async (t) => {
  const { server, board, empty } = scene(t);
  const b1 = board('b1');
  await turns();
  b1.release();
  const b2 = board('b2');
  await turns();
  assert.deepEqual([b2.value.status, b2.value.view.error, server.board], ['online', null, 'retro:b2']);
  assert.equal(server.moves, 'join-retro-room leave-retro-room join-retro-room');
  b2.release();
  await empty();
});

test('a board and its list that go together leave, and nothing joins', async (t) => {
  const { server, board, list, empty } = scene(t);
  const [b, l] = [board(), list()];
  await turns();
  b.release();
  l.release();
  await turns();
  assert.equal(server.moves, 'join_room join-retro-room leave-retro-room leave_room');
  await empty();
});

for (const [why, end] of [
  ['was kicked', ({ server }) => server.putOut('kicked')],
  ['left', ({ l }) => l.value.leave()],
]) {
  test(`whoever ${why} is not brought back by the end of the board`, async (t) => {
    const { server, board, list, empty } = scene(t);
    const [b, l] = [board(), list()];
    await turns();
    end({ server, l });
    b.release();
    await turns();
    assert.deepEqual([l.value.ended, [...server.here]], [true, []]);
    l.release();
    await empty();
  });
}

test('a board that is closed without a connection leaves it to the list to ask first', async (t) => {
  const { server, board, list, empty } = scene(t);
  const [b, l] = [board(), list()];
  await turns();
  server.drop();
  server.here.clear();
  server.board = null;
  b.release();
  await turns();
  server.taken.length = 0;
  server.open();
  await turns();
  assert.deepEqual([server.taken, [...server.here]], [['room:heartbeat'], []]);
  mock.timers.tick(10_000);
  await turns();
  assert.equal(l.value.status, 'removed');
  l.release();
  await empty();
});

test('a list beside a board that was refused leaves for itself', async (t) => {
  const { server, board, list, empty } = scene(t);
  server.refused = refusal('forbidden');
  const [b, l] = [board(), list()];
  await turns();
  assert.deepEqual([b.value.view.error.code, l.value.status], ['forbidden', 'online']);
  l.release();
  await turns();
  assert.deepEqual([...server.here], []);
  b.release();
  await empty();
});

test('a list beside a board that tries to come back leaves for itself', async (t) => {
  const { server, board, list, empty } = scene(t);
  const b = board();
  await turns();
  server.refused = refusal('unavailable', true);
  server.putOut('node_lost');
  await turns();
  const l = list();
  await turns();
  assert.deepEqual([b.value.status, l.value.status], ['reconnecting', 'online']);
  l.release();
  await turns();
  assert.deepEqual([...server.here], []);
  b.release();
  await empty();
});
