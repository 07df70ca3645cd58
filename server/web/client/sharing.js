import { createBoardClient } from './board-client.js';
import { createHolds } from './holds.js';
import { createPresenceClient } from './presence-client.js';

const bySocket = new WeakMap();

/** The one presence client of a socket, with its rooms and boards shared among all components that show them. */
export function sharedOn(socket, options) {
  if (!bySocket.has(socket)) bySocket.set(socket, share(socket, options));
  return bySocket.get(socket);
}

const atBoard = (board, room) => board.status !== 'removed' && String(room.roomId) === `retro:${board.retroId}`;

function share(socket, options) {
  const client = createPresenceClient(socket, options);
  // A board and a component that shows who is at it share one room on the server: one that goes leaves the other in.
  const rooms = createHolds({
    open: (roomId, user) => client.joinRoom(roomId, user),
    close: (room) => (boards.find((board) => atBoard(board, room)) ? room.yield() : room.leave()),
    ended: (room) => room.ended,
  });
  const boards = createHolds({
    open: (retroId, userId) => createBoardClient(socket, retroId, userId, { ...options, presence: client }),
    close(board) {
      board.close();
      rooms.find((room) => atBoard(board, room))?.claim();
    },
    ended: (board) => board.status === 'closed',
  });
  return { client, takeRoom: rooms.take, takeBoard: boards.take };
}
