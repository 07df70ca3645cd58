import { h } from './dom.js';

const BEYOND = 6;

/**
 * A list of which only the rows in view exist: 100,000 entries cost as much as 20. All rows are `rowHeight` px high.
 * `show(row, item)` fills a row, which may have shown another item before.
 */
export class WindowedList {
  #items = [];
  #rows = new Map();
  #spare = [];

  constructor({ rowHeight, label, make, show }) {
    this.rowHeight = rowHeight;
    this.make = make;
    this.show = show;
    this.body = h('ul', { class: 'window-body', 'aria-label': label });
    this.element = h('div', { class: 'window', tabindex: '0', role: 'region', 'aria-label': label }, this.body);
    this.element.addEventListener('scroll', () => this.#fill(), { passive: true });
    new ResizeObserver(() => this.#fill()).observe(this.element);
  }

  get rowCount() {
    return this.#rows.size;
  }

  set items(items) {
    this.#items = items;
    this.body.style.height = `${items.length * this.rowHeight}px`;
    for (const row of this.#rows.values()) this.#retire(row);
    this.#rows.clear();
    this.#fill();
  }

  #fill() {
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, Math.floor(scrollTop / this.rowHeight) - BEYOND);
    const last = Math.min(this.#items.length, Math.ceil((scrollTop + clientHeight) / this.rowHeight) + BEYOND);
    for (const [at, row] of this.#rows) {
      if (at >= first && at < last) continue;
      this.#rows.delete(at);
      this.#retire(row);
    }
    for (let at = first; at < last; at += 1) if (!this.#rows.has(at)) this.#place(at);
    for (const row of this.#spare) row.hidden = true;
  }

  #place(at) {
    const row = this.#spare.shift() ?? h('li', { class: 'window-row' }, ...this.make());
    // Rows stand in the document as on the screen: that is the order in which they are read out.
    const before = this.#rows.get(at - 1);
    if (!before) this.body.prepend(row);
    else if (before.nextSibling !== row) before.after(row);
    row.hidden = false;
    row.style.transform = `translateY(${at * this.rowHeight}px)`;
    row.setAttribute('aria-posinset', at + 1);
    row.setAttribute('aria-setsize', this.#items.length);
    this.show(row, this.#items[at]);
    this.#rows.set(at, row);
  }

  #retire(row) {
    this.#spare.push(row);
  }
}
