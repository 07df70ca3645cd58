const LONGEST_MS = 2 ** 31 - 1;

/**
 * Many due times, one timer. `in(task, delayMs)` replaces the task's earlier time; a task runs once and is forgotten.
 * The timer only says "look at the clock": a hidden tab's late timer, or one that slept with its laptop, runs
 * everything that is due by the wall clock; when the clock is set back all due times go back with it.
 */
export function createSchedule() {
  const due = new Map();
  let timer;
  let seen = 0;

  function look(atLeast) {
    seen = Date.now();
    if (seen < atLeast) for (const [task, at] of due) due.set(task, at - (atLeast - seen));
    return seen;
  }

  function arm() {
    clearTimeout(timer);
    timer = undefined;
    if (!due.size) return;
    const next = Math.min(...due.values());
    timer = setTimeout(run, Math.min(LONGEST_MS, Math.max(0, next - seen)), next);
  }

  function run(armedFor) {
    const now = look(armedFor);
    const tasks = [...due].filter(([, at]) => at <= now).map(([task]) => task);
    for (const task of tasks) due.delete(task);
    arm();
    for (const task of tasks) task();
  }

  return {
    in(task, delayMs) {
      const now = look(seen);
      due.set(task, now + delayMs);
      arm();
    },
    cancel(...tasks) {
      for (const task of tasks) due.delete(task);
      look(seen);
      arm();
    },
  };
}

/**
 * Calls `wake` when the page comes to the front, out of the back-forward cache, or back on line, and `sleep` when it may
 * go into that cache: not when it is only hidden.
 */
export function onWake(page, wake, sleep) {
  const { document } = page;
  const shown = () => document.visibilityState === 'visible' && wake();
  const left = ({ persisted }) => persisted && sleep();
  const events = [
    [document, 'visibilitychange', shown], [page, 'online', wake], [page, 'pageshow', wake], [page, 'pagehide', left],
  ];
  for (const [target, name, listener] of events) target?.addEventListener?.(name, listener);
  return () => {
    for (const [target, name, listener] of events) target?.removeEventListener?.(name, listener);
  };
}
