import { type Locator, expect } from "@playwright/test";
import { Desk } from "../support/desk.ts";
import { ring, vouch } from "../support/ring.ts";
import { test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

const LINES = Array.from({ length: 120 }, (_, n) => `line ${n + 1}${" and some more words".repeat(n % 4)}`);

test("older messages come in above without moving the line that is being read", async ({ open, shop, server }) => {
  test.slow();
  const { public_key, identity_secret } = server.demo.project;
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const name = `Reader ${Date.now()}`;
  const identity = vouch(identity_secret, { sub: name, name });
  await ring(desk.page, { project: public_key, texts: LINES, identity });

  const page = await shop();
  await page.evaluate((token) => {
    const { Deskbell } = window as unknown as { Deskbell: (...call: unknown[]) => void };
    Deskbell("identify", { token });
    Deskbell("open");
  }, identity);
  const widget = new Widget(page);
  await readsUpwards(widget.thread);

  await desk.showAll();
  // What came in while the console looked on is there already; it is to fetch what it shows.
  await desk.page.reload();
  await desk.row(name).click();
  await expect(desk.page.getByText("Verified by the site")).toBeVisible();
  await readsUpwards(desk.thread);
  await desk.close();
});

/** Goes up to the first line, page by page, and compares where a line stands before and after each page came in. */
async function readsUpwards(log: Locator): Promise<void> {
  const lines = log.getByText(/^line \d+/);
  await expect(lines.last()).toHaveText(LINES.at(-1)!);
  let pages = 0;
  for (let shown = await lines.count(); shown < LINES.length; shown = await lines.count()) {
    const row = log.getByText((await lines.nth(1).textContent())!, { exact: true });
    const before = await row.evaluate((element) => {
      element.closest("[role=log]")!.scrollTop = 30;
      return element.getBoundingClientRect().top;
    });
    await expect.poll(() => lines.count()).toBeGreaterThan(shown);
    const after = await row.evaluate((element) => element.getBoundingClientRect().top);
    expect(Math.abs(after - before)).toBeLessThan(1);
    pages += 1;
  }
  expect(pages).toBeGreaterThan(0);
  expect(await lines.allTextContents()).toEqual(LINES);
}
