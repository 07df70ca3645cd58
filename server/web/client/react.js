import {
  createContext, createElement, useCallback, useContext, useEffect, useMemo, useRef, useState, useSyncExternalStore,
} from 'react';
import { MENU_CLOSED, createParticipantsMenu, fetchParticipants } from './participants.js';
import { sharedOn } from './sharing.js';

const Presence = createContext(undefined);
let byDefault;

/** Gives the hooks below it their socket: `{socket, baseUrl?, headers?, options?}`. A null socket makes them wait. */
export function PresenceProvider({ socket, baseUrl = '', headers, options, children }) {
  const value = useMemo(() => ({ socket, baseUrl, headers, options }), [socket, baseUrl, headers, options]);
  return createElement(Presence.Provider, { value }, children);
}

/** The socket of hooks without a provider above them; to be set before they render. */
export function setDefaultSocket(socket, { baseUrl = '', headers, options } = {}) {
  byDefault = socket && { socket, baseUrl, headers, options };
}

function usePresence() {
  const given = useContext(Presence) ?? byDefault;
  if (!given) throw new Error('no socket: put <PresenceProvider socket={…}> above, or call setDefaultSocket(socket)');
  return given;
}

/** A ref to what the last render was given, for callbacks that must not start an effect again. */
function useLatest(value) {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

const keyOf = (id) => (id === undefined || id === null ? null : String(id));

/**
 * Beats for a room joined elsewhere on this socket: at mount, then every 25 s, until unmount or a force-leave, which is
 * told once as `onForceLeave(message)`. The callback may be a new one on every render.
 */
export function useRoomHeartbeat(roomId, userId, onForceLeave) {
  const { socket, options } = usePresence();
  const latest = useLatest({ roomId, userId, onForceLeave });
  const [room, user] = [keyOf(roomId), keyOf(userId)];
  useEffect(() => {
    if (!socket || room === null) return undefined;
    const given = latest.current;
    return sharedOn(socket, options).client.keepAlive(given.roomId, given.userId, (...told) =>
      latest.current.onForceLeave?.(...told));
  }, [socket, room, user]);
}

/** The participants menu: `open()` reads the room anew, every time; nothing is kept while it is closed. */
export function useRoomParticipants(roomId) {
  const latest = useLatest({ ...usePresence(), roomId });
  const room = keyOf(roomId);
  const menu = useMemo(
    () => createParticipantsMenu((signal) => {
      const { baseUrl, headers, roomId: id } = latest.current;
      return fetchParticipants(baseUrl, id, { headers, signal });
    }),
    [room],
  );
  useEffect(() => menu.close, [menu]);
  const view = useSyncExternalStore(menu.subscribe, menu.view, () => MENU_CLOSED);
  return { ...view, open: menu.open, close: menu.close };
}

/** Takes a shared thing while mounted; null before, and where there is nothing to take. */
function useTaken(take, keys) {
  const [value, setValue] = useState(null);
  useEffect(() => {
    const hold = take();
    if (!hold) return undefined;
    setValue(hold.value);
    return () => {
      setValue(null);
      hold.release();
    };
  }, keys);
  return value;
}

function useView(source, waiting) {
  const subscribe = useCallback((listener) => source?.on('change', listener) ?? (() => {}), [source]);
  return useSyncExternalStore(subscribe, () => source?.view ?? waiting, () => waiting);
}

const ROOM_WAITS = Object.freeze({
  status: 'joining', participants: [], count: null, connections: null, mode: 'diffs', removal: null, error: null,
});

/**
 * The room live: joined at mount, left at unmount, shared with every other component on this socket that shows it.
 * A changed `user.username` or `user.data` is sent on; another `userId` needs another socket.
 */
export function useRoomPresence(roomId, user) {
  const { socket, options } = usePresence();
  const latest = useLatest({ roomId, user });
  const key = keyOf(roomId);
  const room = useTaken(() => {
    if (!socket || key === null) return null;
    const given = latest.current;
    return sharedOn(socket, options).takeRoom(key, given.roomId, given.user);
  }, [socket, key]);
  const view = useView(room, ROOM_WAITS);

  const record = JSON.stringify([user?.username, user?.data]);
  const sent = useRef(record);
  useEffect(() => {
    if (!room || sent.current === record) return;
    sent.current = record;
    room.update(latest.current.user);
  }, [room, record]);
  return useMemo(() => ({ ...view, room, leave: (how) => room?.leave(how) }), [view, room]);
}

const BOARD_WAITS = Object.freeze({
  status: 'connecting', error: null, state: null, loaded: false, version: 0, lastUpdated: null,
});

/** A retro board live: its state, the connection, errors, and in `board` the senders of every board event. */
export function useRetroRoomSocket(retroId, userId) {
  const { socket, options } = usePresence();
  const latest = useLatest({ retroId, userId });
  const [key, user] = [keyOf(retroId), keyOf(userId)];
  const board = useTaken(() => {
    if (!socket || key === null) return null;
    const given = latest.current;
    return sharedOn(socket, options).takeBoard(`${key}\n${user}`, given.retroId, given.userId);
  }, [socket, key, user]);
  const view = useView(board, BOARD_WAITS);
  return useMemo(
    () => ({ ...view, isConnected: view.status === 'online', board, reconnect: () => board?.reconnect() }),
    [view, board],
  );
}
