import assert from 'node:assert/strict';
import test from 'node:test';
import { apply, createRoomState, nextRequest } from '../../server/web/client/room-state.js';
import { RoomModel, seeded } from './room-model.mjs';

const ids = (state) => state.participants.map(({ userId }) => String(userId));

/** A channel between a room and one client: ordered, with windows, and diffs that get lost or come twice. */
class Channel {
  constructor(model, random, pageSize) {
    Object.assign(this, { model, random, pageSize, queue: [], sent: model.seq, late: null });
  }

  chance(p) {
    return this.random() < p;
  }

  flush(loss) {
    if (this.sent === this.model.seq) return;
    const event = { type: 'room:diff', body: this.model.diff(this.sent) };
    this.sent = this.model.seq;
    if (!this.chance(loss)) this.queue.push(event);
    if (this.chance(0.1)) this.queue.push(event);
  }

  /** A page is read now and handed over later, between other events; everything else is answered at once. */
  ask({ event, payload, asked }) {
    if (event === 'room:users:get') {
      this.late = { type: event, body: this.model.page(payload.cursor, this.pageSize), asked };
      return;
    }
    const covered = payload.epoch === this.model.epoch && payload.seq <= this.model.seq && this.chance(0.7);
    const { epoch, seq } = this.model;
    this.queue.push({ type: event, body: covered ? { sync: 'diffs', epoch, seq, diffs: this.chain(payload.seq) } : { ...this.model.snapshot(this.pageSize), sync: 'snapshot' } });
    this.sent = seq;
  }

  chain(from) {
    const diffs = [];
    for (let at = from; at < this.model.seq;) {
      const to = Math.min(this.model.seq, at + 1 + Math.floor(this.random() * 4));
      diffs.push(this.model.diff(at, to));
      at = to;
    }
    return diffs;
  }

  deliverPage() {
    if (this.late) this.queue.push(this.late);
    this.late = null;
  }
}

function mutate(model, random) {
  const present = [...model.at().values()];
  const someone = present[Math.floor(random() * present.length)];
  const dice = random();
  if (!someone || dice < 0.45) {
    const id = Math.floor(random() * 40);
    if (!model.at().has(String(id))) model.join(random() < 0.5 ? id : String(id));
  } else if (dice < 0.8) model.leave(someone.userId);
  else model.rename(someone.userId, `n${Math.floor(random() * 1000)}`);
}

function follow(seed) {
  const random = seeded(seed);
  let model = new RoomModel();
  for (let i = 0; i < 25; i += 1) mutate(model, random);
  const channel = new Channel(model, random, 3 + Math.floor(random() * 10));
  let state = createRoomState();
  let asking = false;
  let asked = 0;

  const hear = () => {
    const event = channel.queue.shift();
    if (!event) return;
    if (event.type !== 'room:diff') asking = false;
    state = apply(state, event);
  };
  const ask = () => {
    const request = asking ? null : nextRequest(state);
    if (!request) return;
    asking = true;
    asked += 1;
    channel.ask(request);
  };

  for (let step = 0; step < 300; step += 1) {
    mutate(model, random);
    if (step === 150 && seed % 3 === 0) {
      model = new RoomModel(`e${seed}`, Math.floor(random() * 50));
      channel.model = model;
      channel.sent = model.seq;
    }
    if (random() < 0.4) channel.flush(0.2);
    if (random() < 0.5) ask();
    if (random() < 0.3) channel.deliverPage();
    while (random() < 0.7 && channel.queue.length) hear();
  }
  // One last change that is heard, then silence.
  model.join('last');
  channel.flush(0);
  for (let round = 0; round < 60 && (channel.queue.length || channel.late || asking || nextRequest(state)); round += 1) {
    ask();
    channel.deliverPage();
    while (channel.queue.length) hear();
  }
  return { state, model, asked };
}

test('000-11: 400 seeded logs with lost, doubled and folded diffs, late pages and new epochs all end at the room', () => {
  let requests = 0;
  for (let seed = 1; seed <= 400; seed += 1) {
    const { state, model, asked } = follow(seed);
    assert.deepEqual(state.participants, model.list(), `seed ${seed}`);
    assert.equal(state.count, model.at().size, `seed ${seed}`);
    assert.equal(nextRequest(state), null, `seed ${seed}`);
    requests += asked;
  }
  assert.ok(requests > 400, 'the logs had gaps to close');
});

test('replaying the told changes gives the list, whatever happened on the way', () => {
  for (let seed = 1000; seed < 1100; seed += 1) {
    const random = seeded(seed);
    const model = new RoomModel();
    for (let i = 0; i < 10; i += 1) mutate(model, random);
    const channel = new Channel(model, random, 100);
    let state = apply(createRoomState(), { type: 'room:joined', body: model.snapshot() });
    channel.sent = model.seq;
    const told = new Map(state.participants.map((entry) => [String(entry.userId), entry]));
    for (let step = 0; step < 100; step += 1) {
      mutate(model, random);
      if (step % 2) channel.flush(0.3);
      if (nextRequest(state) && !channel.queue.length) channel.ask(nextRequest(state));
      for (const event of channel.queue.splice(0)) {
        state = apply(state, event);
        for (const { event: name, member } of state.changes) {
          if (name === 'left') told.delete(String(member.userId));
          else told.set(String(member.userId), member);
        }
        assert.deepEqual([...told.keys()].sort(), ids(state).sort(), `seed ${seed} step ${step}`);
      }
    }
  }
});
