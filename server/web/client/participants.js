import { PresenceError } from './connection.js';

/**
 * Reads who is in a room now, as `{count, users: [{userId, username}], nextCursor?}`, never from a cache.
 * Throws `PresenceError` (`unavailable` also for an answer that is not the server's): a failure is never an empty room.
 */
export async function fetchParticipants(baseUrl, roomId, { signal, headers, limit, cursor } = {}) {
  const query = new URLSearchParams();
  if (limit !== undefined) query.set('limit', limit);
  if (cursor !== undefined) query.set('cursor', cursor);
  const path = `/api/chatroom/${encodeURIComponent(roomId)}/participants`;
  const url = `${baseUrl.replace(/\/+$/, '')}${path}?${query}`.replace(/\?$/, '');
  const body = await read(url, { signal, headers, cache: 'no-store' });
  if (!Number.isInteger(body?.count) || !Array.isArray(body.users)) throw unreadable(url);
  return body;
}

async function read(url, init) {
  let response;
  let body;
  try {
    response = await fetch(url, init);
    body = await response.json();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw unreadable(url);
  }
  if (!response.ok) throw body?.error?.code ? new PresenceError(body.error) : unreadable(url);
  return body;
}

const unreadable = (url) =>
  new PresenceError({ code: 'unavailable', message: `no participants from ${url}`, retryable: true });

export const MENU_CLOSED = Object.freeze({ isOpen: false, count: null, users: [], loading: false, error: null });

/**
 * The participants menu without its looks: it holds nothing while closed, and reads anew on every open.
 * `load(signal)` is the reading; the answer of an earlier open is dropped.
 */
export function createParticipantsMenu(load) {
  const listeners = new Set();
  let view = MENU_CLOSED;
  let reading = null;

  function show(next) {
    view = next;
    for (const listener of [...listeners]) listener();
  }

  function close() {
    reading?.abort();
    reading = null;
    if (view !== MENU_CLOSED) show(MENU_CLOSED);
  }

  async function open() {
    reading?.abort();
    const mine = new AbortController();
    reading = mine;
    show({ ...MENU_CLOSED, isOpen: true, loading: true });
    let result;
    try {
      const { count, users } = await load(mine.signal);
      result = { ...MENU_CLOSED, isOpen: true, count, users };
    } catch (error) {
      result = { ...MENU_CLOSED, isOpen: true, error };
    }
    if (reading === mine) show(result);
  }

  return {
    open,
    close,
    view: () => view,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
