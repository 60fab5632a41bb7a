// Takes the pictures of the README: `npm --prefix tests/e2e run shots`. With `pngquant` installed they become a third as large.
import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Page } from "@playwright/test";
import { Desk } from "./support/desk.ts";
import { ring, vouch } from "./support/ring.ts";
import { expect, test } from "./support/test.ts";
import { Widget } from "./support/widget.ts";

const IMAGES = resolve(import.meta.dirname, "../../docs/images");
// Two windows side by side, drawn at this part of their size.
const SCALE = 0.782;
const SHOP = { width: 860, height: 1200 };
const CONSOLE = { width: 1340, height: 1200 };

const OTHERS = [
  { name: "Tomás Rivera", texts: ["Hola! Do you ship to Lisbon?", "It is for a hotel desk"] },
  { name: "Mei Lin", texts: ["My bicycle bell lost its second note. Can it be mended?"] },
  { name: "Jonas Weber", texts: ["Good morning, is the workshop open this Thursday?"] },
  { name: "Amina Haddad", texts: ["I ordered two hand bells for our school", "Order 2207", "When will they be here?"] },
];

test("pictures", async ({ open, shop, server }) => {
  const { public_key: project, identity_secret } = server.demo.project;
  await mkdir(IMAGES, { recursive: true });
  const desk = new Desk(await open("/", { viewport: CONSOLE, deviceScaleFactor: 2 }));
  await desk.signIn(server.demo.agents[0]!);
  const widget = new Widget(await shop({ viewport: SHOP, deviceScaleFactor: 2 }));
  const ada = vouch(identity_secret, { sub: "ada", name: "Ada Lovelace", email: "ada@example.org" });
  await visitAs(widget.page, ada);
  await talk(widget, desk);

  const alan = new Desk(await open("/"));
  await alan.signIn(server.demo.agents[1]!);
  for (const other of OTHERS) await ring(alan.page, { project, ...other });
  await widget.field.pressSequentially("Yes please! And could you");
  await expect(desk.page.getByText("Yes please! And could you")).toBeVisible();
  await expect(desk.list.getByRole("link")).toHaveCount(1 + OTHERS.length);
  // Away from buttons, which would show their tips.
  for (const { page } of [widget, desk]) await page.mouse.move(0, 0);
  await expect(desk.page.getByRole("tooltip")).toHaveCount(0);
  const windows = [await widget.page.screenshot(), await desk.page.screenshot()];
  await sideBySide(await open("about:blank", { viewport: { width: 1800, height: 1000 } }), windows);

  await desk.page.emulateMedia({ colorScheme: "dark" });
  await desk.page.setViewportSize({ width: 1280, height: 860 });
  await widget.field.press("!");
  await save(desk.page, "console-dark.png");

  const phone = new Widget(await shop({ viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, colorScheme: "dark" }));
  await visitAs(phone.page, ada);
  await expect(phone.message("It would be with you on Tuesday. Shall I put one aside?")).toBeVisible();
  await save(phone.page, "widget-phone.png");
});

async function visitAs(page: Page, token: string): Promise<void> {
  await page.evaluate((token) => {
    const { Deskbell } = window as unknown as { Deskbell: (...call: unknown[]) => void };
    Deskbell("identify", { token });
    Deskbell("open");
  }, token);
  await expect(page.getByRole("textbox", { name: "Your message" })).toBeVisible();
}

async function talk(widget: Widget, desk: Desk): Promise<void> {
  await widget.say("Hello! Is the harbour ship’s bell loud enough for a boat of nine metres?");
  await desk.showAll();
  await desk.row("Ada Lovelace").click();
  await answers(widget, desk, "Hello Ada! Yes, you will hear it half a mile away, over the engine.");
  await widget.say("Lovely. Can you engrave a name on it?");
  await answers(widget, desk, "We can: up to twenty letters, by hand. It takes two days.");
  await widget.say("Perfect. She is called Difference Engine.");
  await expect(desk.message("Perfect. She is called Difference Engine.")).toBeVisible();
  await desk.page.getByRole("radio", { name: "Note" }).click();
  await desk.noteField.fill("Asked the bench: the engraver has time on Thursday.");
  await desk.noteField.press("Enter");
  await desk.page.getByRole("radio", { name: "Reply" }).click();
  await answers(widget, desk, "It would be with you on Tuesday. Shall I put one aside?");
}

async function answers(widget: Widget, desk: Desk, text: string): Promise<void> {
  await desk.say(text);
  await expect(widget.message(text)).toBeVisible();
}

/** Shop and console as two windows on one ground. */
async function sideBySide(page: Page, windows: readonly Buffer[]): Promise<void> {
  const sources = windows.map((window) => `data:image/png;base64,${window.toString("base64")}`);
  const [shop, desk] = [SHOP, CONSOLE].map(({ width, height }) => `width:${width * SCALE}px;height:${height * SCALE}px`);
  await page.setContent(`<style>
      body { margin: 0; height: 1000px; display: flex; gap: 32px; align-items: center; justify-content: center; background: #dfe3ec }
      img { border-radius: 12px; box-shadow: 0 1px 2px #0a0f1e30, 0 18px 40px -12px #0a0f1e50 }
    </style><img style="${shop}" src="${sources[0]}"><img style="${desk}" src="${sources[1]}">`);
  await page.evaluate(() => Promise.all([...document.images].map((image) => image.decode())));
  await save(page, "deskbell.png");
}

async function save(page: Page, name: string): Promise<void> {
  const path = join(IMAGES, name);
  await page.screenshot({ path });
  try {
    execFileSync("pngquant", ["--force", "--skip-if-larger", "--ext", ".png", "--quality", "80-98", path]);
  } catch {
    // Not installed, or nothing to win: the picture stays as it is.
  }
}
