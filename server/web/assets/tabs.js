import { h } from './dom.js';

/** Views one at a time: arrow keys, Home and End move between the tabs, the address remembers which. */
export class Tabs {
  #tabs = new Map();

  /** `views`: `{id, name, element, shown?()}`; `shown` is called when a view is first and again looked at. */
  constructor(views) {
    this.list = h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Views', onkeydown: (event) => this.#key(event) });
    this.panels = h('div', { class: 'panels' });
    for (const view of views) this.#add(view);
    const asked = location.hash.slice(1);
    this.select(this.#tabs.has(asked) ? asked : views[0].id);
  }

  select(id) {
    this.selected = id;
    for (const [name, { tab, panel }] of this.#tabs) {
      const on = name === id;
      tab.setAttribute('aria-selected', on);
      tab.tabIndex = on ? 0 : -1;
      panel.hidden = !on;
    }
    this.#tabs.get(id).view.shown?.();
    history.replaceState(null, '', `${location.pathname}${location.search}#${id}`);
  }

  #add(view) {
    const tab = h('button', {
      role: 'tab', id: `tab-${view.id}`, 'aria-controls': `panel-${view.id}`, onclick: () => this.select(view.id),
    }, view.name);
    const panel = h('div', { role: 'tabpanel', id: `panel-${view.id}`, 'aria-labelledby': `tab-${view.id}` }, view.element);
    this.#tabs.set(view.id, { tab, panel, view });
    this.list.append(tab);
    this.panels.append(panel);
  }

  #key({ key }) {
    const ids = [...this.#tabs.keys()];
    const at = ids.indexOf(this.selected);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: ids.length - 1 }[key];
    if (to === undefined) return;
    const id = ids[(to + ids.length) % ids.length];
    this.select(id);
    this.#tabs.get(id).tab.focus();
  }
}
