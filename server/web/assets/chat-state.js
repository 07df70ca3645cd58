/**
 * The chat as one page knows it: pure functions, the same object when nothing changed. A room that is open counts
 * nothing as unread here; the server is told by `room:read`. A message comes up to three times, as `room:new_message`,
 * as `new_message` and read: its `id`, and in the list its `seq`, which is its room's `message_count` then, tell.
 *
 * `cursor` is where the list goes on: null at its end, undefined until it was read. `messages` has no holes but while
 * what is missing is read. `hasMore` tells of earlier ones: null until a page was read.
 */

export const createChatState = () => ({ rooms: [], cursor: undefined, openId: null, messages: [], hasMore: null });

export const nameOf = (room) => room.leads_info?.name || room.room_title || room.room_phone || String(room.room_id);

/** What to show of a message without a text. */
export const textOfMessage = ({ content_text: text, content_type: type }) =>
  text || (type && type !== 'text' ? `[${type[0].toUpperCase()}${type.slice(1)}]` : '[Media]');

export const knows = (state, roomId) => state.rooms.some(({ room_id: id }) => id === roomId);

/** The list from its beginning: whatever was beyond it has to be read again, but for the room that is open. */
export function roomsRead(state, { rooms, cursor = null }) {
  const open = state.rooms.filter(({ room_id: id }) => id === state.openId);
  return withRooms({ ...state, rooms: rooms.map((room) => shown(state, room)), cursor }, open);
}

/** The page behind those known; a room that is known already was told of since. */
export function moreRoomsRead(state, { rooms, cursor = null }) {
  return withRooms({ ...state, cursor }, rooms);
}

/** A room told whole: `new_room_complete`, or read alone. */
export function roomTold(state, room) {
  const others = state.rooms.filter(({ room_id: id }) => id !== room.room_id);
  return { ...state, rooms: sorted([...others, shown(state, room)]) };
}

/** Either of the two events of a message. A room that is not known yet is told whole right behind its first message. */
export function messageTold(state, message) {
  const messages = message.room_id === state.openId ? added(state.messages, message) : state.messages;
  const told = (room) => (room.room_id === message.room_id ? shown(state, after(room, message)) : room);
  const rooms = state.rooms.map(told);
  const same = messages === state.messages && rooms.every((room, at) => room === state.rooms[at]);
  return same ? state : { ...state, messages, rooms: sorted(rooms) };
}

export function unreadTold(state, { room_id: roomId, unread_count: unread }) {
  const told = (room) => (room.room_id === roomId ? shown(state, { ...room, unread_count: unread }) : room);
  return { ...state, rooms: state.rooms.map(told) };
}

export function opened(state, roomId) {
  return unreadTold({ ...state, openId: roomId, messages: [], hasMore: null }, { room_id: roomId, unread_count: 0 });
}

/**
 * A page of a room's messages, older than those known or the newest; ignored when another room is open by now. What lies
 * before a hole is forgotten: it can be read again as earlier messages, page by page.
 */
export function messagesRead(state, roomId, page, hasMore) {
  if (roomId !== state.openId) return state;
  const [first, last] = [page[0]?.seq, page.at(-1)?.seq];
  const all = bySeq([...page, ...state.messages.filter(({ seq }) => !(seq >= first && seq <= last))]);
  const messages = all.slice(startOfRun(all));
  if (messages.length < all.length) return { ...state, messages, hasMore: true };
  const oldest = !page.length || messages[0] === page[0];
  return { ...state, messages, hasMore: oldest ? hasMore : state.hasMore };
}

/** Whether messages of the open room are missing between two that are there. */
export const hasGap = ({ messages }) => startOfRun(messages) > 0;

/** Where those begin that follow each other to the end. */
const startOfRun = (messages) =>
  Math.max(0, messages.findLastIndex(({ seq }, at) => at > 0 && seq !== messages[at - 1].seq + 1));

/** A store that lost its newest messages gives their seqs to others. */
function added(messages, message) {
  if (messages.some(({ id }) => id === message.id)) return messages;
  return bySeq([...messages.filter(({ seq }) => seq !== message.seq), message]);
}

function after(room, message) {
  const { id, seq, content_text, content_type, created_at, user_id } = message;
  if (seq <= room.message_count && !(created_at > room.last_message_timestamp)) return room;
  return {
    ...room,
    last_message: { id, content_text, content_type, created_at, user_id },
    last_message_text: content_text,
    last_message_type: content_type,
    last_message_timestamp: created_at,
    message_count: seq,
    unread_count: room.unread_count + (user_id === null ? 1 : 0),
  };
}

/** A room as it is listed. */
const shown = ({ openId }, room) =>
  (room.room_id === openId && room.unread_count > 0 ? { ...room, unread_count: 0 } : room);

/** Adds those of the rooms that are not known. */
const withRooms = (state, rooms) =>
  ({ ...state, rooms: sorted([...state.rooms, ...rooms.filter((room) => !knows(state, room.room_id))]) });

const activity = (room) => room.last_message_timestamp ?? room.room_created_at ?? '';

const sorted = (rooms) => [...rooms].sort((a, b) => activity(b).localeCompare(activity(a)));

const bySeq = (messages) => messages.sort((a, b) => a.seq - b.seq);
