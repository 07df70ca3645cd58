const MOVE_MS = 50; // a drag gives 60 moves a second, the server takes 50 events of all kinds

/**
 * The items under this page's hand. Their moves are sent at most every 50 ms, the last place always; what others say
 * of such an item waits for the answer, else it jumps under the hand.
 */
export class Moves {
  #link;
  #unsent = new Map(); // item → its move not sent yet
  #moving = new Map(); // item → {position: our last, open: moves without an ack, event: the newest foreign move}

  /** `link`: `schedule`, `send(move)`, and for its answer `placed(itemId, position, answer)` or `refused()`. */
  constructor(link) {
    this.#link = link;
  }

  move(itemId, position, source) {
    if (!this.#unsent.size) this.#link.schedule.in(this.#flush, MOVE_MS);
    const moving = this.#moving.get(itemId) ?? { open: 0, event: null };
    this.#moving.set(itemId, Object.assign(moving, { position }));
    this.#unsent.set(itemId, { itemId, position, source });
  }

  /** Whether a move that was heard is kept for later: `link.heard(event)`. */
  keeps(event) {
    const moving = this.#moving.get(event.itemId);
    if (moving) moving.event = event;
    return Boolean(moving);
  }

  stop() {
    this.#link.schedule.cancel(this.#flush);
    this.#unsent.clear();
    this.#moving.clear();
  }

  #flush = () => {
    const moves = [...this.#unsent.values()];
    this.#unsent.clear();
    for (const move of moves) this.#send(move);
  };

  async #send(move) {
    const { itemId } = move;
    const moving = this.#moving.get(itemId);
    moving.open += 1;
    const answer = await this.#link.send(move);
    moving.open -= 1;
    if (this.#moving.get(itemId) !== moving) return;
    if (answer.ok) this.#link.placed(itemId, moving.position, answer);
    else this.#link.refused();
    if (moving.open || this.#unsent.has(itemId)) return;
    this.#moving.delete(itemId);
    if (moving.event) this.#link.heard(moving.event);
  }
}
