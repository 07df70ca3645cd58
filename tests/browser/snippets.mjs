// The founding documents' own code, as they give it, in real React: join and leave, the menu, the heartbeat hook with
// its popup, the reducers of the chat, the board's hook.
import { StrictMode, createElement as h, useEffect, useState } from 'react';
import { createRoot } from 'react-dom-client';
import { io } from '/vendor/socket.io-client/socket.io.esm.min.js';
import { setDefaultSocket, useRetroRoomSocket, useRoomHeartbeat, useRoomParticipants, useRoomPresence } from '/client/react.js';

const query = new URLSearchParams(location.search);
const userId = Number(query.get('user'));
const username = `user ${userId}`;
const socket = io({ query: query.get('scene') === 'board' ? { userId } : {} });
const sent = [];
socket.onAnyOutgoing((event) => sent.push(event));
setDefaultSocket(socket);

function ParticipantsMenu({ roomId }) {
  const [participants, setParticipants] = useState([]);
  const [count, setCount] = useState(0);
  const openMenu = async () => {
    const res = await fetch(`/api/chatroom/${roomId}/participants`);
    const data = await res.json();
    setParticipants(data.users);
    setCount(data.count);
  };
  return h('section', { id: 'menu' },
    h('button', { onClick: openMenu }, 'Participants'),
    h('p', null, `${count}: ${participants.map((p) => p.username).join(', ')}`));
}

function ChatRoom({ roomId }) {
  const [, render] = useState(0);
  const [popup, setPopup] = useState(null);
  window.renderAgain = () => render((n) => n + 1);

  useEffect(() => {
    socket.emit('join_room', { roomId, userId, username });
    return () => socket.emit('leave_room', { roomId, userId });
  }, [roomId]);

  useRoomHeartbeat(roomId, userId, (message) => {
    window.popups = (window.popups ?? 0) + 1;
    setPopup({ title: 'Session Expired', message });
  });

  return h('div', null,
    h(ParticipantsMenu, { roomId }),
    popup && h('div', { role: 'alertdialog' }, h('h2', null, popup.title), h('p', null, popup.message)));
}

function Inbox() {
  const [rooms, setRooms] = useState([]);
  const [selected, setSelected] = useState(null);
  const [messages, setMessages] = useState([]);

  useEffect(() => {
    const onNewMessage = (message) => {
      setRooms((prev) => prev.map((room) => (room.room_id === message.room_id ? {
        ...room,
        last_message: message,
        last_message_timestamp: message.created_at,
        unread_count: selected === message.room_id ? 0 : room.unread_count + 1,
      } : room)));
    };
    const onNewRoomComplete = (room) => {
      setRooms((prev) => (prev.some((known) => known.room_id === room.room_id) ? prev : [room, ...prev]));
    };
    const onRoomMessage = (message) => setMessages((prev) => [...prev, message]);
    socket.on('new_message', onNewMessage);
    socket.on('new_room_complete', onNewRoomComplete);
    socket.on('room:new_message', onRoomMessage);
    return () => {
      socket.off('new_message', onNewMessage);
      socket.off('new_room_complete', onNewRoomComplete);
      socket.off('room:new_message', onRoomMessage);
    };
  }, [selected]);

  const open = async (roomId) => {
    socket.emit('room:join', { room_id: roomId });
    setSelected(roomId);
    const { messages: found } = await (await fetch(`/messages?room_id=${roomId}`)).json();
    setMessages(found);
    setRooms((prev) => prev.map((room) => (room.room_id === roomId ? { ...room, unread_count: 0 } : room)));
  };

  return h('div', null,
    h('ul', { id: 'inbox' }, rooms.map((room) => h('li', { key: room.room_id, onClick: () => open(room.room_id) },
      `${room.leads_info?.name || room.room_title || room.room_phone} (${room.unread_count}) ${room.last_message?.content_text}`))),
    h('ol', { id: 'window' }, messages.map((message) => h('li', { key: message.id }, message.content_text))));
}

function Live({ roomId }) {
  const room = useRoomPresence(roomId, { userId, username });
  const menu = useRoomParticipants(roomId);
  return h('div', null,
    h('p', { id: 'live' }, `${room.status} ${room.count} ${room.participants.map((one) => one.username).join(', ')}`),
    h('button', { onClick: menu.isOpen ? menu.close : menu.open }, 'Menu'),
    h('p', { id: 'opened' }, menu.isOpen && !menu.loading ? `${menu.count}: ${menu.users.map((one) => one.username).join(', ')}` : 'closed'));
}

function RetroBoard({ retroId }) {
  const { state, isConnected, board } = useRetroRoomSocket(retroId, userId);
  return h('div', null,
    h('p', { id: 'board' }, `${isConnected} ${JSON.stringify(state?.itemPositions ?? null)}`),
    h('button', { onClick: () => board.moveItem('item-1', { x: 5, y: 7 }, 'drag-stop') }, 'Move'));
}

const scenes = {
  chat: () => h(ChatRoom, { roomId: 15 }),
  inbox: () => h(Inbox),
  live: () => h(StrictMode, null, h(Live, { roomId: 16 }), h(Live, { roomId: 16 })),
  board: () => h(RetroBoard, { retroId: 'react' }),
};

const root = createRoot(document.getElementById('root'));
root.render(scenes[query.get('scene')]());
window.unmount = () => root.unmount();
window.times = (event) => sent.filter((name) => name === event).length;
