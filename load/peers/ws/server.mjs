// Relays frames between pairs of sockets, as the harness's baseline does: the first frame names the pair, "ready" answers it.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
const waiting = new Map();

server.on("connection", (socket) => {
  socket.once("message", (name) => {
    const pair = name.toString();
    const partner = waiting.get(pair);
    if (!partner) {
      waiting.set(pair, socket);
      return;
    }
    waiting.delete(pair);
    for (const [one, other] of [[socket, partner], [partner, socket]]) {
      one.on("message", (text) => other.send(text, { binary: false }));
      one.send("ready");
    }
  });
});
server.on("listening", () => {
  const { address, port } = server.address();
  console.log(`listening ${address}:${port} websocket`);
});
