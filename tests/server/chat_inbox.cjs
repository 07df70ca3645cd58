// A support inbox as clients usually write it: a list of rooms fed by the server's events, nothing fetched. Every state
// it would draw goes out as one JSON line, so that nothing it ever showed escapes. argv: url, the room event it knows.
"use strict";

const readline = require("node:readline");
const { io } = require("socket.io-client");

const [url, roomEvent] = process.argv.slice(2);
let state = { rooms: [], open: null, messages: {} };

const nameOf = (room) => room.leads_info?.name || room.room_title || room.room_phone || "Unknown";

function draw() {
  const rooms = state.rooms.map((room) => ({
    room_id: room.room_id,
    name: nameOf(room),
    text: room.last_message_text ?? "[Media]",
    unread: room.unread_count,
  }));
  process.stdout.write(JSON.stringify({ rooms, messages: state.messages }) + "\n");
}

function onMessage(message) {
  const kept = state.messages[message.room_id] ?? [];
  const messages = kept.includes(message.id) ? kept : [...kept, message.id];
  const counted = message.user_id === null && message.room_id !== state.open;
  const rooms = state.rooms.map((room) => {
    if (room.room_id !== message.room_id) {
      return room;
    }
    const unread = state.open === room.room_id ? 0 : room.unread_count + (counted ? 1 : 0);
    return { ...room, last_message_text: message.content_text, unread_count: unread };
  });
  rooms.sort((a, b) => (b.room_id === message.room_id) - (a.room_id === message.room_id));
  state = { ...state, rooms, messages: { ...state.messages, [message.room_id]: messages } };
}

function onRoom(room) {
  const others = state.rooms.filter((one) => one.room_id !== room.room_id);
  state = { ...state, rooms: [room, ...others] };
}

function onUnread({ room_id, unread_count }) {
  const rooms = state.rooms.map((room) => (room.room_id === room_id ? { ...room, unread_count } : room));
  state = { ...state, rooms };
}

const socket = io(url, { transports: ["websocket"], forceNew: true });
const reducers = { new_message: onMessage, [roomEvent]: onRoom, "room:unread": onUnread };
for (const [event, reduce] of Object.entries(reducers)) {
  socket.on(event, (body) => {
    reduce(body);
    draw();
  });
}
socket.on("room:new_message", (message) => {
  // Two handlers, one message: the usual client sees the same id twice.
  const kept = state.messages[message.room_id] ?? [];
  if (!kept.includes(message.id)) {
    state = { ...state, messages: { ...state.messages, [message.room_id]: [...kept, message.id] } };
  }
});
socket.on("connect", draw);

readline
  .createInterface({ input: process.stdin })
  .on("line", (room) => {
    // Opening a room, as the user clicks it.
    state = { ...state, open: room };
    socket.emit("room:join", { room_id: room });
    socket.emit("room:read", { room_id: room });
  })
  .on("close", () => process.exit(0));
