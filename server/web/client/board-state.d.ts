import type { Id } from './room-state.js';

export interface Position { x: number; y: number }

export interface ActionItem {
  id: string;
  task: string;
  assigneeId: Id;
  assigneeName: string;
  createdBy: Id;
  createdAt: number;
  edited: boolean;
}

/** Every board state as the server keeps it; keys of `allUserVotes` are userId, then group index. */
export interface Board {
  itemPositions: Record<string, Position>;
  itemGroups: Record<string, string>;
  signatureColors: Record<string, string>;
  actionItems: ActionItem[];
  allUserVotes: Record<string, Record<string, number>>;
  participants: unknown[];
  /** ms; another one is another life of the board. Missing until the server's state has come. */
  createdAt?: number;
  /** ISO-8601; null until the server's state has come. */
  lastUpdated: string | null;
  version: number;
}

export interface BoardState {
  readonly board: Board;
  readonly base: number | null;
  readonly stale: boolean;
}

export function emptyBoard(): Board;
export function createBoardState(): BoardState;
export function awaitState(state: BoardState): BoardState;
export function applyBoard(state: BoardState, event: { type: string; body: any }): BoardState;
