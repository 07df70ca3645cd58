import { groupsOf, letterOf, textOf } from './board-grouping.js';
import { h, keepChildren, plural, setText } from './dom.js';

const VOTES = 3;

/** The groups of a board, and this user's three votes for them. */
export class GroupList {
  board = null;
  #state = null;

  constructor(me) {
    this.me = me;
    this.left = h('span', { class: 'quiet number' });
    this.list = h('ul', { class: 'groups' });
    this.hint = h('p', { class: 'quiet' }, 'Drop a note on another to make a group.');
    this.element = h('section', { class: 'card', 'aria-labelledby': 'groups-title' },
      h('div', { class: 'row' }, h('h2', { id: 'groups-title', class: 'grow' }, 'Groups'), this.left), this.hint, this.list);
  }

  show(state) {
    this.#state = state;
    const groups = groupsOf(state);
    this.hint.hidden = groups.length > 0;
    setText(this.left, `${plural(VOTES - this.#spent(), 'vote')} left`);
    keepChildren(this.list, groups, {
      key: ({ signature }) => signature, make: (group) => this.#make(group), show: (row, group) => this.#fill(row, group),
    });
  }

  #mine() {
    return this.#state.allUserVotes[this.me.userId] ?? {};
  }

  #spent() {
    const known = groupsOf(this.#state).map(({ signature }) => signature);
    return known.reduce((sum, signature) => sum + (this.#mine()[signature] ?? 0), 0);
  }

  #make({ signature }) {
    return h('li', {},
      h('div', { class: 'row' }, h('span', { class: 'swatch' }), h('strong', { class: 'grow' }),
        h('span', { class: 'stepper' },
          h('button', { class: 'small', onclick: () => this.#vote(signature, -1) }, '−'), h('span', { class: 'number' }),
          h('button', { class: 'small', onclick: () => this.#vote(signature, 1) }, '+'))),
      h('p', { class: 'members quiet' }));
  }

  #fill(row, { signature, ids, colour }) {
    const letter = letterOf(this.#state, signature);
    const all = Object.values(this.#state.allUserVotes).reduce((sum, votes) => sum + (votes[signature] ?? 0), 0);
    const [head, members] = row.children;
    const [swatch, title, stepper] = head.children;
    const [less, mine, more] = stepper.children;
    swatch.style.setProperty('--group', colour);
    setText(title, `Group ${letter} · ${plural(all, 'vote')}`);
    setText(mine, this.#mine()[signature] ?? 0);
    setText(members, ids.map(textOf).join(', '));
    less.setAttribute('aria-label', `Take a vote from group ${letter}`);
    more.setAttribute('aria-label', `Vote for group ${letter}`);
    less.disabled = !this.#mine()[signature];
    more.disabled = this.#spent() >= VOTES;
  }

  #vote(signature, by) {
    // Votes for groups that are no more would eat up the three.
    const known = groupsOf(this.#state).map((group) => group.signature);
    const kept = Object.entries(this.#mine()).filter(([group]) => known.includes(group));
    const votes = { ...Object.fromEntries(kept), [signature]: (this.#mine()[signature] ?? 0) + by };
    this.board.vote(signature, votes[signature], votes);
  }
}
