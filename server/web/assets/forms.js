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
