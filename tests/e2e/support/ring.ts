import { createHmac } from "node:crypto";
import type { Page } from "@playwright/test";

/** A visitor without a widget: what it says, and who it is. */
export interface Caller {
  /** The project's public key. */
  readonly project: string;
  readonly texts: readonly string[];
  /** The name that it gives. */
  readonly name?: string;
  /** A JWT of the site. */
  readonly identity?: string;
}

/** Rings over the bare protocol, from any page of the server; returns the conversation once all is stored. */
export function ring(page: Page, caller: Caller): Promise<string> {
  return page.evaluate(async ({ project, texts, name, identity }) => {
    const asked = await fetch("/v1/sessions", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ project, identity }),
    });
    const { token } = (await asked.json()) as { token: string };
    const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/v1/ws", "deskbell.v1");
    const waiting = new Map<number, (reply: { conversation: string }) => void>();
    socket.onmessage = ({ data }) => {
      for (const line of String(data).split("\n")) {
        const frame = JSON.parse(line) as { id?: number; type: string; conversation: string };
        if (frame.type === "ok" && frame.id) waiting.get(frame.id)?.(frame);
      }
    };
    await new Promise((opened) => (socket.onopen = opened));
    let last = 0;
    const ask = (command: object) =>
      new Promise<{ conversation: string }>((resolve) => {
        waiting.set(++last, resolve);
        socket.send(JSON.stringify({ ...command, id: last }));
      });
    const key = () => crypto.randomUUID();
    await ask({ type: "connect", token });
    const fields = name ? { name } : {};
    const { conversation } = await ask({ type: "open", key: key(), body: { text: texts[0] }, fields });
    await Promise.all(texts.slice(1).map((text) => ask({ type: "send", conversation, key: key(), body: { text } })));
    socket.close();
    return conversation;
  }, caller);
}

/** What a site signs to say who its visitor is. */
export function vouch(secret: string, claims: { sub: string; name?: string; email?: string }): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const body = `${part({ alg: "HS256", typ: "JWT" })}.${part({ ...claims, exp: Math.floor(Date.now() / 1000) + 600 })}`;
  return `${body}.${createHmac("sha256", secret).update(body).digest("base64url")}`;
}
