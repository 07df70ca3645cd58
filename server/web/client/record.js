const WAITS = ['disconnected', 'not_in_room']; // for the room to be online again

/** What a room shows of its user, which of it the server may not have, and what it took last. */
export class Record {
  #taken;
  #newest = {}; // the last change of each field
  #untold = new Set();
  #link;

  /** `link.send(change)` gives the ack; `link.later()` calls `tell` in a while; `link.failed` hears if in vain. */
  constructor(user, link) {
    this.begin(user);
    this.#link = link;
  }

  begin(user) {
    this.user = this.#taken = { ...user };
  }

  /** All of it, for a join. */
  whole() {
    this.#untold.clear();
    return this.user;
  }

  took(change) {
    this.#taken = { ...this.#taken, ...change };
  }

  /** Goes back to what the server took; false where that is all there is. */
  goBack(names = Object.keys(this.user)) {
    const gone = names.filter((name) => this.user[name] !== this.#taken[name]);
    for (const name of gone) {
      this.user = { ...this.user, [name]: this.#taken[name] };
      this.#untold.delete(name);
    }
    return gone.length > 0;
  }

  async update({ username, data }, failed) {
    const change = { ...(username !== undefined && { username }), ...(data !== undefined && { data }) };
    this.user = { ...this.user, ...change };
    for (const name in change) this.#newest[name] = change;
    const answer = await this.#link.send(change);
    const { error } = answer;
    if (!error) this.took(change);
    else if (error.retryable || WAITS.includes(error.code)) {
      for (const name in change) this.#untold.add(name);
      if (!WAITS.includes(error.code)) this.#link.later();
    } else {
      // The next join would be refused for it as well; what was changed since is judged by itself.
      this.goBack(Object.keys(change).filter((name) => this.#newest[name] === change));
      failed?.(error);
    }
    return answer;
  }

  /** Sends the values of now: those that were refused may be outdated. */
  tell = () => {
    const change = {};
    for (const name of this.#untold) change[name] = this.user[name];
    if (this.#untold.size) this.update(change, this.#link.failed);
    this.#untold.clear();
  };
}
