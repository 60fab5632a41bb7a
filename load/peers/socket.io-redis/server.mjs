// Starts a Redis and two Socket.IO servers on it, each a process; says where they listen when they hear each other. All end together.
import { fork, spawn } from "node:child_process";
import { once } from "node:events";

const [host, folder] = process.argv.slice(2);
const path = `${folder}/redis.sock`;
const redis = spawn("redis-server", ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", ""], { stdio: "ignore" });
const nodes = [1, 2].map(() => fork("node.mjs", [host, path, String(redis.pid)]));
const parts = [redis, ...nodes];

let isEnding = false;
async function end(code) {
  if (isEnding) return;
  isEnding = true;
  const running = parts.filter((part) => part.exitCode === null && part.signalCode === null);
  const ended = running.map((part) => once(part, "exit"));
  for (const part of running) part.kill();
  await Promise.all(ended);
  process.exit(code);
}
for (const signal of ["SIGTERM", "SIGINT"]) process.once(signal, () => end(0));
for (const part of parts) {
  part.once("exit", () => end(1));
  part.once("error", () => end(1));
}

const said = await Promise.all(nodes.map((node) => once(node, "message")));
console.log(`listening ${said.map(([address]) => address).join(" ")} socket.io`);
