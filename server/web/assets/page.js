import { BoardView } from './board-view.js';
import { ChatView } from './chat-view.js';
import { DebugPanel } from './debug-panel.js';
import { h, setText } from './dom.js';
import { Line } from './line.js';
import { bearer, remember, roomsOfAddress, setToken, whoAmI } from './me.js';
import { nameField } from './name-field.js';
import { ParticipantsMenu } from './participants-menu.js';
import { SessionExpired } from './popup.js';
import { RoomsView } from './rooms-view.js';
import { Tabs } from './tabs.js';
import { Trouble } from './trouble.js';

const TONES = { connected: 'good', connecting: 'warn', dropped: 'bad', closed: 'bad' };

const me = whoAmI();
const line = new Line(me);
const menu = new ParticipantsMenu(bearer(me));
const popup = new SessionExpired({ rejoin });
const rooms = new RoomsView(line, me, { menu, popup, changed });
const board = new BoardView(line, me, { popup, changed });
const chat = new ChatView(line, me);
const debug = new DebugPanel(line, sources);
const trouble = new Trouble(line, me);
const tabs = new Tabs([
  { id: 'rooms', name: 'Rooms', element: rooms.element },
  { id: 'board', name: 'Board', element: board.element, shown: () => {
    board.look();
    debug.look(board.roomId);
  } },
  { id: 'chat', name: 'Chat', element: chat.element, shown: () => chat.open() },
]);

document.getElementById('top').append(tabs.list, connectionPill(), nameField(me, rename));
document.getElementById('content').replaceChildren(
  tabs.panels, h('aside', { class: 'side', 'aria-label': 'Behind the scenes' }, trouble.element, debug.element),
);
document.body.append(menu.element, popup.element);
line.socket.on('connect', () => remember(me));
line.socket.on('connect_error', ({ message }) => message === 'unauthorized' && askToken());

for (const roomId of roomsOfAddress()) rooms.open(roomId);
const [first] = rooms.cards.values();
first?.room.ready.then(() => {
  performance.mark('ready');
  document.documentElement.dataset.ready = 'true';
}, () => {});

function rejoin(roomId) {
  if (board.out && board.roomId === roomId) board.open();
  if (rooms.cards.has(roomId)) rooms.open(roomId);
}

function sources() {
  const shown = [...rooms.cards].map(([name, { room }]) => ({ name, room }));
  return board.board ? [...shown, { name: board.roomId, room: board.room, board: board.board }] : shown;
}

function changed() {
  trouble.rooms = [...rooms.cards.keys()];
  debug.update();
}

function connectionPill() {
  const pill = h('span', { class: 'pill push line', role: 'status' });
  const show = () => {
    setText(pill, line.status);
    pill.dataset.tone = TONES[line.status];
  };
  line.on('change', show);
  show();
  return pill;
}

function rename(username) {
  // A connection that was refused for the former name is not tried again at once.
  if (!line.dropped && !line.socket.active) line.socket.connect();
  return [...rooms.rename(username), ...board.rename(username)];
}

function askToken() {
  if (document.getElementById('token')) return;
  const field = h('input', { name: 'token', type: 'password', required: true, 'aria-label': 'Token', autocomplete: 'off' });
  const dialog = h('dialog', { id: 'token', 'aria-labelledby': 'token-title' },
    h('h2', { id: 'token-title' }, 'This server asks for a token'),
    h('form', { class: 'row', onsubmit: (event) => {
      event.preventDefault();
      setToken(field.value.trim());
      location.reload();
    } }, field, h('button', { class: 'main' }, 'Connect')));
  document.body.append(dialog);
  dialog.showModal();
}
