import { io } from '/vendor/socket.io-client/socket.io.esm.min.js';
import { createPresenceClient } from '/client/presence-client.js';
import { Listeners } from '/client/listeners.js';

const KEPT_EVENTS = 60;

/** The page's one connection: its socket, its presence client, what went over it, and ways to disturb it. */
export class Line extends Listeners {
  events = [];
  node = null;
  dropped = false;
  muted = false;
  lastUpdate = null;

  constructor(me) {
    super();
    // Asked for at every connection: the name may have changed since.
    const auth = (give) => give(me.token ? { token: me.token } : { userId: me.userId, username: me.username });
    // WebSocket first: behind several workers long polling would meet another one.
    this.socket = io({ auth, transports: ['websocket', 'polling'], tryAllTransports: true });
    this.#holdBackBeats();
    this.onTraffic = (traffic) => this.#keep({ ...traffic, way: 'out' });
    this.client = createPresenceClient(this.socket, { onTraffic: this.onTraffic });
    this.socket.onAny((event, body) => this.#heard(event, body));
    for (const event of ['connect', 'disconnect', 'connect_error']) {
      this.socket.on(event, (reason) => this.#changed(event, reason));
    }
    this.socket.io.on('reconnect_attempt', () => this.emit('change'));
  }

  get status() {
    if (this.dropped) return 'dropped';
    if (this.socket.connected) return 'connected';
    return this.socket.active ? 'connecting' : 'closed';
  }

  get transport() {
    return this.socket.connected ? this.socket.io.engine?.transport?.name ?? null : null;
  }

  /** Closes the connection as a cut cable would, and keeps it closed, until called with false. */
  drop(dropped) {
    this.dropped = dropped;
    this.socket.io.reconnection(!dropped);
    if (dropped) this.socket.io.engine?.close();
    else this.socket.connect();
    this.emit('change');
  }

  /** Heartbeats no longer leave the page, until called with false. */
  mute(muted) {
    this.muted = muted;
    this.emit('change');
  }

  #holdBackBeats() {
    const emit = this.socket.emit.bind(this.socket);
    this.socket.emit = (event, ...args) => {
      if (!this.muted || event !== 'room:heartbeat') return emit(event, ...args);
      this.#keep({ event: 'room:heartbeat held back', way: 'out', at: Date.now(), payload: args[0], ok: true });
      args.at(-1)?.({ ok: true });
      return this.socket;
    };
  }

  #heard(event, body) {
    this.lastUpdate = Date.now();
    this.#keep({ event, payload: body, way: 'in', at: this.lastUpdate, ok: event !== 'error' });
  }

  #changed(event, reason) {
    const payload = typeof reason === 'string' ? { reason } : reason && { reason: reason.message };
    this.#keep({ event, payload, way: 'in', at: Date.now(), ok: event === 'connect' });
    if (event === 'connect') this.#askNode();
    this.emit('change');
  }

  async #askNode() {
    try {
      const answer = await fetch('/', { method: 'HEAD', cache: 'no-store' });
      this.node = answer.headers.get('x-presence-node');
    } catch {
      this.node = null;
    }
    this.emit('change');
  }

  #keep(entry) {
    this.events.unshift(entry);
    this.events.length = Math.min(this.events.length, KEPT_EVENTS);
    this.emit('event', entry);
  }
}
