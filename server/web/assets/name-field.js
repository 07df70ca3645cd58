import { h } from './dom.js';
import { bounded } from './forms.js';
import { remember } from './me.js';

const NAME_BYTES = 128;

const isFinal = ({ ok, error }) => !ok && !error.retryable && error.code !== 'not_in_room';

/**
 * The user's name, to be changed. `rename(username)` gives the promises of those it was told to: one the server refuses
 * is taken back, and only one that it has taken is remembered, else the next visit would begin with a refusal.
 */
export function nameField(me, rename) {
  const field = bounded(h('input', {
    'aria-label': 'Your name', required: true, value: me.username, autocomplete: 'off', onchange: () => change(),
  }), NAME_BYTES);

  async function change() {
    const username = field.value.trim();
    if (!field.reportValidity() || username === me.username) return;
    const before = me.username;
    me.username = username;
    const answers = await Promise.all(rename(username));
    if (me.username !== username) return;
    const refusal = answers.find(isFinal);
    if (refusal) takeBack(before, refusal.error);
    else if (!answers.length || answers.some(({ ok }) => ok)) remember(me);
  }

  function takeBack(before, { message }) {
    me.username = before;
    field.value = before;
    field.setCustomValidity(message);
    field.reportValidity();
    field.setCustomValidity('');
  }

  return h('span', { class: 'me' }, field);
}
