/** Makes an element: `on…` properties are listeners, `data` is its dataset, false and null leave an attribute out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'data') Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Writes a text only where it differs: a screen reader hears changes, not repetitions. */
export function setText(element, value) {
  const text = String(value);
  if (element.textContent !== text) element.textContent = text;
}

/** Sets the colour of a group, unless it is none: an address, say, would be fetched by everybody who looks. */
export function setColour(element, colour) {
  if (CSS.supports('color', colour)) element.style.setProperty('--group', colour);
  else element.style.removeProperty('--group');
}

/** The same function, run once before the next picture however often it is called. */
export function onNextFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

/** The same function, run at most once a `periodMs`, the last call always. */
export function atMostEvery(periodMs, work) {
  let timer = null;
  let again = false;
  const run = () => {
    timer = setTimeout(() => {
      timer = null;
      if (again) run();
      again = false;
    }, periodMs);
    work();
  };
  return () => {
    if (timer === null) run();
    else again = true;
  };
}

/** Keeps one child a key in `parent`, in the order of `items`; children that stay are the same elements. */
export function keepChildren(parent, items, { key, make, show }) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const id = String(key(item));
    let child = known.get(id);
    known.delete(id);
    if (!child) {
      child = make(item);
      child.dataset.key = id;
    }
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
    show?.(child, item);
  }
  for (const child of known.values()) child.remove();
}

/** One child a place: what moves up or down is the text, so that nothing on the page shifts. */
export function fillPlaces(parent, items, { make, show }) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  for (const [at, item] of items.entries()) show(parent.children[at] ?? parent.appendChild(make()), item);
}

const COUNTS = new Intl.NumberFormat('en');
const TIMES = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

export const count = (number) => (number === null || number === undefined ? '–' : COUNTS.format(number));
export const plural = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;
export const clock = (time) => TIMES.format(new Date(time));

/** Two letters and a colour of one's own, the same on every page. */
export function avatar(name) {
  return showAvatar(h('span', { class: 'avatar', 'aria-hidden': 'true' }), name);
}

export function showAvatar(element, name) {
  const words = name.trim().split(/\s+/);
  const letters = words.length > 1 ? [[...words[0]][0], [...words.at(-1)][0]] : [...words[0]].slice(0, 2);
  let hue = 7;
  for (const letter of name) hue = (hue * 31 + letter.codePointAt(0)) % 360;
  setText(element, letters.join('').toUpperCase());
  element.style.setProperty('--hue', hue);
  return element;
}
