import type { SocketLike, Traffic } from './connection.js';
import type { ForceLeave, Room, User } from './room.js';
import type { Id } from './room-state.js';

export type { Ack, ErrorCode, Failure, SocketLike, Traffic } from './connection.js';
export { PresenceError } from './connection.js';
export type { ForceLeave, Room, RoomEvents, RoomStatus, RoomView, User } from './room.js';
export { POPUP } from './room.js';
export type { Departure, Id, LeaveReason, Member, Mode } from './room-state.js';

export interface PresenceOptions {
  /** Between beats, in ms, until a join tells the server's own: 25,000. */
  heartbeatInterval?: number;
  /** How long an answer is awaited, in ms: 10,000. */
  ackTimeoutMs?: number;
  /** How long the force-leave behind a refused beat is awaited, in ms: 4,000. */
  forceLeaveWait?: number;
  /** What to do when the server no longer holds us: `never` ends the room with its popup, `always` joins anew. */
  rejoin?: 'never' | 'always';
  /** Whether to open again a connection that the server closed while rooms are open: true. */
  reconnect?: boolean;
  onTraffic?: (traffic: Traffic) => void;
  /** Numbers in [0, 1) that spread retries. */
  random?: () => number;
  /** Where `visibilitychange`, `pageshow`, `pagehide` and `online` come from: the window. */
  page?: EventTarget & { document?: EventTarget & { visibilityState: string } };
}

export interface PresenceClient {
  readonly socket: SocketLike;
  readonly rooms: Room[];
  joinRoom(roomId: Id, user?: User): Room;
  keepAlive(roomId: Id, userId: Id, onForceLeave: (message: string, body: ForceLeave) => void): () => void;
  close(): Promise<unknown>;
}

export function createPresenceClient(socket: SocketLike, options?: PresenceOptions): PresenceClient;
