// Stands in for Artillery: one visitor goes through the flow of chat.yml, with the functions that it names. Prints what they counted.
//   node artillery.cjs FOLDER URL TOKEN
const { readFileSync } = require("node:fs");

const [folder, target, token] = process.argv.slice(2);
const visitor = require(`${folder}/deskbell.cjs`);
const script = readFileSync(`${folder}/chat.yml`, "utf8");
const counted = {};
const events = {
  emit(kind, name, value) {
    if (kind === "counter") counted[name] = (counted[name] ?? 0) + value;
  },
};

// Each `function`, in order; those that are further in than the first are what the loop repeats.
function flow() {
  const [, times] = script.match(/^ +count: (\d+)$/m);
  const functions = [...script.matchAll(/^( +)- function: (\w+)$/gm)];
  const [, outermost] = functions[0];
  return functions.flatMap(([, indent, name]) => Array(indent === outermost ? 1 : Number(times)).fill(name));
}

async function run() {
  const [, protocol] = script.match(/subprotocols:\s+- (\S+)/);
  const ws = new WebSocket(target, protocol);
  await new Promise((resolve, reject) => {
    ws.addEventListener("open", resolve);
    ws.addEventListener("error", reject);
  });
  const context = { vars: { token }, ws };
  for (const name of flow()) {
    // Instead of the seconds that Artillery lets a visitor think.
    await new Promise((resolve) => setTimeout(resolve, 100));
    await visitor[name](context, events);
  }
  console.log(JSON.stringify(counted));
  process.exit(0);
}

run().catch((error) => {
  console.error(error);
  process.exit(1);
});
