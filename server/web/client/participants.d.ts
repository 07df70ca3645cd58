import type { Id } from './room-state.js';

export interface Participants {
  /** Users present, also when `users` is one page of them. */
  count: number;
  users: { userId: Id; username: string }[];
  nextCursor?: string;
}

export interface FetchOptions {
  signal?: AbortSignal;
  headers?: Record<string, string>;
  /** 1–1000. */
  limit?: number;
  cursor?: string;
}

export function fetchParticipants(baseUrl: string, roomId: Id, options?: FetchOptions): Promise<Participants>;

export interface MenuView {
  readonly isOpen: boolean;
  /** Null while closed, loading or failed. */
  readonly count: number | null;
  readonly users: Participants['users'];
  readonly loading: boolean;
  /** A PresenceError, or what `load` threw. */
  readonly error: Error | null;
}

export interface ParticipantsMenu {
  open(): Promise<void>;
  close(): void;
  view(): MenuView;
  subscribe(listener: () => void): () => void;
}

export function createParticipantsMenu(load: (signal: AbortSignal) => Promise<Participants>): ParticipantsMenu;
