const WAITS = ['disconnected', 'not_in_room']; // for the room to be online again

/** What a room shows of its user, and which of it the server may not have. */
export class Record {
  #untold = new Set();
  #link;

  /** `link.send(change)` resolves to the ack; `link.later()` calls `tell` in a while. */
  constructor(user, link) {
    this.user = { ...user };
    this.#link = link;
  }

  /** All of it, for a join. */
  whole() {
    this.#untold.clear();
    return this.user;
  }

  async update({ username, data }) {
    const change = { ...(username !== undefined && { username }), ...(data !== undefined && { data }) };
    const before = this.user;
    const user = { ...before, ...change };
    this.user = user;
    const answer = await this.#link.send(change);
    const { code, retryable } = answer.error ?? {};
    if (retryable || code === 'not_in_room') this.#keep(change, code);
    else if (code && this.user === user) this.user = before; // the next join would be refused for it as well
    return answer;
  }

  /** Sends the values of now: those that were refused may be outdated. */
  tell = () => {
    const change = {};
    for (const name of this.#untold) change[name] = this.user[name];
    if (this.#untold.size) this.update(change);
    this.#untold.clear();
  };

  #keep(change, code) {
    for (const name in change) this.#untold.add(name);
    if (!WAITS.includes(code)) this.#link.later();
  }
}
