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
  // A board and a component that shows who is at it share one room on the server: one that goes leaves the other in.
  const rooms = createHolds({
    open: (roomId, user) => client.joinRoom(roomId, user),
    close: (room) => (boards.find((board) => board.keeps(room)) ? room.yield() : room.leave()),
    ended: (room) => room.ended,
  });
  const boards = createHolds({
    open: (retroId, userId) => createBoardClient(socket, retroId, userId, { ...options, presence: client }),
    close(board) {
      const room = rooms.find((one) => !one.ended && board.keeps(one));
      board.close();
      if (socket.connected) room?.claim(); // without a connection nothing was left
    },
    ended: (board) => board.status === 'closed',
  });
  return { client, takeRoom: rooms.take, takeBoard: boards.take };
}
