import type { Page } from "@playwright/test";
import { Desk } from "../support/desk.ts";
import { ring } from "../support/ring.ts";
import { expect, test } from "../support/test.ts";

const SETUP = /\/assets\/SetupPage-[^/]+\.js$/;

test("a page whose file is gone after an upgrade loads itself anew, once; else it says what to do @console", async ({ open, server, checkAccessibility }) => {
  test.slow();
  const desk = new Desk(await open("/"));
  const { page } = desk;
  await desk.signIn(server.demo.agents[0]!);
  await desk.setOnline(false);
  const loads = loadsOf(page);
  const title = page.getByRole("heading", { name: /^Set up chat/ });

  await page.route(SETUP, (route) => (loads() === 0 ? route.fulfill({ status: 404 }) : route.continue()));
  await openSetup(page);
  await expect(title).toBeVisible();
  expect(loads()).toBe(1);

  // Gone for good: it was just tried.
  await page.goto("/");
  await page.unroute(SETUP);
  await page.route(SETUP, (route) => route.fulfill({ status: 404 }));
  await openSetup(page);
  const broken = page.getByRole("heading", { name: "This page could not be loaded" });
  await expect(broken).toBeVisible();
  expect(loads()).toBe(2);
  await checkAccessibility(page);
  await page.getByRole("link", { name: /^All open/ }).click();
  await expect(broken).toBeHidden();
  await openSetup(page);
  await expect(broken).toBeVisible();
  await page.unroute(SETUP);
  await page.getByRole("button", { name: "Reload" }).click();
  await expect(title).toBeVisible();
  expect(loads()).toBe(3);
  await desk.setOnline(true);
});

test("without a connection nothing is loaded anew by itself; a window that can't be opened harms nothing @console", async ({ open, server }) => {
  const windows = /\/assets\/HelpDialog-[^/]+\.js$/;
  const desk = new Desk(await open("/"));
  const { page } = desk;
  await page.route(windows, (route) => route.abort());
  await page.reload();
  await desk.signIn(server.demo.agents[0]!);
  await desk.setOnline(false);
  await desk.showAll();
  const loads = loadsOf(page);
  await page.keyboard.press("?");
  await expect(page.getByRole("alert").getByText("This window could not be opened.")).toBeVisible();
  await page.context().setOffline(true);
  await expect(page.getByText(/offline/i).first()).toBeVisible();
  await openSetup(page);
  await expect(page.getByRole("heading", { name: "This page could not be loaded" })).toBeVisible();
  expect(loads()).toBe(0);
  await page.context().setOffline(false);
  await page.unroute(windows);
  await page.getByRole("alert").getByText("This window could not be opened.").locator("..").getByRole("button", { name: "Reload" }).click();
  await expect(page.getByRole("heading", { name: /^Set up chat/ })).toBeVisible();
  await desk.setOnline(true);
});

test("an address that leads nowhere says so; note mode stays over a reload @console", async ({ open, server, checkAccessibility }) => {
  const desk = new Desk(await open("/c/inbox/mine/one/too-many"));
  const { page } = desk;
  await desk.signIn(server.demo.agents[0]!);
  const nowhere = page.getByRole("heading", { name: "There is nothing at this address" });
  await expect(nowhere).toBeVisible();
  await checkAccessibility(page);
  await page.goto("/c/nowhere");
  await expect(nowhere).toBeVisible();
  await page.getByRole("link", { name: "Go to your inbox" }).click();
  await expect(nowhere).toBeHidden();

  const text = `Keep the mode ${Date.now()}`;
  await ring(page, { project: server.demo.project.public_key, texts: [text] });
  await desk.showAll();
  await desk.openRow(text);
  await expect(desk.field).toBeVisible();
  await page.getByRole("radio", { name: "Note" }).click();
  await expect(desk.noteField).toBeVisible();
  await page.reload();
  await expect(desk.noteField).toBeVisible();
  await page.getByRole("radio", { name: "Reply" }).click();
  await page.reload();
  await expect(desk.field).toBeVisible();
  await desk.close();
});

async function openSetup(page: Page): Promise<void> {
  await page.getByRole("button", { name: /^Account:/ }).click();
  await page.getByRole("menuitem", { name: "Set up" }).click();
}

/** How often the page was loaded since. */
function loadsOf(page: Page): () => number {
  let loads = 0;
  page.on("load", () => void (loads += 1));
  return () => loads;
}
