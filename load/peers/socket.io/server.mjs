// Relays messages between pairs of sockets through Socket.IO's rooms: the first message names the pair, "ready" answers it.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer();
const server = new Server(http, { transports: ["websocket"], perMessageDeflate: false, serveClient: false });

server.on("connection", (socket) => {
  let room;
  socket.on("m", (text) => {
    if (room) {
      socket.to(room).emit("m", text);
      return;
    }
    room = text;
    socket.join(room);
    if (server.sockets.adapter.rooms.get(room).size === 2) server.to(room).emit("m", "ready");
  });
});
http.listen(0, "127.0.0.1", () => {
  const { address, port } = http.address();
  console.log(`listening ${address}:${port} socket.io`);
});
