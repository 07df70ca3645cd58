import { createRequests, keepConnected } from './connection.js';
import { Room } from './room.js';
import { idOf } from './room-state.js';
import { createSchedule, onWake } from './schedule.js';

export { POPUP } from './room.js';
export { PresenceError } from './connection.js';

const FOR_ROOMS = ['room:diff', 'room:count', 'room:mode', 'room:left', 'room:force-leave'];

const DEFAULTS = {
  heartbeatInterval: 25_000,
  ackTimeoutMs: 10_000,
  forceLeaveWait: 4000, // the server gives a beat that overtook its join 3 s before the force-leave
  rejoin: 'never',
  reconnect: true,
  random: Math.random,
};

/**
 * Presence over one `socket.io-client` socket. Timers and listeners exist only while a room is open.
 *
 * After a reconnect every room beats first. A beat is never a silent way back in: where the server still holds us it
 * takes the beat as ours and the room catches up; where it answers `not_in_room` (it restarted, say) the room emits
 * one `force-leave` and is `removed`, so that the user decides. `rejoin: 'always'` joins anew instead, without a
 * popup, unless the user was kicked: right for displays and bots.
 */
export function createPresenceClient(socket, options = {}) {
  const rooms = new Map();
  const settings = { ...DEFAULTS, ...options };
  const page = options.page ?? globalThis;
  const schedule = createSchedule();
  const requests = createRequests(socket, settings, rest);
  const each = (work) => [...rooms.values()].forEach(work);
  let unlisten = null;
  let slept = false;
  const line = keepConnected(socket, {
    schedule,
    random: settings.random,
    wanted: () => settings.reconnect && rooms.size > 0,
  });

  const listeners = {
    connect() {
      line.made();
      each((room) => room.step());
    },
    disconnect(reason) {
      requests.failAll();
      each((room) => room.offline());
      line.lost(reason);
    },
    connect_error(reason) {
      const error = line.refused(reason);
      if (error) each((room) => room.unconnected(error));
    },
  };
  for (const event of FOR_ROOMS) listeners[event] = (body) => rooms.get(idOf(body.roomId))?.receive(event, body);

  /** A frozen page answers no ping, and would be shown to the others until the server gave it up. */
  function sleep() {
    slept = socket.connected;
    if (slept) socket.io?.engine?.close();
  }

  function wake() {
    if (slept && !socket.connected) socket.connect();
    slept = false;
    each((room) => room.wake());
  }

  function listen() {
    if (unlisten) return;
    const asleep = onWake(page, wake, sleep);
    for (const event of Object.keys(listeners)) socket.on(event, listeners[event]);
    unlisten = () => {
      asleep();
      for (const event of Object.keys(listeners)) socket.off(event, listeners[event]);
    };
  }

  /** Lets go of everything once no room is open and no answer awaited. */
  function rest() {
    if (rooms.size) return;
    line.stop();
    if (requests.open.size || !unlisten) return;
    unlisten();
    unlisten = null;
  }

  const link = {
    send: requests.send,
    connected: () => socket.connected,
    schedule,
    options: settings,
    drop(room) {
      const key = idOf(room.roomId);
      if (rooms.get(key) === room) rooms.delete(key);
      rest();
    },
  };

  function open(roomId, user, joins) {
    const room = new Room(roomId, user, joins, link);
    rooms.set(idOf(roomId), room);
    listen();
    line.connect();
    room.step();
    return room;
  }

  return {
    socket,
    get rooms() {
      return [...rooms.values()];
    },

    /** Joins a room, or returns the open one of this id. `user` may be left out where the handshake names it. */
    joinRoom(roomId, user = {}) {
      const room = rooms.get(idOf(roomId));
      if (!room) return open(roomId, user, true);
      if (!room.joins) room.claim(user);
      return room;
    },

    /**
     * Only beats for a room that is joined elsewhere on this socket, until the returned function is called or a
     * force-leave came, which is told once: `onForceLeave(message, body)`. A room this client joined beats already.
     */
    keepAlive(roomId, userId, onForceLeave) {
      const room = rooms.get(idOf(roomId)) ?? open(roomId, { userId }, false);
      const off = room.on('force-leave', (body) => onForceLeave(body.message, body));
      room.keepers.add(off);
      return () => {
        off();
        // A component that is unmounted and mounted again at once takes the room over, with no beat between.
        queueMicrotask(() => room.keepers.delete(off) && !room.keepers.size && !room.joins && room.stop());
      };
    },

    /** Leaves every joined room and lets go of the socket, which stays open. */
    close() {
      return Promise.all(this.rooms.map((room) => (room.joins ? room.leave() : room.stop())));
    },
  };
}
