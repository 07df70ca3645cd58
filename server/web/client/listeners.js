/** A set of listeners by event name. `on` returns the function that takes the listener off again. */
export class Listeners {
  #byEvent = new Map();

  on(event, listener) {
    if (!this.#byEvent.has(event)) this.#byEvent.set(event, new Set());
    this.#byEvent.get(event).add(listener);
    return () => this.off(event, listener);
  }

  off(event, listener) {
    this.#byEvent.get(event)?.delete(listener);
  }

  /** Calls every listener; one that throws is reported and keeps nothing from the others. */
  emit(event, body) {
    for (const listener of [...(this.#byEvent.get(event) ?? [])]) {
      try {
        listener(body);
      } catch (error) {
        (globalThis.reportError ?? console.error)(error);
      }
    }
  }
}
