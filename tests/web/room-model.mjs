import { compareMembers } from '../../server/web/client/room-state.js';

/** The specification of a room's log for tests: members at every position, and windows folded to their net effect. */
export class RoomModel {
  constructor(epoch = 'e1', seq = 0) {
    this.epoch = epoch;
    this.first = seq;
    this.history = [new Map()]; // members at position first + i
    this.clock = 1_000;
  }

  get seq() {
    return this.first + this.history.length - 1;
  }

  at(seq = this.seq) {
    return this.history[seq - this.first];
  }

  list(seq = this.seq) {
    return [...this.at(seq).values()].sort(compareMembers);
  }

  #change(edit) {
    const next = new Map(this.at());
    edit(next);
    this.history.push(next);
  }

  join(userId, username = `name ${userId}`) {
    this.clock += 1;
    const joinedAt = this.clock;
    this.#change((members) => members.set(String(userId), member(userId, username, joinedAt)));
  }

  leave(userId) {
    this.#change((members) => members.delete(String(userId)));
  }

  rename(userId, username) {
    const known = this.at().get(String(userId));
    this.#change((members) => members.set(String(userId), { ...known, username }));
  }

  /** The net effect of a window, as the wire says it. */
  diff(from, seq = this.seq) {
    const [old, now] = [this.at(from), this.at(seq)];
    const came = [...now].filter(([id, entry]) => !old.has(id) || old.get(id).joinedAt !== entry.joinedAt);
    const changed = [...now].filter(([id, entry]) => old.has(id) && old.get(id).joinedAt === entry.joinedAt && old.get(id) !== entry);
    const gone = [...old].filter(([id]) => !now.has(id));
    return {
      roomId: 'r', epoch: this.epoch, from, seq, count: now.size, connections: now.size,
      joined: came.map(([, entry]) => entry),
      updated: changed.map(([, entry]) => entry),
      left: gone.map(([, { userId, username }]) => ({ userId, username, reason: 'left' })),
    };
  }

  snapshot(pageSize = 100, mode = 'diffs') {
    const { users, cursor } = this.page(null, pageSize);
    const count = this.at().size;
    return {
      ok: true, roomId: 'r', userId: 'me', epoch: this.epoch, seq: this.seq, count, connections: count, users, cursor,
      mode, ttl: 21_600_000, heartbeatInterval: 25_000, rejoined: false,
    };
  }

  page(cursor, limit) {
    const after = cursor && JSON.parse(cursor);
    const rest = this.list().filter((entry) => !after || compareMembers(entry, after) > 0);
    const users = rest.slice(0, limit);
    const more = rest.length > limit;
    const { joinedAt, userId } = users.at(-1) ?? {};
    return { ok: true, users, count: this.at().size, cursor: more ? JSON.stringify({ joinedAt, userId }) : undefined };
  }
}

function member(userId, username, joinedAt) {
  return { userId, username, joinedAt, lastActiveAt: joinedAt, status: 'online', data: {} };
}

/** A small seeded generator: numbers in [0, 1). */
export function seeded(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
