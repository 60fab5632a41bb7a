import { Visitor } from "@deskbell/client/visitor";

/** Without an answer for this long the test has failed. */
const LIMIT_MS = 15_000;

/** Opens a conversation as a visitor would, over a session of its own that leaves nothing in this browser; returns its id. */
export async function sendTest(project: string, text: string, name: string): Promise<string> {
  const visitor = new Visitor({ server: location.origin, project, storage: "none" });
  try {
    visitor.start();
    const write = visitor.open(text, { fields: { name }, page: { url: location.href, title: document.title } });
    const outcome = await Promise.race([write.settled, late()]);
    if (!outcome.ok) throw new Error(outcome.error.message);
    return String(outcome.reply.conversation);
  } finally {
    visitor.destroy();
  }
}

function late(): Promise<{ ok: false; error: { code: string; message: string } }> {
  return new Promise((resolve) => {
    setTimeout(() => resolve({ ok: false, error: { code: "offline", message: "no answer" } }), LIMIT_MS);
  });
}
