import { createBoardClient } from './board-client.js';
import { createHolds } from './holds.js';
import { createPresenceClient } from './presence-client.js';

const bySocket = new WeakMap();

/** The one presence client of a socket, with its rooms and boards shared among all components that show them. */
export function sharedOn(socket, options) {
  if (!bySocket.has(socket)) bySocket.set(socket, share(socket, options));
  return bySocket.get(socket);
}

function share(socket, options) {
  const client = createPresenceClient(socket, options);
  return {
    client,
    takeRoom: createHolds({
      open: (roomId, user) => client.joinRoom(roomId, user),
      close: (room) => room.leave(),
      ended: (room) => room.ended,
    }),
    takeBoard: createHolds({
      open: (retroId, userId) => createBoardClient(socket, retroId, userId, { ...options, presence: client }),
      close: (board) => board.close(),
      ended: (board) => board.status === 'closed',
    }),
  };
}
