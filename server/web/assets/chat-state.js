/**
 * The chat as one page knows it: pure functions, the same object when nothing changed. A room that is open counts
 * nothing as unread here; the server is told by `room:read`. Messages come twice to whoever has the room open, once as
 * `room:new_message` and once as `new_message`: the `id` tells.
 */

export const createChatState = () => ({ rooms: [], openId: null, messages: [], hasMore: false, seen: new Set() });

export const nameOf = (room) => room.leads_info?.name || room.room_title || room.room_phone || String(room.room_id);

/** What to show of a message without a text. */
export const textOfMessage = ({ content_text: text, content_type: type }) =>
  text || (type && type !== 'text' ? `[${type[0].toUpperCase()}${type.slice(1)}]` : '[Media]');

export function roomsRead(state, rooms) {
  return { ...state, rooms: sorted(rooms) };
}

/** A room told whole: `new_room_complete`, or read alone. */
export function roomTold(state, room) {
  const unread_count = room.room_id === state.openId ? 0 : room.unread_count;
  const others = state.rooms.filter(({ room_id: id }) => id !== room.room_id);
  return { ...state, rooms: sorted([...others, { ...room, unread_count }]) };
}

/** Either of the two events of a message. A room that is not known yet is told whole right behind its first message. */
export function messageTold(state, message) {
  if (state.seen.has(message.id)) return state;
  const seen = new Set(state.seen).add(message.id);
  const open = message.room_id === state.openId;
  const messages = open && !state.messages.some(({ id }) => id === message.id)
    ? [...state.messages, message].sort((a, b) => a.seq - b.seq) : state.messages;
  const rooms = state.rooms.map((room) => (room.room_id === message.room_id ? after(room, message, open) : room));
  return { ...state, seen, messages, rooms: sorted(rooms) };
}

export function unreadTold(state, { room_id: roomId, unread_count: unread }) {
  const rooms = state.rooms.map((room) => (room.room_id === roomId ? { ...room, unread_count: unread } : room));
  return { ...state, rooms };
}

export function opened(state, roomId) {
  return unreadTold({ ...state, openId: roomId, messages: [], hasMore: false }, { room_id: roomId, unread_count: 0 });
}

/** A page of a room's messages, older than those known or the newest; ignored when another room is open by now. */
export function messagesRead(state, roomId, page, hasMore) {
  if (roomId !== state.openId) return state;
  const known = new Set(state.messages.map(({ id }) => id));
  const messages = [...page.filter(({ id }) => !known.has(id)), ...state.messages].sort((a, b) => a.seq - b.seq);
  return { ...state, messages, hasMore };
}

/** Whether messages of the open room are missing between two that are there. */
export const hasGap = ({ messages }) => messages.some((message, at) => at > 0 && message.seq !== messages[at - 1].seq + 1);

function after(room, message, open) {
  if (room.last_message_timestamp > message.created_at) return room;
  const { id, content_text, content_type, created_at, user_id } = message;
  const customer = user_id === null;
  return {
    ...room,
    last_message: { id, content_text, content_type, created_at, user_id },
    last_message_text: content_text,
    last_message_type: content_type,
    last_message_timestamp: created_at,
    message_count: room.message_count + 1,
    unread_count: open ? 0 : room.unread_count + (customer ? 1 : 0),
  };
}

const activity = (room) => room.last_message_timestamp ?? room.room_created_at ?? '';

const sorted = (rooms) => [...rooms].sort((a, b) => activity(b).localeCompare(activity(a)));
