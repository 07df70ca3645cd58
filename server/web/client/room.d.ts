import type { Ack, Failure } from './connection.js';
import type { Departure, Id, LeaveReason, Member, Mode, RoomState } from './room-state.js';

export type RoomStatus = 'joining' | 'online' | 'reconnecting' | 'left' | 'removed';

export interface User {
  /** May be left out where the socket's handshake names the user. */
  userId?: Id;
  username?: string;
  data?: Record<string, unknown>;
}

export interface ForceLeave {
  roomId: Id;
  userId?: Id;
  /** What to tell: never empty. */
  message: string;
  /** Always "You are not in the chatroom". */
  popup: string;
  reason: LeaveReason;
  timestamp: number;
}

export interface RoomView {
  readonly status: RoomStatus;
  readonly participants: readonly Member[];
  readonly count: number | null;
  readonly connections: number | null;
  readonly mode: Mode;
  /** Why the room is `removed`, else null. */
  readonly removal: ForceLeave | null;
  /** The last failure since the room was online, else null. */
  readonly error: Failure | null;
}

export interface RoomEvents {
  change: Room;
  status: RoomStatus;
  joined: Member;
  updated: Member;
  left: Departure;
  'force-leave': ForceLeave;
  error: Failure;
}

export interface Room extends RoomView {
  readonly roomId: Id;
  readonly userId: Id | undefined;
  readonly ended: boolean;
  /** Resolves when the room is first online; rejects with a PresenceError when it ends before. */
  readonly ready: Promise<Room>;
  /** Position, list and pending work of the room, for a debug panel. */
  readonly state: RoomState;
  readonly view: RoomView;
  /** Returns the function that takes the listener off. */
  on<E extends keyof RoomEvents>(event: E, listener: (body: RoomEvents[E]) => void): () => void;
  off<E extends keyof RoomEvents>(event: E, listener: (body: RoomEvents[E]) => void): void;
  /**
   * Changes the public record; `data` replaces. Resolves to the first ack. After one that is `retryable` the room sends
   * the change again, in its newest form, until the server takes or refuses it: there is no need to repeat it. What is
   * refused then is told as `error`. A field refused for good goes back to what the server took, unless changed since.
   */
  update(change: { username?: string; data?: Record<string, unknown> }): Promise<Ack>;
  /** Leaves with this connection, or with all of the user's. */
  leave(how?: { everywhere?: boolean }): Promise<Ack<{ left: boolean }>>;
}

export const POPUP: 'You are not in the chatroom';
