import { RemovalsChart } from './admin-chart.js';
import { nodesTable, roomsTable } from './admin-tables.js';
import { tiles } from './admin-tiles.js';
import { clock, h, setText } from './dom.js';

const TOKEN = 'presence.admin';
const EVERY_MS = 2000;

let token = sessionStorage.getItem(TOKEN) ?? '';
let timer = null;
let reading = new AbortController();

const state = h('span', { class: 'pill push', role: 'status' });
const figures = tiles();
const rooms = roomsTable();
const nodes = nodesTable();
const chart = new RemovalsChart(() => refresh());
const shown = h('div', { class: 'panels', hidden: true },
  figures.element, h('div', { class: 'columns' }, rooms.element, h('div', { class: 'stack' }, nodes.element, chart.element)));
const gate = askForToken();

document.getElementById('top').append(state);
document.getElementById('content').replaceChildren(gate.element, shown);
document.addEventListener('visibilitychange', () => document.hidden || refresh());
if (token) refresh();
else gate.ask('');

async function read(path, signal) {
  const answer = await fetch(path, { headers: { authorization: `Bearer ${token}` }, cache: 'no-store', signal });
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error?.message ?? answer.statusText), { status: answer.status });
  return body;
}

/** Reads everything anew instead of what is being read, and again in two seconds; nothing while the page is hidden. */
async function refresh() {
  clearTimeout(timer);
  reading.abort();
  if (document.hidden || !token) return;
  reading = new AbortController();
  const { signal } = reading;
  const paths = ['/api/admin/overview', '/api/chatrooms?limit=50', `/api/analytics/removals?days=${chart.days}`];
  try {
    show(...await Promise.all(paths.map((path) => read(path, signal))));
  } catch (error) {
    if (signal.aborted) return;
    setText(state, error.status === 503 ? 'the store is out of reach' : 'no answer');
    state.dataset.tone = 'bad';
    if (error.status === 401 || error.status === 403) return gate.ask(error.message);
  }
  timer = setTimeout(refresh, EVERY_MS);
}

function show(overview, live, removals) {
  gate.element.hidden = true;
  shown.hidden = false;
  setText(state, `as of ${clock(overview.timestamp)}`);
  state.dataset.tone = overview.sweeper.lagMs > 5000 || overview.condemned.length ? 'warn' : 'good';
  figures.show(overview, live);
  rooms.show(live);
  nodes.show(overview);
  chart.show(removals.days, overview.timestamp);
}

function askForToken() {
  const field = h('input', {
    id: 'admin-token', name: 'token', type: 'password', required: true, autocomplete: 'off',
  });
  const told = h('p', { class: 'told', role: 'alert' });
  const element = h('form', { class: 'card gate', hidden: true, onsubmit: (event) => {
    event.preventDefault();
    token = field.value.trim();
    sessionStorage.setItem(TOKEN, token);
    refresh();
  } },
  h('h2', {}, 'Who are you?'),
  h('p', { class: 'quiet' }, 'The figures need the token in the server’s PRESENCE_ADMIN_TOKEN. It stays in this tab.'),
  h('label', { for: 'admin-token' }, 'Admin token'), h('div', { class: 'row' }, field, h('button', { class: 'main' }, 'Show')), told);
  return {
    element,
    ask(message) {
      setText(state, 'no token');
      state.dataset.tone = 'warn';
      setText(told, message);
      element.hidden = false;
      shown.hidden = true;
      field.focus();
    },
  };
}
