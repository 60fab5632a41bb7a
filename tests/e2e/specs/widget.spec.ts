import type { Page } from "@playwright/test";
import { Desk } from "../support/desk.ts";
import { vouch } from "../support/ring.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

test("what a site can call: look, place, language, who it is, events, and an end", async ({ open, shop, server }) => {
  test.slow();
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const page = await shop();
  const widget = new Widget(page);
  const host = page.locator("deskbell-chat");
  await page.evaluate(() => {
    const seen: unknown[] = [];
    Object.assign(window, { seen });
    const { Deskbell } = window as unknown as { Deskbell: (...call: unknown[]) => void };
    for (const event of ["open", "close", "unread"]) Deskbell("on", event, (detail: unknown) => seen.push(detail ?? event));
  });
  const seen = () => page.evaluate(() => (window as unknown as { seen: unknown[] }).seen);

  const right = (await widget.launcher.boundingBox())!;
  await call(page, "set", { theme: "dark", position: "start", accent: "#aa3366" });
  await expect(host).toHaveAttribute("data-scheme", "dark");
  const left = (await widget.launcher.boundingBox())!;
  expect(right.x).toBeGreaterThan(1000);
  expect(left.x).toBeLessThan(100);
  await call(page, "locale", "de");
  await expect(page.getByRole("button", { name: "Mit uns chatten" })).toBeVisible();
  await call(page, "open", { draft: "Zu Bestellung 7: " });
  await expect(page.getByRole("textbox", { name: "Ihre Nachricht" })).toHaveValue("Zu Bestellung 7: ");
  await call(page, "locale", "ar");
  await expect(host).toHaveAttribute("dir", "rtl");
  await expect(page.getByRole("dialog").getByRole("textbox")).toHaveValue("Zu Bestellung 7: ");
  await call(page, "locale", "en");
  await call(page, "close");
  await expect(widget.panel).toBeHidden();
  expect(await seen()).toEqual(["open", "close"]);

  const name = `Ada ${Date.now()}`;
  const { identity_secret } = server.demo.project;
  await call(page, "identify", { token: vouch(identity_secret, { sub: name, name, email: "ada@example.org" }) });
  const text = `Signed in ${Date.now()}`;
  await call(page, "send", text);
  await desk.showAll();
  await desk.row(name).click();
  await expect(desk.message(text)).toHaveCount(1);
  await expect(desk.page.getByText("Verified by the site")).toBeVisible();
  await desk.say("Hello Ada");
  await expect.poll(seen).toEqual(["open", "close", 1]);

  const title = await page.title();
  expect(title).toMatch(/^\(1\) /);
  await call(page, "destroy");
  await expect(host).toHaveCount(0);
  await expect(page).toHaveTitle(title.replace("(1) ", ""));
  expect(await page.evaluate(() => "Deskbell" in window)).toBe(false);
  await desk.close();
});

test("a stranger whom the site gets to know goes on in the same conversation, without a blink", async ({ open, shop, server }) => {
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const page = await shop();
  const widget = new Widget(page);
  await widget.open();
  const text = `Who am I? ${Date.now()}`;
  await widget.say(text);
  await desk.showAll();
  await desk.openRow(text);
  await desk.say("You tell me");
  await expect(widget.message("You tell me")).toHaveCount(1);

  await page.locator("deskbell-chat").evaluate((host, wanted) => {
    const seen = { all: true };
    Object.assign(window, { seen });
    const look = () => (seen.all &&= host.shadowRoot!.textContent!.includes(wanted));
    new MutationObserver(look).observe(host.shadowRoot!, { subtree: true, childList: true, characterData: true });
  }, text);
  const name = `Ada ${Date.now()}`;
  await call(page, "identify", { token: vouch(server.demo.project.identity_secret, { sub: name, name }) });
  await expect(desk.page.getByRole("heading", { level: 1, name })).toBeVisible();
  await widget.say("Ada, of course");
  await expect(desk.message("Ada, of course")).toHaveCount(1);
  await desk.say("Hello Ada");
  await expect(widget.message("Hello Ada")).toHaveCount(1);
  expect(await page.evaluate(() => (window as unknown as { seen: { all: boolean } }).seen.all)).toBe(true);
  await desk.close();
});

test("what the server refuses is told in the visitor's language, and can be taken back", async ({ shop }) => {
  const page = await shop();
  await call(page, "locale", "de");
  await call(page, "open");
  // The composer leaves out what the server would refuse; a site's own call may not.
  await call(page, "send", "Guten Tag\u0007");
  await expect(page.getByText("Diese Nachricht kann so nicht gesendet werden.")).toBeVisible();
  await page.getByRole("button", { name: "Verwerfen" }).click();
  await expect(page.getByText("Nicht gesendet")).toHaveCount(0);
});

test("focus, keys, unread and spoken messages; a lost connection keeps the draft; ended, rated, and taken up again", async ({ open, shop, server }) => {
  test.slow();
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const page = await shop();
  const widget = new Widget(page);
  const spoken = page.getByTestId("announcements");
  await page.evaluate(() => {
    const keys: string[] = [];
    Object.assign(window, { keys });
    document.addEventListener("keydown", ({ key }) => keys.push(key));
  });
  await page.keyboard.press("q");
  await widget.open();
  const text = `Which bell? ${Date.now()}`;
  await widget.field.pressSequentially("Whi");
  await composeAndEnter(page, "ch");
  await expect(widget.field).toHaveValue(/^Which\s*$/);
  await expect(widget.thread).toHaveCount(0);
  expect(await page.evaluate(() => (window as unknown as { keys: string[] }).keys)).toEqual(["q"]);
  await widget.say(text);
  await desk.showAll();
  await desk.openRow(text);

  await widget.field.press("Escape");
  await expect(widget.launcher).toBeFocused();
  await expect(widget.launcher).toHaveAttribute("aria-expanded", "false");
  const title = await page.title();
  await desk.say("The small one");
  await desk.say("It is brighter");
  await expect(page.getByRole("button", { name: "Chat with us, 2 unread messages" })).toBeFocused();
  await expect(page).toHaveTitle(`(2) ${title}`);
  await expect(spoken).toContainText("Grace Hopper: It is brighter");
  await expect(spoken).not.toContainText(text);
  await widget.open();
  await expect(page).toHaveTitle(title);
  await widget.say("Thank you!");
  await expect(desk.message("Thank you!")).toHaveCount(1);

  await widget.field.fill("While the line is d");
  await page.context().setOffline(true);
  await expect(widget.panel.getByText("You’re offline. Messages are sent when the connection is back.")).toBeVisible();
  await widget.field.pressSequentially("own");
  await desk.say("Anything else?");
  await page.context().setOffline(false);
  await expect(widget.message("Anything else?")).toHaveCount(1, { timeout: 20_000 });
  await expect(widget.panel.getByTestId("offline")).toBeHidden();
  await expect(widget.field).toHaveValue("While the line is down");
  await expect(widget.field).toBeFocused();
  await expect(widget.thread).toHaveAttribute("aria-live", "off");
  await widget.field.fill("");

  const presence = widget.panel.getByTestId("presence");
  await expect(presence).toHaveText("Chatting with Grace Hopper");
  await widget.end();
  await expect(presence).toHaveText("We’re here to help");
  await widget.panel.getByRole("radio", { name: "5 of 5, Excellent" }).check({ force: true });
  await widget.panel.getByRole("textbox", { name: /Anything to add/ }).fill("Quick");
  await widget.panel.getByRole("button", { name: "Send rating" }).click();
  await expect(widget.panel.getByText("Thank you for your feedback.")).toBeVisible();
  await expect(desk.page.getByText(/gave 5 of 5/)).toBeVisible();
  await widget.say("One more thing");
  await expect(widget.panel.getByText("The conversation goes on")).toBeVisible();
  await expect(desk.page.getByText(/^Opened again by/)).toBeVisible();
  await expect(desk.message("One more thing")).toHaveCount(1);
  await desk.close();
});

test("on a phone the widget fills the screen, without the launcher, and gives it back", async ({ shop }) => {
  const page = await shop({ viewport: { width: 390, height: 844 }, hasTouch: true });
  const widget = new Widget(page);
  await widget.launcher.tap();
  await expect(widget.panel).toBeVisible();
  await expect.poll(() => widget.panel.boundingBox()).toEqual({ x: 0, y: 0, width: 390, height: 844 });
  await expect(page.locator("deskbell-chat .launcher")).toBeHidden();
  await widget.field.fill("x".repeat(60));
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await widget.field.fill("");
  await widget.panel.getByRole("button", { name: "Close chat" }).tap();
  await expect(widget.panel).toBeHidden();
  await expect(widget.launcher).toBeVisible();
});

test("on a phone the console goes from the list to the thread to the details, and back @console", async ({ open, server }) => {
  const visitor = new Widget(await open(new URL(server.demo.chat_url).pathname));
  const field = visitor.page.getByRole("textbox", { name: "Your message" });
  const text = `From the hosted page ${Date.now()}`;
  await field.fill(text);
  await field.press("Enter");
  await expect(visitor.page.getByText("Sent", { exact: true })).toBeVisible();

  const desk = new Desk(await open("/", { viewport: { width: 390, height: 844 }, hasTouch: true }));
  const { page } = desk;
  const { email, password } = server.demo.agents[0]!;
  await page.getByLabel("E-mail").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("link", { name: /^All open/ }).tap();
  await desk.row(text).tap();
  await expect(desk.message(text)).toBeVisible();
  await expect(desk.list).toBeHidden();
  await desk.say("Answered on the way");
  await expect(visitor.page.getByText("Answered on the way")).toBeVisible();
  await page.getByRole("button", { name: "Visitor details" }).tap();
  await expect(page.getByText("Not verified")).toBeVisible();
  await expect(desk.thread).toBeHidden();
  await page.getByRole("button", { name: "Back" }).tap();
  await expect(desk.thread).toBeVisible();
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(390);
  await desk.close();
  await expect(desk.thread).toBeHidden();
  await expect(page.getByRole("heading", { level: 1, name: /^All open/ })).toBeVisible();
});

/** `Deskbell(...)`, as the site's own script would call it. */
function call(page: Page, ...args: unknown[]): Promise<void> {
  return page.evaluate((args) => (window as unknown as { Deskbell: (...call: unknown[]) => void }).Deskbell(...args), args);
}

/** Writes with an input method, and presses the Enter that only ends the composition. */
async function composeAndEnter(page: Page, text: string): Promise<void> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
  await page.keyboard.press("Enter");
  await devtools.send("Input.insertText", { text });
  await devtools.detach();
}
