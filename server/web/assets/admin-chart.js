import { count, h } from './dom.js';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 560;
const HEIGHT = 200;
const FOOT = 22;
const LEFT = 40;
const REASONS = ['left', 'disconnected', 'inactivity_timeout', 'server_restart', 'node_lost', 'kicked'];

/** How many users left a day, by reason: stacked bars to look at, and a table that says the same. */
export class RemovalsChart {
  #text = '';

  constructor(onDays) {
    this.select = h('select', { 'aria-label': 'Days', onchange: onDays },
      ...[7, 14, 30].map((days) => h('option', { value: days }, `${days} days`)));
    this.svg = draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: 'img', 'aria-label': 'Removals a day by reason' });
    this.table = h('table', {});
    this.element = h('section', { class: 'card chart', 'aria-labelledby': 'chart-title' },
      h('div', { class: 'row' }, h('h2', { id: 'chart-title', class: 'grow' }, 'Removals by reason'), this.select),
      h('figure', {}, this.svg,
        h('figcaption', { class: 'legend' }, ...REASONS.map((reason) =>
          h('span', { data: { reason } }, reason.replaceAll('_', ' '))))),
      h('details', {}, h('summary', {}, 'As a table'),
        h('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Removals as a table' }, this.table)));
  }

  get days() {
    return Number(this.select.value);
  }

  /** `now`: the server's time, whose days these are. */
  show(days, now) {
    const all = filled(days, this.days, now);
    const text = JSON.stringify(all);
    if (text === this.#text) return;
    this.#text = text;
    const most = niceTop(Math.max(1, ...all.map(({ total }) => total)));
    const width = (WIDTH - LEFT) / all.length;
    this.svg.replaceChildren(...grid(most), ...all.flatMap((day, at) => column(day, LEFT + at * width, width, most)));
    this.svg.setAttribute('aria-label', `Removals a day by reason, ${count(all.reduce((sum, day) => sum + day.total, 0))} in all`);
    this.#fillTable(all);
  }

  #fillTable(days) {
    const rows = [...days].reverse().map(({ date, removals, total }) => h('tr', {}, h('th', { scope: 'row' }, date),
      ...REASONS.map((reason) => h('td', { class: 'number' }, count(removals[reason] ?? 0))),
      h('td', { class: 'number' }, count(total))));
    const names = ['Day', ...REASONS.map((reason) => reason.replaceAll('_', ' ')), 'All'];
    this.table.replaceChildren(
      h('thead', {}, h('tr', {}, ...names.map((name) => h('th', { scope: 'col' }, name)))), h('tbody', {}, ...rows));
  }
}

/** Every day of the span, those without removals too; days are UTC, as the server counts them. */
function filled(days, span, now) {
  const known = new Map(days.map(({ date, removals }) => [date, removals]));
  return Array.from({ length: span }, (_, at) => {
    const date = new Date(now - (span - 1 - at) * 86_400_000).toISOString().slice(0, 10);
    const removals = known.get(date) ?? {};
    return { date, removals, total: Object.values(removals).reduce((sum, users) => sum + users, 0) };
  });
}

function niceTop(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most);
}

function grid(most) {
  const values = most === 1 ? [0, 1] : [0, most / 2, most];
  return values.flatMap((value) => {
    const y = yOf(value, most);
    const label = draw('text', { x: LEFT - 8, y: y + 4, 'text-anchor': 'end' });
    label.textContent = new Intl.NumberFormat('en', { notation: 'compact' }).format(value);
    return [draw('line', { x1: LEFT, x2: WIDTH, y1: y, y2: y }), label];
  });
}

function column({ date, removals, total }, x, width, most) {
  const bar = Math.min(width * 0.7, 36);
  const left = x + (width - bar) / 2;
  let below = 0;
  const parts = REASONS.filter((reason) => removals[reason]).map((reason) => {
    const top = yOf(below + removals[reason], most);
    const rect = draw('rect', { x: left, y: top, width: bar, height: Math.max(1, yOf(below, most) - top), 'data-reason': reason });
    below += removals[reason];
    return rect;
  });
  const title = draw('title', {});
  title.textContent = `${date}: ${count(total)}`;
  const group = draw('g', {});
  group.append(title, ...parts);
  if (width < 34 && Number(date.slice(8)) % 5) return [group];
  const label = draw('text', { x: x + width / 2, y: HEIGHT - 5, 'text-anchor': 'middle' });
  label.textContent = `${Number(date.slice(8))}.${Number(date.slice(5, 7))}.`;
  return [group, label];
}

const yOf = (value, most) => 8 + (HEIGHT - FOOT - 8) * (1 - value / most);

function draw(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
