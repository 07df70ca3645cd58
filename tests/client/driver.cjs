// Drives official Socket.IO clients for the Python tests: commands come in as JSON lines, answers, acknowledgements and
// events go out as JSON lines, in the order in which they happened.
"use strict";

const readline = require("node:readline");
const { io } = require("socket.io-client");

const sockets = new Map();

function say(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

function open({ id, socket: name, url, options }) {
  const socket = io(url, { forceNew: true, reconnection: false, transports: ["websocket"], ...options });
  sockets.set(name, socket);
  let answered = false;
  const answer = (body) => {
    if (!answered) {
      answered = true;
      say({ answer: id, ...body });
    }
  };
  socket.on("connect", () => {
    say({ socket: name, event: "connect", args: [socket.id] });
    answer({ sid: socket.id });
  });
  socket.on("connect_error", (error) => {
    say({ socket: name, event: "connect_error", args: [error.message] });
    answer({ refused: error.message });
  });
  socket.on("disconnect", (reason) => say({ socket: name, event: "disconnect", args: [reason] }));
  socket.onAny((event, ...args) => say({ socket: name, event, args }));
}

function emit({ id, socket: name, event, args, ack }) {
  const socket = sockets.get(name);
  if (!ack) {
    socket.emit(event, ...args);
    return;
  }
  socket.emit(event, ...args, (...values) => say({ answer: id, socket: name, ack: event, values }));
}

function cut(name) {
  // As a cable that is pulled: no goodbye of Engine.IO, the TCP connection just ends.
  sockets.get(name).io.engine.transport.ws._socket.destroy();
}

const operations = {
  open,
  emit,
  cut: ({ socket }) => cut(socket),
  close: ({ socket }) => sockets.get(socket).disconnect(),
  reopen: ({ socket }) => sockets.get(socket).connect(),
};

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const command = JSON.parse(line);
  try {
    operations[command.do](command);
  } catch (error) {
    say({ answer: command.id, failed: String(error) });
  }
}).on("close", () => process.exit(0));

say({ ready: true });
