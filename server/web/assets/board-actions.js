import { h, keepChildren, setText } from './dom.js';

/** The action items of a board: added, changed and taken away by anybody. */
export class ActionList {
  board = null;

  constructor(me) {
    this.me = me;
    this.task = h('input', {
      'aria-label': 'New action item', placeholder: 'What will we do?', required: true, maxlength: '400', autocomplete: 'off',
    });
    this.assignee = h('select', { 'aria-label': 'Assignee' });
    this.list = h('ul', { class: 'actions' });
    this.element = h('section', { class: 'card', 'aria-labelledby': 'actions-title' },
      h('h2', { id: 'actions-title' }, 'Action items'),
      h('form', { class: 'action-form', onsubmit: (event) => this.#add(event) }, this.task,
        h('div', { class: 'row' }, this.assignee, h('button', {}, 'Add'))),
      this.list);
  }

  show({ actionItems }, participants) {
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

  #add(event) {
    event.preventDefault();
    const [chosen] = this.assignee.selectedOptions;
    this.board?.addActionItem({ task: this.task.value.trim(), assigneeId: chosen.value, assigneeName: chosen.textContent });
    this.task.value = '';
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
    const field = h('input', { 'aria-label': 'Action item', value: task.textContent, required: true, maxlength: '400' });
    const done = (event) => {
      event.preventDefault();
      form.replaceWith(task);
      if (field.value.trim() && field.value !== task.textContent) {
        this.board.updateActionItem(id, { task: field.value.trim() });
      }
      row.querySelector('button').focus();
    };
    const form = h('form', { class: 'row', onsubmit: done }, field, h('button', { class: 'small' }, 'Save'));
    task.replaceWith(form);
    field.focus();
  }
}

function fill(row, { task, assigneeName, edited }) {
  // While it is edited the text stays the editor's own.
  if (row.firstChild.matches('.task')) setText(row.firstChild, task);
  setText(row.lastChild.firstChild, `${assigneeName}${edited ? ' · edited' : ''}`);
}
