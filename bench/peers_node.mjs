// A Socket.IO server as the documentation of its adapter sets it up; everybody who connects is in one room.
// node peers_node.mjs FOLDER ADAPTER REDIS_SOCKET      FOLDER holds node_modules; ADAPTER: redis or streams
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [folder, adapter, path] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { createClient } = require("redis");
const { Server } = require("socket.io");

const client = createClient({ socket: { path } });
const second = client.duplicate();
await Promise.all([client.connect(), second.connect()]);
const make =
  adapter === "redis"
    ? require("@socket.io/redis-adapter").createAdapter(client, second)
    : require("@socket.io/redis-streams-adapter").createAdapter(client);

async function answer(request, response) {
  try {
    const sockets = await io.in("room").fetchSockets();
    const users = new Map(sockets.map((socket) => [socket.data.userId, socket.data]));
    const told = { count: users.size };
    if (request.url === "/list") told.users = [...users.values()];
    response.end(JSON.stringify(told));
  } catch (error) {
    response.statusCode = 500;
    response.end(JSON.stringify({ error: error.message }));
  }
}

const http = createServer((request, response) => {
  if (request.url.startsWith("/socket.io")) return;
  answer(request, response);
});
const io = new Server(http, { adapter: make });
io.on("connection", (socket) => {
  const { userId, username } = socket.handshake.auth;
  socket.data = { userId, username };
  socket.join("room");
  socket.on("disconnect", () => io.in("room").emit("left", userId));
});
http.listen(0, "127.0.0.1", () => console.error(`serving http://127.0.0.1:${http.address().port}`));
