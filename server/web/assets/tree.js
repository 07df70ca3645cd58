import { h } from './dom.js';

const MOST = 60;

/** A value as a tree to open and close; what is open stays open when another value is shown. */
export class Tree {
  #open = new Set();
  #value;

  constructor(label) {
    this.element = h('div', { class: 'tree', role: 'group', 'aria-label': label });
  }

  show(value) {
    this.#value = value;
    const focused = document.activeElement?.closest?.('[data-path]')?.dataset.path;
    const scrolled = this.element.scrollTop;
    this.element.replaceChildren(...this.#branches(value, ''));
    this.element.scrollTop = scrolled;
    if (focused === undefined) return;
    const again = [...this.element.querySelectorAll('[data-path]')].find(({ dataset }) => dataset.path === focused);
    again?.querySelector('summary')?.focus({ preventScroll: true });
  }

  #branches(value, path) {
    const entries = Object.entries(value);
    const shown = entries.slice(0, MOST).map(([name, child]) => this.#node(name, child, `${path}\n${name}`));
    if (entries.length > MOST) shown.push(h('p', { class: 'quiet' }, `… ${entries.length - MOST} more`));
    return shown;
  }

  #node(name, value, path) {
    if (value === null || typeof value !== 'object') {
      return h('p', {}, h('span', { class: 'name' }, `${name}: `), h('code', {}, JSON.stringify(value) ?? 'undefined'));
    }
    const size = Array.isArray(value) ? `[${value.length}]` : `{${Object.keys(value).length}}`;
    const open = this.#open.has(path);
    const branch = h('details', { open, data: { path } },
      h('summary', {}, h('span', { class: 'name' }, name), ` ${size}`), ...(open ? this.#branches(value, path) : []));
    branch.addEventListener('toggle', () => {
      if (branch.open === this.#open.has(path)) return;
      if (branch.open) this.#open.add(path);
      else this.#open.delete(path);
      this.show(this.#value);
    });
    return branch;
  }
}
