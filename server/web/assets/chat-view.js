import { AnswerForm } from './chat-answer.js';
import { ChatClient } from './chat-client.js';
import { nameOf, textOfMessage } from './chat-state.js';
import { MessageWindow, TIME } from './chat-window.js';
import { avatar, count, h, keepChildren, onNextFrame, setText } from './dom.js';
import { bearer } from './me.js';

const NOBODY = 'No customer has written yet. Write as one below.';

/** The inbox: customers' rooms by latest message, the window of one, and a form that writes as a customer would. */
export class ChatView {
  #chat = null;
  #draw = onNextFrame(() => this.#show());

  constructor(line, me) {
    this.line = line;
    this.me = me;
    this.list = h('ul', { class: 'inbox-list' });
    this.hint = h('p', { class: 'quiet inbox-hint' });
    this.more = h('button', { class: 'small inbox-more', hidden: true, onclick: () => this.#chat.more() },
      'More customers');
    this.title = h('h2', { class: 'room-name grow' }, 'No room chosen');
    this.phone = h('span', { class: 'quiet number' });
    this.window = new MessageWindow(() => this.#chat.older());
    this.answer = new AnswerForm((...message) => this.#send(...message));
    this.said = h('p', { class: 'quiet typing', role: 'status' });
    this.element = h(
      'div', { class: 'chat' },
      h('section', { class: 'card inbox', 'aria-labelledby': 'inbox-title' },
        h('h2', { id: 'inbox-title' }, 'Inbox'),
        h('div', { class: 'inbox-scroll' }, this.hint, this.list, this.more), this.#customer()),
      h('section', { class: 'card conversation', 'aria-label': 'Conversation' },
        h('header', { class: 'row' }, this.title, this.phone), this.window.element, this.answer.element, this.said),
    );
  }

  open() {
    // Nothing scrolls while it is hidden: it is drawn again when it is looked at.
    if (this.#chat) return this.#draw();
    this.#chat = new ChatClient(this.line.socket, this.me.userId, {
      headers: bearer(this.me), onTraffic: this.line.onTraffic,
    });
    this.#chat.on('change', this.#draw);
    this.#chat.on('error', (message) => setText(this.said, message));
    return this.#draw();
  }

  #customer() {
    const phone = h('input', { 'aria-label': 'Phone', type: 'tel', value: '+62 878-5390', required: true });
    const name = h('input', { 'aria-label': 'Customer’s name', placeholder: 'Name', value: 'Siti' });
    const text = h('input', { 'aria-label': 'Message', placeholder: 'Message', required: true, autocomplete: 'off' });
    const write = async (event) => {
      event.preventDefault();
      setText(this.said, '');
      button.disabled = true;
      const body = await this.#chat.incoming({
        phone: phone.value, content_text: text.value, ...(name.value && { customer_name: name.value }),
      });
      button.disabled = false;
      if (body) text.value = '';
    };
    const button = h('button', {}, 'Write');
    return h('form', { class: 'customer', onsubmit: write },
      h('h3', {}, 'Write as a customer'), h('div', { class: 'row' }, phone, name),
      h('div', { class: 'row' }, text, button));
  }

  async #send(roomId, text, id) {
    setText(this.said, '');
    const sent = await this.#chat.send(roomId, text, id);
    if (sent && roomId === this.#chat.state.openId) this.window.follow();
    return sent !== null;
  }

  #show() {
    const { state } = this.#chat;
    const { rooms, cursor, openId } = state;
    this.hint.hidden = rooms.length > 0;
    setText(this.hint, cursor === undefined ? 'Reading the inbox …' : NOBODY);
    keepChildren(this.list, rooms, {
      key: (room) => room.room_id, make: (room) => this.#entry(room), show: (row, room) => fillEntry(row, room, openId),
    });
    this.more.hidden = !cursor;
    const room = rooms.find(({ room_id: id }) => id === openId);
    setText(this.title, room ? nameOf(room) : 'No room chosen');
    setText(this.phone, room?.room_phone ?? '');
    this.answer.show(room ? openId : null);
    this.window.show(state);
  }

  #entry(room) {
    return h('li', {}, h('button', { class: 'entry', onclick: () => this.#chat.open(room.room_id) },
      avatar(nameOf(room)),
      h('span', { class: 'grow' }, h('span', { class: 'entry-name' }), h('span', { class: 'quiet entry-text' })),
      h('span', { class: 'entry-side' }, h('time', { class: 'quiet number' }), h('span', { class: 'unread number' }))));
  }
}

function fillEntry(row, room, openId) {
  const button = row.firstChild;
  const [name, text] = button.children[1].children;
  const [time, unread] = button.children[2].children;
  setText(name, nameOf(room));
  setText(text, room.last_message ? textOfMessage(room.last_message) : 'No message yet');
  setText(time, room.last_message_timestamp ? TIME.format(new Date(room.last_message_timestamp)) : '');
  setText(unread, room.unread_count ? count(room.unread_count) : '');
  unread.toggleAttribute('hidden', !room.unread_count);
  unread.setAttribute('title', 'unread');
  button.setAttribute('aria-current', room.room_id === openId);
}
