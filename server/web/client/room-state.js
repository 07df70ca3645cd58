/**
 * What one page knows of one room, as a pure state machine: no DOM, no socket, no timer.
 * `apply(state, {type, body})` takes what the server said, in the order it came, and returns the next state, or
 * the very same object when nothing changed. `nextRequest(state)` tells what to ask the server now.
 */

const NONE = Object.freeze([]);
const HELD_DIFFS = 100;
const PAGE_LIMIT = 1000;

/** The canonical id: 15 and "15" are one. */
export const idOf = (id) => String(id);

// UTF-16 puts U+E000…U+FFFF behind the surrogates, UTF-8 bytes put them before; this restores the order of bytes.
const rank = (unit) => (unit >= 0xe000 ? unit - 0x800 : unit >= 0xd800 ? unit + 0x2000 : unit);

/** Compares two canonical ids by code point, which is the order of their UTF-8 bytes. */
export function compareIds(a, b) {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i += 1) {
    const left = a.charCodeAt(i);
    const right = b.charCodeAt(i);
    if (left !== right) return rank(left) - rank(right);
  }
  return a.length - b.length;
}

/** The order of every list: (joinedAt, userId). */
export function compareMembers(a, b) {
  return a.joinedAt - b.joinedAt || compareIds(idOf(a.userId), idOf(b.userId));
}

/** A room nothing is known of yet. `count` and `connections` are null until the first snapshot, never a false 0. */
export function createRoomState() {
  return {
    epoch: null,
    seq: 0,
    mode: 'diffs',
    count: null,
    connections: null,
    countSeq: 0,
    participants: NONE,
    needsSync: 'snapshot',
    removed: null,
    changes: NONE,
    // Below: the list being built. `participants` is what to show; see `page` for the rest.
    list: NONE,
    listCount: null,
    cursor: null,
    load: 0,
    touched: new Set(),
    unverified: false,
    pending: NONE,
  };
}

/** Applies one event of the server. `changes` of the result are the `joined`, `updated` and `left` it brought. */
export function apply(state, event) {
  const start = { ...state, changes: NONE };
  const next = (handlers[event.type] ?? ignore)(start, event.body, event);
  return next === start ? state : next;
}

/** Marks the state as not to be trusted: `'diffs'` asks for what was missed, `'snapshot'` for everything. */
export function distrust(state, need) {
  return state.needsSync === 'snapshot' || state.needsSync === need ? state : { ...state, needsSync: need };
}

/** The request that brings the state nearer to the room, or null when there is none to make. */
export function nextRequest(state) {
  if (state.removed) return null;
  if (state.needsSync === 'snapshot') return { event: 'room:sync', payload: {} };
  if (state.needsSync) return { event: 'room:sync', payload: { epoch: state.epoch, seq: state.seq } };
  // A room in counts mode may have a million members: its list stays the first page.
  if (state.cursor === null || state.mode !== 'diffs') return null;
  const { cursor, load } = state;
  return { event: 'room:users:get', payload: { cursor, limit: PAGE_LIMIT }, asked: { cursor, load } };
}

const handlers = {
  'room:joined': (state, body) => {
    // The body comes twice, as event and as ack: the second must not take the list back behind a diff.
    const known = state.epoch === body.epoch && state.needsSync !== 'snapshot' && body.seq <= state.seq;
    return known ? state : snapshot(state, body);
  },
  'room:sync': (state, body) => (body.sync === 'diffs' ? catchUp(state, body) : snapshot(state, body)),
  'room:diff': diff,
  'room:count': counted,
  'room:mode': switchMode,
  'room:users:get': page,
  'room:force-leave': (state, body) => ({ ...state, removed: body, needsSync: null, pending: NONE }),
};

const ignore = (state) => state;

function snapshot(state, body) {
  const { epoch, seq, count, connections } = body;
  const list = place(NONE, new Map(body.users.map((member) => [idOf(member.userId), member])));
  const cursor = body.cursor ?? null;
  const next = {
    ...state, epoch, seq, count, connections, countSeq: seq, mode: body.mode ?? state.mode, needsSync: null,
    removed: null, list, listCount: count, cursor, load: state.load + 1, touched: new Set(), unverified: false,
  };
  // A list shown before stays until the new one is whole: a page of it would look like 900 people leaving.
  if (cursor === null) return drain(show(next, state.epoch !== null));
  const keep = next.mode === 'diffs' && state.participants.length > 0;
  return drain(keep ? next : { ...next, participants: list });
}

/**
 * Adds a page of members. It carries no position: it was read at some P between its request and now, while the
 * diffs stand at `seq`, before or behind P. Therefore:
 * - whoever a diff named since the snapshot (`touched`) is exact by the diffs alone, so the page is not believed
 *   about them: one who left between two pages does not come back, a rename is not undone;
 * - whoever no diff named did not change up to `seq`; what the page knows beyond that, a later diff will say too;
 * - except one who joined before P and left after it within one folded window: no diff ever names them. Such a ghost
 *   breaks "members = count" at the window's end; so a whole list that does not add up asks for the diffs up to now
 *   (then `seq` is past every P), and if it still does not, for a snapshot.
 * `load` numbers the snapshots: a page asked for under an earlier one is dropped.
 */
function page(state, body, { asked }) {
  if (asked.load !== state.load || asked.cursor !== state.cursor) return state;
  const fresh = new Map();
  for (const member of body.users) {
    const id = idOf(member.userId);
    if (!state.touched.has(id)) fresh.set(id, member);
  }
  const cursor = body.cursor === undefined || body.cursor === asked.cursor ? null : body.cursor;
  const next = { ...state, list: place(state.list, fresh), cursor };
  if (cursor !== null) return state.participants === state.list ? { ...next, participants: next.list } : next;
  const whole = show({ ...next, touched: new Set() }, state.participants !== state.list);
  if (whole.list.length === whole.listCount) return whole;
  return distrust({ ...whole, unverified: true }, 'diffs');
}

function diff(state, body) {
  if (state.epoch === null || body.epoch !== state.epoch) return hold(state, body, 'snapshot');
  if (body.seq <= state.seq) return state;
  if (body.from !== state.seq) return state.mode === 'counts' ? counted(state, body) : hold(state, body, 'diffs');
  return fold(state, body);
}

/** Keeps a diff that does not fit yet; it is tried again behind the answer that closes the gap. */
function hold(state, body, need) {
  return distrust({ ...state, pending: [...state.pending, body].slice(-HELD_DIFFS) }, need);
}

function drain(state) {
  const { pending } = state;
  const start = pending.length ? { ...state, pending: NONE } : state;
  return pending.filter((body) => body.epoch === state.epoch).reduce(diff, start);
}

function catchUp(state, body) {
  if (body.epoch !== state.epoch) return distrust(state, 'snapshot');
  let next = state;
  for (const entry of body.diffs) {
    if (entry.seq <= next.seq) continue;
    if (entry.from !== next.seq) return distrust(next, 'snapshot');
    next = fold(next, entry);
  }
  if (next.seq < body.seq) return distrust(next, 'snapshot');
  const wrong = next.unverified && next.list.length !== next.listCount;
  if (wrong || next.needsSync === 'snapshot') return distrust({ ...next, unverified: false }, 'snapshot');
  return drain({ ...next, unverified: false, needsSync: null });
}

/** Applies a diff that starts where the list stands. */
function fold(state, body) {
  const members = new Map([...body.joined, ...body.updated].map((member) => [idOf(member.userId), member]));
  const gone = new Map(body.left.map((entry) => [idOf(entry.userId), entry]).filter(([id]) => !members.has(id)));
  const before = new Set(state.list.map((member) => idOf(member.userId)));
  const newcomers = new Set(body.joined.map((member) => idOf(member.userId)).filter((id) => !before.has(id)));
  const list = place(state.list, members, gone);
  const loading = state.cursor !== null;
  const next = { ...counted(state, body), seq: body.seq, list, listCount: body.count ?? list.length };
  if (loading) next.touched = new Set([...state.touched, ...members.keys(), ...gone.keys()]);
  if (state.participants === state.list) {
    next.participants = list;
    next.changes = state.changes.concat(
      [...gone].filter(([id]) => before.has(id)).map(([, member]) => ({ event: 'left', member })),
      [...members].map(([id, member]) => ({ event: newcomers.has(id) ? 'joined' : 'updated', member })),
    );
  }
  const exact = loading || state.unverified || state.mode !== 'diffs' || list.length === next.listCount;
  return exact ? next : distrust(next, 'snapshot');
}

/** The newest count wins, whichever event brings it; the list keeps its own position. */
function counted(state, body) {
  if (state.epoch !== null && body.epoch !== state.epoch) return distrust(state, 'snapshot');
  if (state.epoch === null || body.seq < state.countSeq || typeof body.count !== 'number') return state;
  return { ...state, count: body.count, connections: body.connections, countSeq: body.seq };
}

function switchMode(state, { mode }) {
  if (mode === state.mode) return state;
  // Nothing is missed in counts mode, for nothing is followed; coming back the whole gap is.
  if (mode === 'counts') return { ...state, mode, pending: NONE, needsSync: state.epoch === null ? 'snapshot' : null };
  return distrust({ ...state, mode }, state.cursor === null ? 'diffs' : 'snapshot');
}

function place(list, members, gone = new Map()) {
  const rest = list.filter(({ userId }) => !members.has(idOf(userId)) && !gone.has(idOf(userId)));
  return rest.concat([...members.values()]).sort(compareMembers);
}

/** Shows the list, and tells how it differs from the one shown until now. */
function show(state, tell) {
  if (!tell) return { ...state, participants: state.list };
  const before = new Map(state.participants.map((member) => [idOf(member.userId), member]));
  const changes = [];
  for (const member of state.list) {
    const id = idOf(member.userId);
    if (!before.has(id)) changes.push({ event: 'joined', member });
    else if (record(before.get(id)) !== record(member)) changes.push({ event: 'updated', member });
    before.delete(id);
  }
  const left = [...before.values()].map(({ userId, username }) => ({
    event: 'left',
    member: { userId, username, reason: null },
  }));
  return { ...state, participants: state.list, changes: [...left, ...changes] };
}

const record = ({ username, joinedAt, data }) => JSON.stringify([username, joinedAt, data]);
