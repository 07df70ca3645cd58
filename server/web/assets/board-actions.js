import { h, keepChildren, setText } from './dom.js';
import { bounded, submitting } from './forms.js';

const TASK_BYTES = 4096;

/** The action items of a board: added, changed and taken away by anybody. */
export class ActionList {
  board = null;
  #items = [];

  constructor(me) {
    this.me = me;
    this.task = bounded(h('input', {
      'aria-label': 'New action item', placeholder: 'What will we do?', required: true, maxlength: '400', autocomplete: 'off',
    }), TASK_BYTES);
    this.assignee = h('select', { 'aria-label': 'Assignee' });
    this.list = h('ul', { class: 'actions' });
    this.element = h('section', { class: 'card', 'aria-labelledby': 'actions-title' },
      h('h2', { id: 'actions-title' }, 'Action items'),
      h('form', { class: 'action-form', onsubmit: submitting(this.task, (task) => this.#add(task)) }, this.task,
        h('div', { class: 'row' }, this.assignee, h('button', {}, 'Add'))),
      this.list);
  }

  show({ actionItems }, participants) {
    this.#items = actionItems;
    const { userId, username } = this.me;
    const others = participants.filter((member) => String(member.userId) !== String(userId));
    keepChildren(this.assignee, [{ userId, username }, ...others], {
      key: (member) => member.userId,
      make: (member) => h('option', { value: member.userId }, member.username),
      show: (option, member) => setText(option, member.username),
    });
    keepChildren(this.list, actionItems, {
      key: ({ id }) => id, make: ({ id }) => this.#make(id), show: (row, item) => fill(row, item),
    });
  }

  #add(task) {
    const [chosen] = this.assignee.selectedOptions;
    return this.board?.addActionItem({ task, assigneeId: chosen.value, assigneeName: chosen.textContent });
  }

  #make(id) {
    const row = h('li', {},
      h('p', { class: 'task' }),
      h('div', { class: 'row' }, h('span', { class: 'quiet grow' }),
        h('button', { class: 'small', onclick: () => this.#edit(row, id) }, 'Edit'),
        h('button', { class: 'small', onclick: () => this.board.deleteActionItem(id) }, 'Delete')));
    return row;
  }

  #edit(row, id) {
    const task = row.firstChild;
    const before = task.textContent;
    const field = h('input', { 'aria-label': 'Action item', value: before, required: true, maxlength: '400' });
    const done = async (event) => {
      event.preventDefault();
      const text = field.value.trim();
      const answer = text === before ? { ok: true } : await this.board.updateActionItem(id, { task: text });
      if (!answer.ok || !form.isConnected) return; // the text stays where it can be sent again
      form.replaceWith(task);
      const item = this.#items.find((one) => one.id === id);
      if (item) fill(row, item);
      row.querySelector('button').focus();
    };
    const form = h('form', { class: 'row', onsubmit: done }, bounded(field, TASK_BYTES),
      h('button', { class: 'small' }, 'Save'));
    task.replaceWith(form);
    field.focus();
  }
}

function fill(row, { task, assigneeName, edited }) {
  // While it is edited the text stays the editor's own.
  if (row.firstChild.matches('.task')) setText(row.firstChild, task);
  setText(row.lastChild.firstChild, `${assigneeName}${edited ? ' · edited' : ''}`);
}
