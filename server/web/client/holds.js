/**
 * Shares one thing per key among those who take it, and closes it once all have let go: a microtask later, so that a
 * component unmounted and mounted again in one go (React's StrictMode does it to every one) keeps what it had.
 */
export function createHolds({ open, close, ended }) {
  const held = new Map();

  function release(key, hold) {
    hold.takers -= 1;
    queueMicrotask(() => {
      if (hold.takers || hold.closed) return;
      hold.closed = true;
      if (held.get(key) === hold) held.delete(key);
      close(hold.value);
    });
  }

  /** Returns `{value, release}`; one that has ended by itself is opened anew. */
  function take(key, ...args) {
    let hold = held.get(key);
    if (!hold || ended(hold.value)) {
      hold = { value: open(...args), takers: 0, closed: false };
      held.set(key, hold);
    }
    hold.takers += 1;
    let taken = true;
    return {
      value: hold.value,
      release() {
        if (taken) release(key, hold);
        taken = false;
      },
    };
  }

  /** The one among those still taken that fits, or undefined. */
  const find = (fits) => [...held.values()].find(({ value, takers }) => takers > 0 && fits(value))?.value;

  return { take, find };
}
