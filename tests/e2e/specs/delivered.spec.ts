import { Desk } from "../support/desk.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

test("a message is sent, then delivered, then read, on both sides", async ({ open, shop, server }) => {
  test.slow();
  const page = await shop();
  const widget = new Widget(page);
  await widget.open();
  const text = `How far? ${Date.now()}`;
  await widget.say(text);
  const mark = widget.thread.locator("[data-state]");
  await expect(mark).toHaveText("Sent");

  // The list shows it; nobody has opened it.
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  await desk.showAll();
  await expect(desk.row(text)).toBeVisible();
  await expect(mark).toHaveText("Delivered");
  const more = `And this? ${Date.now()}`;
  await widget.say(more);
  await expect(desk.row(more)).toBeVisible();
  await expect(mark).toHaveText("Delivered");
  await desk.openRow(more);
  await expect(mark).toHaveText("Read");

  await widget.field.press("Escape");
  await desk.say("All the way");
  const marks = desk.thread.locator("[data-mark]");
  await expect(marks).toHaveText(["Delivered"]);
  await page.context().setOffline(true);
  await desk.say("Are you still there?");
  await expect(marks).toHaveText(["Delivered", "Sent"]);
  await page.context().setOffline(false);
  await expect(marks).toHaveText(["Delivered"]);
  await widget.open();
  await expect(marks).toHaveText([/^Read by /]);

  // What was read stays read.
  await desk.page.reload();
  await expect(marks).toHaveText([/^Read by /]);
  await page.reload();
  await expect(widget.panel).toBeVisible();
  await expect(mark).toHaveText("Read");
  await desk.close();
});
