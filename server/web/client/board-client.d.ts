import type { Board, Position } from './board-state.js';
import type { Ack, Failure, SocketLike, Traffic } from './connection.js';
import type { PresenceClient } from './presence-client.js';
import type { Id } from './room-state.js';

export type { ActionItem, Board, Position } from './board-state.js';

/** `removed`: refused (`forbidden`, `invalid_input`, `too_large`) or put out for good; only `reconnect` joins again. */
export type BoardStatus = 'connecting' | 'online' | 'reconnecting' | 'removed' | 'closed';

export interface BoardView {
  readonly status: BoardStatus;
  readonly error: Failure | null;
  readonly state: Board;
  /** Whether the server's state has come yet. */
  readonly loaded: boolean;
  readonly version: number;
  readonly lastUpdated: string | null;
}

export interface BoardEvents {
  change: BoardClient;
  status: BoardStatus;
  error: Failure;
  'phase-change': any;
  'label-update': any;
  'vote-submission': any;
  typing: any;
}

export interface BoardClient {
  readonly retroId: Id;
  readonly userId: Id;
  readonly status: BoardStatus;
  readonly view: BoardView;
  on<E extends keyof BoardEvents>(event: E, listener: (body: BoardEvents[E]) => void): () => void;
  off<E extends keyof BoardEvents>(event: E, listener: (body: BoardEvents[E]) => void): void;
  reconnect(): void;
  requestState(): Promise<Ack>;
  moveItem(itemId: string, position: Position, source?: string): void;
  layOut(itemPositions: Record<string, Position>, source?: string): Promise<Ack>;
  /** Resolves to `accepted: false` with what holds, where a newer grouping does. `timestamp`: the server's own time. */
  group(itemGroups: Record<string, string>, signatureColors: Record<string, string>, timestamp?: number): Promise<Ack>;
  vote(groupId: Id, votes: number, userVotes: Record<string, number>): Promise<Ack>;
  requestUserVotes(): Promise<Ack>;
  requestVotingResult(): Promise<Ack>;
  addActionItem(item: { task: string; assigneeId: Id; assigneeName: string }): Promise<Ack>;
  updateActionItem(actionItemId: string, change: { task?: string; assigneeId?: Id; assigneeName?: string }): Promise<Ack>;
  deleteActionItem(actionItemId: string): Promise<Ack>;
  changePhase(payload: object): Promise<Ack>;
  updateLabel(payload: object): Promise<Ack>;
  submitVote(payload: object): Promise<Ack>;
  typing(payload: object): Promise<Ack>;
  close(): void;
}

export interface BoardOptions {
  presence?: PresenceClient;
  ackTimeoutMs?: number;
  onTraffic?: (traffic: Traffic) => void;
  random?: () => number;
}

export function createBoardClient(socket: SocketLike, retroId: Id, userId: Id, options?: BoardOptions): BoardClient;
