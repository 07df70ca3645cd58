import type { FunctionComponent, ReactNode } from 'react';
import type { BoardClient, BoardView } from './board-client.js';
import type { Board } from './board-state.js';
import type { SocketLike } from './connection.js';
import type { MenuView } from './participants.js';
import type { ForceLeave, PresenceOptions, Room, RoomView, User } from './presence-client.js';
import type { Id } from './room-state.js';

export interface PresenceSettings {
  /** Where the HTTP API is: `''`, the page's own origin. */
  baseUrl?: string;
  /** For the HTTP API, say `authorization`. Keep one object: a new one on every render renders all hooks anew. */
  headers?: Record<string, string>;
  /** Of the socket's presence client; the first hook on a socket decides. */
  options?: PresenceOptions;
}

export const PresenceProvider: FunctionComponent<
  PresenceSettings & { socket: SocketLike | null; children?: ReactNode }
>;
export function setDefaultSocket(socket: SocketLike | null, settings?: PresenceSettings): void;

export function useRoomHeartbeat(
  roomId: Id | null | undefined,
  userId: Id | null | undefined,
  onForceLeave?: (message: string, body: ForceLeave) => void,
): void;

export function useRoomParticipants(roomId: Id): MenuView & { open(): Promise<void>; close(): void };

export function useRoomPresence(
  roomId: Id | null | undefined,
  user?: User,
): RoomView & { room: Room | null; leave(how?: { everywhere?: boolean }): ReturnType<Room['leave']> | undefined };

export function useRetroRoomSocket(
  retroId: Id | null | undefined,
  userId: Id | null | undefined,
): Omit<BoardView, 'state'> & {
  state: Board | null;
  isConnected: boolean;
  /** The senders of every board event; null before the first effect. */
  board: BoardClient | null;
  reconnect(): void;
};
