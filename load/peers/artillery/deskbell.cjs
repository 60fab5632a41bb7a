// What a visitor does, for Artillery's engine `ws`: commands with numbers, answers by number. Each answer's time is a histogram, and
// a visitor who is not given its own entries back fails.
const PATIENCE_MS = 10_000;

function begin(context) {
  const session = { last: 0, answers: new Map(), entries: new Set(), acknowledged: [] };
  context.ws.addEventListener("message", ({ data }) => {
    for (const line of data.toString().split("\n").filter(Boolean)) {
      const message = JSON.parse(line);
      if (message.type === "ping") context.ws.send('{"type":"pong"}');
      else if (message.type === "entry") session.entries.add(message.seq);
      else session.answers.get(message.id)?.(message);
    }
  });
  context.session = session;
}

function ask(context, command) {
  const { session, ws } = context;
  const id = ++session.last;
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${command.type}: no answer`)), PATIENCE_MS);
    session.answers.set(id, (answer) => {
      clearTimeout(late);
      session.answers.delete(id);
      if (answer.type === "ok") resolve(answer);
      else reject(new Error(`${command.type}: ${answer.code}`));
    });
    ws.send(JSON.stringify({ id, ...command }));
  });
}

async function write(context, events, command) {
  const began = process.hrtime.bigint();
  const answer = await ask(context, command);
  events.emit("histogram", "deskbell.ack_ms", Number(process.hrtime.bigint() - began) / 1e6);
  events.emit("counter", "deskbell.acknowledged", 1);
  context.session.acknowledged.push(answer.seq);
  return answer;
}

module.exports = {
  async connect(context) {
    begin(context);
    await ask(context, { type: "connect", token: context.vars.token });
  },

  async open(context, events) {
    // A new key each time: the same one would give the same conversation.
    const opened = await write(context, events, { type: "open", key: `open-${Date.now()}`, body: { text: "Hello" } });
    context.session.conversation = opened.conversation;
  },

  async send(context, events) {
    const { conversation, last } = context.session;
    const body = { text: `Message ${last}` };
    await write(context, events, { type: "send", conversation, key: `v-${last}`, body });
  },

  /** At the end: everything that was acknowledged came back as an entry, too. */
  async read(context, events) {
    const { acknowledged, entries } = context.session;
    const missing = acknowledged.filter((seq) => !entries.has(seq));
    events.emit("counter", "deskbell.missing", missing.length);
    if (missing.length > 0) throw new Error(`entries ${missing.join(", ")} did not come back`);
  },
};
