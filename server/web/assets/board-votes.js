/**
 * One user's votes. Every vote sends all of them, so that the next one builds on the last that was sent: what the board
 * shows is older until its echo has come.
 */
export class Ballot {
  #sent = null; // {votes, from, until}: the board's version when it was sent, and the one that has it

  constructor(userId) {
    this.userId = userId;
  }

  votes({ allUserVotes, version }) {
    // A lower version than then is another life of the board.
    if (this.#sent && (version >= this.#sent.until || version < this.#sent.from)) this.#sent = null;
    return this.#sent?.votes ?? allUserVotes[this.userId] ?? {};
  }

  spent(state, signatures) {
    const votes = this.votes(state);
    return signatures.reduce((sum, signature) => sum + (votes[signature] ?? 0), 0);
  }

  /** What all have given to one group, these votes as they were sent last. */
  total(state, signature) {
    const others = Object.entries(state.allUserVotes).filter(([user]) => user !== String(this.userId));
    return others.reduce((sum, [, votes]) => sum + (votes[signature] ?? 0), this.votes(state)[signature] ?? 0);
  }

  /** Votes for one of the groups there are: votes for others would eat up what one may give. */
  async cast(board, signatures, signature, by) {
    const { state } = board.view;
    const kept = Object.entries(this.votes(state)).filter(([group]) => signatures.includes(group));
    const votes = Object.fromEntries(kept);
    votes[signature] = Math.max(0, (votes[signature] ?? 0) + by);
    const sent = { votes, from: state.version, until: Infinity };
    this.#sent = sent;
    const answer = await board.vote(signature, votes[signature], votes);
    if (answer.ok) sent.until = answer.version ?? 0;
    else if (this.#sent === sent) this.#sent = null;
  }
}
