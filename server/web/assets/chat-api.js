const TIMEOUT_MS = 10_000;
const UNREACHED = 'The chat cannot be reached now.';

/** The chat's HTTP routes. Answers never reject: `{body}`, or `{error, retryable}` with the server's message. */
export class ChatApi {
  #headers;

  constructor(headers = {}) {
    this.#headers = headers;
  }

  get(path) {
    return this.#ask(path, { headers: this.#headers, cache: 'no-store' });
  }

  post(path, body) {
    const headers = { ...this.#headers, 'content-type': 'application/json' };
    return this.#ask(path, { method: 'POST', headers, body: JSON.stringify(body) });
  }

  async #ask(path, init) {
    try {
      const answer = await fetch(path, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
      const body = await answer.json();
      if (answer.ok) return { body };
      const { message = answer.statusText, retryable = answer.status >= 500 } = body.error ?? {};
      return { error: message, retryable };
    } catch {
      return { error: UNREACHED, retryable: true };
    }
  }
}
