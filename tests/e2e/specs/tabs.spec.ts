import type { Page } from "@playwright/test";
import { Desk } from "../support/desk.ts";
import { hostElsewhere, setAttribute, stored } from "../support/site.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

test("two tabs of a visitor share one connection and agree; the second goes on where the first left", async ({ open, shop, shopPath, server }) => {
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const page = await shop();
  const context = page.context();
  await setAttribute(context, 'data-storage="device"');
  const sockets = countSockets(page);
  await page.goto(shopPath);
  const one = new Widget(page);
  await one.open();
  const text = `tabs ${Date.now()}`;
  await one.say(text);
  await desk.showAll();
  await desk.openRow(text);

  const second = await context.newPage();
  const others = countSockets(second);
  await second.goto(shopPath);
  const two = new Widget(second);
  await expect(two.message(text)).toHaveCount(1);
  await two.say("From the second tab");
  await expect(one.message("From the second tab")).toHaveCount(1);
  await desk.say("Seen in both?");
  for (const tab of [one, two]) await expect(tab.message("Seen in both?")).toHaveCount(1);
  expect([sockets(), others()]).toEqual([1, 0]);

  await page.close();
  await two.say("Still here");
  await expect(desk.message("Still here")).toHaveCount(1);
  await desk.say("So am I");
  await expect(two.message("So am I")).toHaveCount(1);
  await expect(two.message("Still here")).toHaveCount(1);
  expect(others()).toBe(1);
  await desk.close();
});

test("nothing is stored before the visitor writes; thread and draft go along to the next page", async ({ shop, csp }) => {
  const page = await shop();
  const widget = new Widget(page);
  expect(await stored(page)).toEqual([]);
  await widget.open();
  await expect(widget.panel.getByTestId("presence")).toHaveAttribute("data-state", /online|away/);
  await widget.field.press("Escape");
  await expect(widget.panel).toBeHidden();
  expect(await stored(page)).toEqual([]);

  await widget.open();
  const text = `Before the page changed ${Date.now()}`;
  await widget.say(text);
  await expect(widget.panel.getByText("Sent", { exact: true })).toBeVisible();
  await widget.field.fill("half a sen");
  await page.getByRole("navigation", { name: "Shop" }).getByRole("link", { name: "Workshop" }).click();
  await expect(page.getByRole("heading", { name: "Forty steps from ingot to note" })).toBeVisible();
  await expect(widget.message(text)).toHaveCount(1);
  await expect(widget.field).toHaveValue("half a sen");
  if (csp === "strict") expect(page.url()).toContain("csp=strict");

  const names = await stored(page);
  expect(names.length).toBeGreaterThan(0);
  for (const name of names) expect(name).toMatch(/^sessionStorage deskbell:/);
  await widget.field.fill("");
  await widget.end();
});

test("a message written without a server outlives a reload, and is sent once when it is back", async ({ open, shop, shopPath, server }) => {
  test.slow();
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const page = await shop();
  await hostElsewhere(page.context());
  await page.goto(shopPath);
  const widget = new Widget(page);
  await widget.open();
  const text = `Anybody there? ${Date.now()}`;
  await widget.say(text);
  await desk.showAll();
  await desk.openRow(text);

  await server.kill();
  await expect(widget.panel.getByText(/Connection lost/)).toBeVisible();
  const late = `Said to nobody ${Date.now()}`;
  await widget.say(late);
  await expect(widget.panel.getByText("Sending …")).toBeVisible();
  await desk.page.keyboard.press("Control+k");
  await expect(desk.page.getByRole("dialog", { name: "Find anything" })).toBeVisible();
  await desk.page.keyboard.press("Escape");
  await page.reload();
  await expect(widget.message(late)).toHaveCount(1);
  await expect(widget.panel.getByTestId("offline")).toHaveText(/^The chat can’t be reached right now\. It connects by itself/);

  await server.restart();
  // As when a laptop is opened again: nobody has to wait for the next try.
  for (const { page } of [widget, desk]) await page.evaluate(() => dispatchEvent(new Event("online")));
  await expect(widget.panel.getByTestId("offline")).toBeHidden({ timeout: 30_000 });
  await expect(desk.message(late)).toHaveCount(1, { timeout: 30_000 });
  await desk.say("I was away");
  await expect(widget.message("I was away")).toHaveCount(1);
  await page.reload();
  await expect(widget.message("I was away")).toHaveCount(1);
  await expect(widget.message(late)).toHaveCount(1);
  await expect(desk.message(late)).toHaveCount(1);
  await desk.close();
});

function countSockets(page: Page): () => number {
  let opened = 0;
  page.on("websocket", () => (opened += 1));
  return () => opened;
}
