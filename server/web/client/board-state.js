/**
 * What one page knows of one retro board, as a pure state machine. A whole state (`retro-state`) carries a version,
 * and so do the changes: one that the state holds already is ignored, field by field, for changes made on several
 * servers may arrive in another order than their versions.
 */

const HELD = 200;

export const emptyBoard = () => ({
  itemPositions: {}, itemGroups: {}, signatureColors: {}, actionItems: [], allUserVotes: {}, participants: [],
  lastUpdated: null, version: 0,
});

/** `base` is the version of the last whole state, null before it; `awaited`: the next whole state is taken as it is. */
export function createBoardState() {
  return { board: emptyBoard(), base: null, marks: new Map(), awaited: true, held: [], stale: false };
}

/** The next whole state counts whatever its version: a board that expired and began again counts from 0. */
export function awaitState(state) {
  return { ...state, awaited: true, held: [], stale: false };
}

/** Applies one event; the same object when it changed nothing. `stale` of the result: ask for the whole state. */
export function applyBoard(state, { type, body }) {
  if (type === 'retro-state') return takeWhole(state, body);
  const change = changes[type];
  if (!change) return state;
  const kept = state.awaited ? { ...state, held: [...state.held, { type, body }].slice(-HELD) } : state;
  return change(kept, body);
}

function takeWhole(state, body) {
  const version = body.version ?? 0;
  // Late, or Redis has lost what we know: only an answer of its own tells.
  if (!state.awaited && version < state.board.version) return { ...state, stale: true };
  const board = { ...emptyBoard(), ...body, version };
  // Action items come without a version: whether the whole state is before or after them only a second one tells.
  const stale = state.held.some(({ type }) => type === 'action-items-update');
  const next = { board, base: version, marks: new Map(), awaited: false, held: [], stale };
  const later = state.held.filter((event) => event.body.version > version);
  return later.reduce(applyBoard, next);
}

/** Sets parts of the board, unless the field's version is known already. */
function set(state, field, body, parts) {
  const { version } = body;
  if (version !== undefined) {
    if (state.base !== null && version < state.base && !state.awaited) return { ...state, stale: true };
    if (version <= Math.max(state.base ?? -1, state.marks.get(field) ?? -1)) return state;
  }
  const marks = version === undefined ? state.marks : new Map(state.marks).set(field, version);
  const board = { ...state.board, ...parts(state.board), version: Math.max(state.board.version, version ?? 0) };
  const lastUpdated = body.lastUpdated ?? state.board.lastUpdated;
  return { ...state, marks, board: { ...board, lastUpdated } };
}

const changes = {
  'item-position-update': (state, body) => {
    const moved = body.itemPositions ? Object.entries(body.itemPositions) : [[body.itemId, body.position]];
    return moved.reduce((next, [itemId, position]) => place(next, itemId, position, body), state);
  },
  'grouping-update': (state, body) =>
    set(state, 'groups', body, () => ({ itemGroups: body.itemGroups, signatureColors: body.signatureColors })),
  'vote-update': (state, body) => set(state, 'votes', body, (board) => votes(board, body)),
  'user-votes': (state, body) => set(state, `votes ${body.userId}`, body, (board) => votes(board, body)),
  'initial-voting-result': (state, body) => set(state, 'votes', body, (board) => votes(board, body)),
  'action-items-update': (state, body) => set(state, 'actions', {}, () => ({ actionItems: body })),
};

function place(state, itemId, position, body) {
  const parts = ({ itemPositions }) => ({ itemPositions: { ...itemPositions, [itemId]: position } });
  return set(state, `position ${itemId}`, body, parts);
}

/** A position this page has chosen itself and not yet heard back. */
export function placeHere(state, itemId, position) {
  return place(state, itemId, position, {});
}

/**
 * The server has a position of ours under `version`: its echo is known from now on. It is shown again, for a whole state
 * of before may have come since; one of after has it, or a later one, and stands.
 */
export function placed(state, itemId, position, { version, lastUpdated }) {
  return version > (state.base ?? -1) ? place(state, itemId, position, { version, lastUpdated }) : state;
}

function votes({ allUserVotes }, body) {
  if (body.allUserVotes) return { allUserVotes: body.allUserVotes };
  if (!body.userVotes || body.userId === undefined) return {};
  return { allUserVotes: { ...allUserVotes, [body.userId]: body.userVotes } };
}
