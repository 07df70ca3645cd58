import assert from 'node:assert/strict';
import test, { mock } from 'node:test';
import { createHolds } from '../../server/web/client/holds.js';
import { createSchedule } from '../../server/web/client/schedule.js';

function clock(t) {
  mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_000_000 });
  t.after(() => mock.timers.reset());
}

test('tasks run in their time, once, and a later time replaces the earlier', (t) => {
  clock(t);
  const ran = [];
  const schedule = createSchedule();
  const [a, b, c] = ['a', 'b', 'c'].map((name) => () => ran.push([name, Date.now() - 1_000_000]));
  schedule.in(a, 100);
  schedule.in(b, 50);
  schedule.in(c, 60);
  schedule.in(b, 200);
  schedule.cancel(c);
  mock.timers.tick(1000);
  assert.deepEqual(ran.map(([name]) => name), ['a', 'b']);
});

test('003-8: a timer that comes late runs all that is due by the wall clock', (t) => {
  clock(t);
  const ran = [];
  const schedule = createSchedule();
  schedule.in(() => ran.push('a'), 25_000);
  schedule.in(() => ran.push('b'), 50_000);
  mock.timers.setTime(1_000_000 + 24_999); // asleep up to here
  const real = Date.now;
  t.mock.method(Date, 'now', () => real() + 3_600_000);
  mock.timers.tick(1);
  assert.deepEqual(ran, ['a', 'b']);
});

test('a task may set itself again', (t) => {
  clock(t);
  let runs = 0;
  const schedule = createSchedule();
  const again = () => {
    runs += 1;
    schedule.in(again, 25_000);
  };
  schedule.in(again, 25_000);
  for (let i = 0; i < 4; i += 1) mock.timers.tick(25_000);
  assert.equal(runs, 4);
  schedule.cancel(again);
  mock.timers.tick(100_000);
  assert.equal(runs, 4);
});

test('a delay longer than a timer can be does not fire at once', (t) => {
  clock(t);
  let runs = 0;
  createSchedule().in(() => { runs += 1; }, 30 * 86_400_000);
  mock.timers.tick(60_000);
  assert.equal(runs, 0);
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

test('T3.4: what is let go and taken again at once stays; let go for good it is closed once', async () => {
  const log = [];
  const { take } = createHolds({ open: (name) => log.push(`open ${name}`) && { name }, close: ({ name }) => log.push(`close ${name}`), ended: () => false });
  const first = take('k', 'one');
  first.release();
  const second = take('k', 'one');
  const third = take('k', 'one');
  await turn();
  assert.equal(second.value, first.value);
  first.release();
  second.release();
  await turn();
  assert.deepEqual(log, ['open one']);
  third.release();
  await turn();
  assert.deepEqual(log, ['open one', 'close one']);
  take('k', 'two');
  assert.equal(log.at(-1), 'open two');
});

test('what has ended by itself is opened anew', () => {
  const { take } = createHolds({ open: () => ({ over: false }), close: () => {}, ended: ({ over }) => over });
  const { value } = take('k');
  value.over = true;
  assert.notEqual(take('k').value, value);
});
