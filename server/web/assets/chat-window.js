import { textOfMessage } from './chat-state.js';
import { h, keepChildren } from './dom.js';

const AT_END_PX = 40;

export const TIME = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });

/** The messages of the open room: who looks at the end follows what is new, who reads further up stays there. */
export class MessageWindow {
  #roomId = null;
  #following = true;

  constructor(onOlder) {
    this.older = h('button', { class: 'small', hidden: true, onclick: onOlder }, 'Earlier messages');
    this.messages = h('ol', { class: 'messages', 'aria-label': 'Messages' });
    this.element = h('div', { class: 'message-window', tabindex: '0', role: 'log', 'aria-label': 'Messages' },
      this.older, this.messages);
    this.element.addEventListener('scroll', () => this.#look(), { passive: true });
  }

  /** From here on the newest message is in view. */
  follow() {
    this.#following = true;
    this.element.scrollTop = this.element.scrollHeight;
  }

  show({ openId, messages, hasMore }) {
    if (openId !== this.#roomId) this.#following = true;
    this.#roomId = openId;
    const anchor = this.messages.firstElementChild;
    const before = anchor?.offsetTop;
    this.older.hidden = !(hasMore ?? messages.length);
    keepChildren(this.messages, messages, { key: ({ id }) => id, make: bubble });
    if (this.#following || !anchor?.isConnected) this.follow();
    else this.element.scrollTop += anchor.offsetTop - before;
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.element;
    this.#following = scrollHeight - scrollTop - clientHeight < AT_END_PX;
  }
}

function bubble(message) {
  const agent = message.user_id !== null;
  const by = `${agent ? message.user_id : 'Customer'} · ${TIME.format(new Date(message.created_at))}`;
  return h('li', { class: agent ? 'agent' : 'customer-says' },
    h('p', {}, textOfMessage(message)), h('span', { class: 'quiet number' }, by));
}
