// One of two: relays messages between pairs of sockets through Socket.IO's rooms, over both processes by the Redis adapter. The
// first message names the pair, "ready" answers it when both of the pair are in.
import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";

const [host, path, redis] = process.argv.slice(2);
// Whoever started it was killed: nobody else would end Redis.
process.once("disconnect", () => {
  try {
    process.kill(Number(redis));
  } catch {
    // The other one did.
  }
  process.exit(1);
});

const publisher = createClient({ socket: { path } });
const subscriber = publisher.duplicate();
// Until Redis listens, they try again.
for (const client of [publisher, subscriber]) client.on("error", () => {});
await Promise.all([publisher.connect(), subscriber.connect()]);

const http = createServer();
const adapter = createAdapter(publisher, subscriber);
const server = new Server(http, { adapter, transports: ["websocket"], perMessageDeflate: false, serveClient: false });

// Tells those of a pair that are here; either node may find first that both are in, or both at once.
function tell(room) {
  for (const id of server.sockets.adapter.rooms.get(room) ?? []) {
    const { data } = server.sockets.sockets.get(id);
    if (!data.told) server.to(id).local.emit("m", "ready");
    data.told = true;
  }
}
server.on("both", tell);
server.on("connection", (socket) => {
  let room;
  socket.on("m", async (text) => {
    if (room) {
      socket.to(room).emit("m", text);
      return;
    }
    room = text;
    socket.join(room);
    const both = await server.in(room).fetchSockets();
    if (both.length === 2) {
      tell(room);
      server.serverSideEmit("both", room);
    }
  });
});

// What is said before the other one listens would be lost.
while ((await server.sockets.adapter.serverCount()) < 2) await setTimeout(20);
http.listen(0, host, () => {
  const { address, port } = http.address();
  process.send(`${address}:${port}`);
});
