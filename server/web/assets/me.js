/**
 * Who this page speaks as: `?user=` and `?name=`, else what the tab remembers, else a guest. With a token the server
 * reads the user from it, and the page only shows what it says.
 */
const REMEMBERED = 'presence.me';
const TOKEN = 'presence.token';

export function whoAmI() {
  const token = sessionStorage.getItem(TOKEN);
  if (token) return { ...claimsOf(token), token };
  const query = new URLSearchParams(location.search);
  const known = JSON.parse(sessionStorage.getItem(REMEMBERED) ?? '{}');
  const number = String(Math.floor(Math.random() * 9000) + 1000);
  const userId = query.get('user') ?? known.userId ?? `guest-${number}`;
  const username = query.get('name') ?? known.username ?? query.get('user') ?? `Guest ${userId.split('-').at(-1)}`;
  return { userId, username, token: null };
}

/** Keeps who this is for the next time the tab loads the page; to be called once the server has taken it. */
export function remember({ userId, username, token }) {
  if (token) return;
  sessionStorage.setItem(REMEMBERED, JSON.stringify({ userId, username }));
  if (new URLSearchParams(location.search).has('name')) keepInQuery('name', username);
}

export function setToken(token) {
  sessionStorage.setItem(TOKEN, token);
}

export const bearer = ({ token }) => (token ? { authorization: `Bearer ${token}` } : {});

/** The rooms of the address; without any, the lobby. */
export function roomsOfAddress() {
  const rooms = new URLSearchParams(location.search).get('rooms');
  return rooms === null ? ['lobby'] : rooms.split(',').filter(Boolean).map(decoded);
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // typed by hand
  }
}

export function keepInAddress(rooms) {
  keepInQuery('rooms', rooms.map(encodeURIComponent).join(','));
}

function keepInQuery(name, value) {
  const query = new URLSearchParams(location.search);
  query.set(name, value);
  history.replaceState(null, '', `?${query}${location.hash}`);
}

/** The address of this page for the same user in another tab. */
export function secondTab({ userId, username }) {
  const query = new URLSearchParams(location.search);
  query.set('user', userId);
  query.set('name', username);
  return `${location.pathname}?${query}${location.hash}`;
}

function claimsOf(token) {
  try {
    const part = token.split('.')[1].replaceAll('-', '+').replaceAll('_', '/');
    const bytes = Uint8Array.from(atob(part), (letter) => letter.charCodeAt(0));
    const { sub, name } = JSON.parse(new TextDecoder().decode(bytes));
    return { userId: sub, username: name ?? String(sub) };
  } catch {
    return { userId: 'unknown', username: 'unknown' };
  }
}
