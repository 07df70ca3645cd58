import { groupsOf, textOf } from './board-grouping.js';
import { Ballot } from './board-votes.js';
import { h, keepChildren, plural, setColour, setText } from './dom.js';

const VOTES = 3;

/** The groups of a board, and this user's three votes for them. */
export class GroupList {
  board = null;
  #state = null;
  #groups = [];
  #ballot;

  constructor(me) {
    this.#ballot = new Ballot(me.userId);
    this.left = h('span', { class: 'quiet number' });
    this.list = h('ul', { class: 'groups' });
    this.hint = h('p', { class: 'quiet' }, 'Drop a note on another to make a group.');
    this.element = h('section', { class: 'card', 'aria-labelledby': 'groups-title' },
      h('div', { class: 'row' }, h('h2', { id: 'groups-title', class: 'grow' }, 'Groups'), this.left), this.hint, this.list);
  }

  show(state) {
    this.#state = state;
    this.#groups = groupsOf(state);
    const spent = this.#ballot.spent(state, this.#signatures());
    this.hint.hidden = this.#groups.length > 0;
    setText(this.left, `${plural(VOTES - spent, 'vote')} left`);
    keepChildren(this.list, this.#groups, {
      key: ({ signature }) => signature, make: (group) => this.#make(group),
      show: (row, group) => this.#fill(row, group, spent),
    });
  }

  #signatures() {
    return this.#groups.map(({ signature }) => signature);
  }

  #make({ signature }) {
    return h('li', {},
      h('div', { class: 'row' }, h('span', { class: 'swatch' }), h('strong', { class: 'grow' }),
        h('span', { class: 'stepper' },
          h('button', { class: 'small', onclick: () => this.#vote(signature, -1) }, '−'), h('span', { class: 'number' }),
          h('button', { class: 'small', onclick: () => this.#vote(signature, 1) }, '+'))),
      h('p', { class: 'members quiet' }));
  }

  #fill(row, { signature, letter, ids, colour }, spent) {
    const own = this.#ballot.votes(this.#state)[signature] ?? 0;
    const [head, members] = row.children;
    const [swatch, title, stepper] = head.children;
    const [less, mine, more] = stepper.children;
    setColour(swatch, colour);
    setText(title, `Group ${letter} · ${plural(this.#ballot.total(this.#state, signature), 'vote')}`);
    setText(mine, own);
    setText(members, ids.map(textOf).join(', '));
    less.setAttribute('aria-label', `Take a vote from group ${letter}`);
    more.setAttribute('aria-label', `Vote for group ${letter}`);
    less.disabled = !own;
    more.disabled = spent >= VOTES;
  }

  async #vote(signature, by) {
    const answered = this.#ballot.cast(this.board, this.#signatures(), signature, by);
    this.show(this.board.view.state);
    await answered;
    this.show(this.board?.view.state ?? this.#state);
  }
}
