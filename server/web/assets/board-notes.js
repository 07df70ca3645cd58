import { grouped, groupsOf, textOf, ungrouped } from './board-grouping.js';
import { atMostEvery, h, keepChildren, setColour, setText } from './dom.js';
import { bounded, submitting } from './forms.js';

const FIELD = 1000;
const NOTE = { x: 180, y: 110 };
const STEP = 20;
const ID_BYTES = 128;
const MARK = 4;
const NEAR = { x: 90, y: 90 };
const SAMPLE = [
  'Releases are quicker', 'Tests found the bug first', 'Pairing on the migration', 'Too many meetings',
  'Flaky nightly build', 'Unclear on-call handover',
];
const KEYS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

/** The field of notes. They move by hand and by arrow keys; one dropped on another makes a group. */
export class NoteField {
  board = null;
  #state = null;
  #groups = new Map();
  #selected = null;
  #adding = 0;

  constructor({ typing }) {
    const told = atMostEvery(1500, typing);
    this.text = bounded(h('input', {
      'aria-label': 'New note', placeholder: 'What went well, what did not?', required: true, autocomplete: 'off',
      oninput: told,
    }), ID_BYTES - MARK - ':'.length);
    this.choice = h('select', { 'aria-label': 'Group the chosen note with', disabled: true, onchange: () => this.#join() });
    this.apart = h('button', { class: 'small', disabled: true, onclick: () => this.#part() }, 'Ungroup');
    this.bar = h('div', { class: 'note-bar' },
      h('form', { onsubmit: submitting(this.text, (text) => this.#add(text)) }, this.text,
        h('button', { class: 'main' }, 'Add note')),
      this.choice, this.apart);
    this.empty = h('div', { class: 'field-empty', hidden: true }, h('p', {}, 'No notes yet.'),
      h('button', { onclick: () => this.board?.layOut(sampleLayout(), 'init-layout') }, 'Lay out some samples'));
    this.list = h('div', {});
    this.element = h(
      'div', { class: 'card field', role: 'group', 'aria-label': 'Notes' },
      h('p', { class: 'unseen', id: 'note-keys' }, 'Arrow keys move a note, G groups it with the nearest, U ungroups it.'),
      this.list, this.empty,
    );
  }

  show(state, loaded) {
    this.#state = state;
    this.#groups = new Map(groupsOf(state).map((group) => [group.signature, group]));
    const ids = Object.keys(state.itemPositions).sort();
    this.empty.hidden = !loaded || ids.length > 0;
    keepChildren(this.list, ids, { key: String, make: (id) => this.#note(id), show: (note, id) => this.#place(note, id) });
    const others = ids.filter((id) => id !== this.#selected);
    const options = [{ id: '', text: 'Group with…' }, ...others.map((id) => ({ id, text: textOf(id) }))];
    keepChildren(this.choice, options, { key: ({ id }) => id, make: ({ id, text }) => h('option', { value: id }, text) });
    this.choice.disabled = !this.#selected || !others.length;
    this.apart.disabled = !(this.#selected && state.itemGroups[this.#selected]);
  }

  #note(id) {
    const note = h('button', {
      class: 'note', type: 'button', 'aria-describedby': 'note-keys', onkeydown: (event) => this.#key(event, id),
      onpointerdown: (event) => this.#grab(event, id, note), onfocus: () => this.#select(id),
      onclick: () => this.#select(id),
    }, h('span', {}, textOf(id)), h('span', { class: 'badge' }));
    return note;
  }

  #place(note, id) {
    const { itemPositions, itemGroups } = this.#state;
    note.style.setProperty('--x', itemPositions[id].x);
    note.style.setProperty('--y', itemPositions[id].y);
    const group = this.#groups.get(itemGroups[id]);
    setColour(note, group?.colour ?? '');
    setText(note.lastChild, group ? `Group ${group.letter}` : '');
    note.setAttribute('aria-pressed', id === this.#selected);
  }

  #select(id) {
    this.#selected = id;
    this.show(this.#state, true);
  }

  async #add(text) {
    const at = Object.keys(this.#state?.itemPositions ?? {}).length + this.#adding;
    const id = `${Math.random().toString(36).slice(2, 2 + MARK)}:${text}`;
    this.#adding += 1;
    const answer = await this.board?.layOut({ [id]: gridPlace(at) }, 'bulk');
    this.#adding -= 1;
    return answer;
  }

  #grab(event, id, note) {
    if (event.button !== 0) return;
    const { width, height } = this.element.getBoundingClientRect();
    const start = { x: event.clientX, y: event.clientY, from: this.#state.itemPositions[id] };
    let moved = false;
    const place = ({ clientX, clientY }) => within({
      x: start.from.x + ((clientX - start.x) / width) * FIELD,
      y: start.from.y + ((clientY - start.y) / height) * FIELD,
    });
    const move = (next) => {
      if (!moved && Math.hypot(next.clientX - start.x, next.clientY - start.y) < 4) return;
      moved = true;
      note.classList.add('held');
      this.board.moveItem(id, place(next));
      this.#mark(this.#nearest(id, NEAR));
    };
    const drop = (last) => {
      for (const [name, listener] of Object.entries(listeners)) note.removeEventListener(name, listener);
      note.classList.remove('held');
      this.#mark(null);
      if (!moved) return;
      this.board.moveItem(id, place(last), 'drag-stop');
      const target = this.#nearest(id, NEAR);
      if (target && this.#state.itemGroups[target] !== (this.#state.itemGroups[id] ?? null)) this.#group(id, target);
    };
    const listeners = { pointermove: move, pointerup: drop, pointercancel: drop };
    note.setPointerCapture(event.pointerId);
    for (const [name, listener] of Object.entries(listeners)) note.addEventListener(name, listener);
  }

  #key(event, id) {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own
    const step = KEYS[event.key];
    const letter = event.key.toLowerCase();
    if (step) {
      const { x, y } = this.#state.itemPositions[id];
      this.board.moveItem(id, within({ x: x + step[0], y: y + step[1] }), 'drag-stop');
    } else if (letter === 'g') {
      const target = this.#nearest(id);
      if (target) this.#group(id, target);
    } else if (letter === 'u') this.#part();
    else return;
    event.preventDefault();
  }

  /** The closest other note, no further than `within`. */
  #nearest(id, limit = { x: Infinity, y: Infinity }) {
    // What the board client has, not what the last picture showed: a drop may follow its move at once.
    const { itemPositions } = this.board.view.state;
    const { x, y } = itemPositions[id];
    const distances = Object.entries(itemPositions)
      .filter(([other, at]) => other !== id && Math.abs(at.x - x) < limit.x && Math.abs(at.y - y) < limit.y)
      .map(([other, at]) => [Math.hypot(at.x - x, at.y - y), other]);
    return distances.sort(([a], [b]) => a - b)[0]?.[1] ?? null;
  }

  #mark(target) {
    for (const note of this.list.children) note.classList.toggle('target', note.dataset.key === target);
  }

  #join() {
    if (this.choice.value) this.#group(this.#selected, this.choice.value);
    this.choice.value = '';
  }

  #group(item, other) {
    const { itemGroups, signatureColors } = grouped(this.board.view.state, item, other);
    this.board.group(itemGroups, signatureColors);
  }

  #part() {
    const { itemGroups, signatureColors } = ungrouped(this.board.view.state, this.#selected);
    this.board.group(itemGroups, signatureColors);
  }
}

const within = ({ x, y }) => ({
  x: Math.round(Math.min(FIELD - NOTE.x, Math.max(0, x))), y: Math.round(Math.min(FIELD - NOTE.y, Math.max(0, y))),
});

const gridPlace = (at) => ({ x: 20 + (at % 5) * 195, y: 30 + (Math.floor(at / 5) % 6) * 150 });

const sampleLayout = () => Object.fromEntries(SAMPLE.map((text, at) => [`s${at}:${text}`, {
  x: 60 + (at % 3) * 310, y: 90 + Math.floor(at / 3) * 400,
}]));
