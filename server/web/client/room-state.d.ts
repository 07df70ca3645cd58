/** A room's or a user's id; 15 and "15" are one. */
export type Id = string | number;

export interface Member {
  userId: Id;
  username: string;
  /** Milliseconds since the epoch, by the server's clock; so is `lastActiveAt`. */
  joinedAt: number;
  lastActiveAt: number;
  status: 'online' | 'away';
  data: Record<string, unknown>;
}

export type LeaveReason =
  | 'left' | 'disconnected' | 'inactivity_timeout' | 'server_restart' | 'node_lost' | 'kicked' | 'not_in_room';

/** One who left; `reason` is null where a whole list, not a diff, told of it. */
export interface Departure {
  userId: Id;
  username: string;
  reason: LeaveReason | null;
}

export type Mode = 'diffs' | 'counts';

export type RoomChange =
  | { event: 'joined' | 'updated'; member: Member }
  | { event: 'left'; member: Departure };

export interface RoomEvent {
  type: 'room:joined' | 'room:sync' | 'room:diff' | 'room:count' | 'room:mode' | 'room:users:get' | 'room:force-leave';
  body: unknown;
  /** With `room:users:get`: what `nextRequest` gave as `asked`. */
  asked?: { cursor: string; load: number };
}

export interface RoomState {
  readonly epoch: string | number | null;
  /** Where the list stands. */
  readonly seq: number;
  readonly mode: Mode;
  /** Null until the first snapshot. */
  readonly count: number | null;
  readonly connections: number | null;
  /** Where the count stands; it may be ahead of the list. */
  readonly countSeq: number;
  /** In the order (joinedAt, userId). */
  readonly participants: readonly Member[];
  readonly needsSync: null | 'diffs' | 'snapshot';
  readonly removed: unknown;
  /** What the last event brought, in order. */
  readonly changes: readonly RoomChange[];
}

export interface RoomRequest {
  event: 'room:sync' | 'room:users:get';
  payload: Record<string, unknown>;
  asked?: { cursor: string; load: number };
}

export function createRoomState(): RoomState;
export function apply(state: RoomState, event: RoomEvent): RoomState;
export function distrust(state: RoomState, need: 'diffs' | 'snapshot'): RoomState;
export function nextRequest(state: RoomState): RoomRequest | null;
export function idOf(id: Id): string;
export function compareIds(a: string, b: string): number;
export function compareMembers(a: Pick<Member, 'joinedAt' | 'userId'>, b: Pick<Member, 'joinedAt' | 'userId'>): number;
