const ENCODER = new TextEncoder();

/** What is wrong with a text that is to have 1 to `most` bytes of UTF-8, or ''. An empty one is the browser's to refuse. */
export function flawOf(text, most) {
  if (text && !text.trim()) return 'Please write something';
  const over = ENCODER.encode(text.trim()).length - most;
  return over > 0 ? `Too long by ${over} ${over === 1 ? 'byte' : 'bytes'}: letters of some scripts count for several` : '';
}

/** Lets the browser refuse to submit a field whose text has more bytes than the server takes, or is blank. */
export function bounded(field, most) {
  const check = () => field.setCustomValidity(flawOf(field.value, most));
  field.addEventListener('input', check);
  return field;
}

/**
 * The submitting of a form with one field, whose text `send` resolves to an ack for. A text that was not taken is back in
 * the field, before what was typed meanwhile.
 */
export function submitting(field, send) {
  return async (event) => {
    event.preventDefault();
    const text = field.value.trim();
    field.value = '';
    const answer = await send(text);
    if (!answer?.ok) field.value = [text, field.value].filter(Boolean).join(' ');
  };
}
