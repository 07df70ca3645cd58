import { mock } from 'node:test';
import { POPUP, createPresenceClient } from '../../server/web/client/presence-client.js';
import { RoomModel } from './room-model.mjs';
import { ScriptedSocket, refusal, settle } from './scripted-socket.mjs';

export const BEAT_OK = { ok: true, timestamp: 1, ttl: 21_600_000 };
export const LOST = refusal('not_in_room');
export const FORCED = { roomId: 'r', userId: 'u1', message: 'gone', popup: POPUP, reason: 'inactivity_timeout', timestamp: 7 };

class Page extends EventTarget {
  document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
}

export let page;

/** A joined room over a scripted socket, under mocked time. */
export async function enter(t, { options, answers, model = populated('a', 'u1') } = {}) {
  useClock(t);
  const socket = new ScriptedSocket();
  socket.answers = { join_room: () => model.snapshot(), 'room:heartbeat': BEAT_OK, leave_room: { ok: true, left: true }, ...answers };
  const client = createPresenceClient(socket, { random: () => 0.5, page, ...options });
  const room = client.joinRoom('r', { userId: 'u1', username: 'Ada' });
  const log = listenTo(room);
  await settle();
  return { socket, client, room, model, log };
}

export function useClock(t) {
  page = new Page();
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
}

export function populated(...users) {
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

export async function pass(ms) {
  mock.timers.tick(ms);
  await settle();
}

export const names = (room) => room.participants.map(({ userId }) => userId);
