/** What grouping does to a board's state: pure functions over `itemGroups` and `signatureColors`. */

const COLOURS = ['#6366f1', '#0ea5a4', '#e0731d', '#c026a8', '#4d8f1f', '#c0392b', '#2574c4', '#8b6f1c'];

/** A note's id is a random mark and its text, so that a board needs no other place for texts. */
export const textOf = (id) => id.slice(id.indexOf(':') + 1);

/** The groups in a fixed order, each with its letter and its notes. */
export function groupsOf({ itemGroups, signatureColors }) {
  const members = Map.groupBy(Object.keys(itemGroups).sort(), (id) => itemGroups[id]);
  return [...members].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([signature, ids], at) => ({ signature, letter: letter(at), ids, colour: signatureColors[signature] ?? '' }));
}

const letter = (at) => (at < 26 ? String.fromCharCode(65 + at) : String(at + 1));

/** Puts `item` into the group of `other`; a new one, where `other` has none. */
export function grouped({ itemGroups, signatureColors }, item, other) {
  const signature = itemGroups[other] ?? itemGroups[item] ?? `g${Date.now().toString(36)}`;
  const used = Object.values(signatureColors);
  const colour = signatureColors[signature] ?? COLOURS.find((one) => !used.includes(one)) ?? COLOURS[used.length % 8];
  return tidy({ ...itemGroups, [item]: signature, [other]: signature }, { ...signatureColors, [signature]: colour });
}

export function ungrouped({ itemGroups, signatureColors }, item) {
  const { [item]: _, ...rest } = itemGroups;
  return tidy(rest, signatureColors);
}

/** A group of one is none, and a colour without a group goes. */
function tidy(itemGroups, signatureColors) {
  const sizes = new Map();
  for (const signature of Object.values(itemGroups)) sizes.set(signature, (sizes.get(signature) ?? 0) + 1);
  const stays = (signature) => sizes.get(signature) > 1;
  return {
    itemGroups: Object.fromEntries(Object.entries(itemGroups).filter(([, signature]) => stays(signature))),
    signatureColors: Object.fromEntries(Object.entries(signatureColors).filter(([signature]) => stays(signature))),
  };
}
