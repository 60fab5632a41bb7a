import type { Page } from "@playwright/test";
import { Desk } from "../support/desk.ts";
import { ring } from "../support/ring.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

test("two agents: who looks, who writes, who was first, handing on, and notes that stay inside @console", async ({ open, shop, server }) => {
  test.slow();
  const grace = new Desk(await open("/"));
  const alan = new Desk(await open("/"));
  const alansWire = await holdable(alan.page);
  await grace.signIn(server.demo.agents[0]!);
  await alan.signIn(server.demo.agents[1]!);
  for (const desk of [grace, alan]) await desk.setOnline(false);

  const page = await shop();
  const received = framesOf(page);
  const widget = new Widget(page);
  await widget.open();
  await expect(widget.panel.getByText("Leave us a message")).toBeVisible();
  await widget.panel.getByLabel("Your e-mail (optional)").fill("not an address");
  const text = `For two ${Date.now()}`;
  await widget.field.fill(text);
  await widget.field.press("Enter");
  await expect(widget.panel.getByText("That doesn’t look like an e-mail address.")).toBeVisible();
  await widget.panel.getByLabel("Your e-mail (optional)").fill("ada@example.org");
  await widget.say(text);
  await expect(widget.panel.getByText(/No one is at the desk/)).toBeVisible();

  for (const desk of [grace, alan]) {
    await desk.showAll();
    await desk.openRow(text);
  }
  await expect(grace.page.getByRole("button", { name: "Alan Turing is looking at this too" })).toBeVisible();
  await expect(grace.page.getByText("ada@example.org").first()).toBeVisible();
  await alan.field.pressSequentially("I could");
  await expect(grace.page.getByText("Alan Turing is writing a reply")).toBeVisible();

  alansWire.hold();
  await grace.page.getByRole("button", { name: "Take", exact: true }).click();
  await expect(grace.page.getByText("with you", { exact: true })).toBeVisible();
  await alan.page.getByRole("button", { name: "Take", exact: true }).click();
  alansWire.release();
  await expect(alan.page.getByRole("alert").getByText(/You could not take .+: Grace Hopper was first/)).toBeVisible();
  await expect(alan.field).toHaveValue("I could");
  await alan.field.fill("");

  await grace.page.getByRole("radio", { name: "Note" }).click();
  await grace.noteField.fill("Regular customer, be nice");
  await grace.noteField.press("Enter");
  await expect(alan.message("Regular customer, be nice")).toBeVisible();
  await grace.page.getByRole("radio", { name: "Reply" }).click();
  await grace.say("Alan knows more");
  await expect(widget.message("Alan knows more")).toBeVisible();
  await expect(page.getByText("Regular customer")).toHaveCount(0);
  expect(received().filter((frame) => frame.includes("Regular customer"))).toEqual([]);
  expect(received().some((frame) => frame.includes("Alan knows more"))).toBe(true);

  await grace.page.getByRole("log").focus();
  await grace.page.keyboard.press("a");
  const dialog = grace.page.getByRole("dialog", { name: "Assign conversation" });
  await dialog.getByRole("searchbox").fill("alan");
  await grace.page.keyboard.press("Enter");
  await expect(dialog).toBeHidden();
  await expect(alan.page.getByText("with you", { exact: true })).toBeVisible();
  await expect(widget.panel.getByText("Alan Turing joined the chat")).toBeVisible();
  await alan.page.getByRole("button", { name: "Hand back" }).click();
  await expect(alan.page.getByText("with nobody", { exact: true })).toBeVisible();
  await expect(widget.panel.getByText("Alan Turing left the chat")).toBeVisible();
  await alan.close();
  for (const desk of [grace, alan]) await desk.setOnline(true);
});

test("by keyboard: move, open, write, look for, close and go on; drafts stay where they belong @console", async ({ open, server }) => {
  test.slow();
  const desk = new Desk(await open("/"));
  const { page } = desk;
  await desk.signIn(server.demo.agents[0]!);
  await desk.setOnline(false);
  const tag = `Key${Date.now() % 100_000}`;
  const project = server.demo.project.public_key;
  for (const name of ["Ann", "Bea", "Cia"]) await ring(page, { project, name: `${tag} ${name}`, texts: [`I am ${name}`] });

  await desk.showAll();
  await page.keyboard.press("/");
  await page.keyboard.type(tag);
  // The list of those found, not the one before it: a row's focus goes with its list.
  await expect(page).toHaveURL(new RegExp(`q=${tag}$`));
  await expect(desk.row("I am")).toHaveCount(3);
  await desk.row("I am Cia").focus();
  await page.keyboard.press("j");
  await expect(desk.row("I am Bea")).toBeFocused();
  await page.keyboard.press("j");
  await expect(desk.row("I am Ann")).toBeFocused();
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  const title = page.getByRole("heading", { level: 1, name: tag });
  await expect(title).toHaveText(`${tag} Bea`);
  await expect(desk.message("I am Bea")).toBeVisible();

  await page.keyboard.press("r");
  await expect(desk.field).toBeFocused();
  await page.keyboard.type("reply to Bea");
  await page.keyboard.press("Escape");
  await page.keyboard.press("n");
  await expect(desk.noteField).toBeFocused();
  await page.keyboard.type("note on Bea");
  await page.keyboard.press("Escape");
  await desk.row("I am Ann").click();
  await expect(title).toHaveText(`${tag} Ann`);
  await expect(desk.field).toHaveValue("");
  await expect(desk.row("I am Bea").getByText("Draft")).toBeVisible();
  await desk.row("I am Bea").click();
  await page.reload();
  await expect(title).toHaveText(`${tag} Bea`);
  await page.getByRole("log").focus();
  await page.keyboard.press("n");
  await expect(desk.noteField).toHaveValue("note on Bea");
  await page.keyboard.press("Escape");
  await page.keyboard.press("r");
  await expect(desk.field).toHaveValue("reply to Bea");
  await page.keyboard.press("Escape");

  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await page.keyboard.type(`${tag} Cia`);
  await expect(page.getByRole("menuitem")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(title).toHaveText(`${tag} Cia`);
  // When it goes, it gives the focus back.
  await expect(page.getByRole("dialog")).toHaveCount(0);

  await desk.row("I am Cia").focus();
  await page.keyboard.press("e");
  await expect(title).toHaveText(`${tag} Bea`);
  await expect(desk.row("I am Bea")).toBeFocused();
  await expect(desk.row("I am Cia")).toHaveCount(0);
  await page.keyboard.press("e");
  await expect(title).toHaveText(`${tag} Ann`);
  await page.keyboard.press("e");
  await expect(page.getByText(`Nobody called “${tag}” here`)).toBeVisible();
  await desk.setOnline(true);
});

test("a new project: set-up page, test message, waiting in line, an ended session, signing out @console", async ({ open, server }) => {
  test.slow();
  const { project: id } = await server.run(["project", "create", "--name", "Fresh & New", "--origin", server.url]);
  const owner = { name: "Mary Owner", email: `mary${Date.now()}@example.org`, password: "a long enough password", role: "owner" };
  const person = ["--project", String(id), "--email", owner.email, "--name", owner.name, "--role", owner.role, "--capacity", "1"];
  await server.run(["agent", "create", ...person, "--password-stdin"], owner.password);

  const desk = new Desk(await open("/"));
  const { page } = desk;
  await page.getByLabel("E-mail").fill(owner.email);
  await page.getByLabel("Password", { exact: true }).fill("not the password");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByText("E-mail or password is not right.")).toBeVisible();
  await desk.signIn(owner);
  await desk.setOnline(true);
  await expect(page.getByRole("heading", { name: "Set up chat for Fresh & New" })).toBeVisible();
  const chat = (await page.getByRole("link", { name: "Open chat page" }).getAttribute("href"))!;
  await expect(page.getByLabel("Embed code")).toContainText(`data-project="${chat.split("/").at(-1)}"`);
  await page.getByRole("button", { name: "Send test message" }).click();
  await expect(desk.message("Hello! This is a test message from the set-up page.")).toBeVisible();
  await expect(page.getByRole("heading", { level: 1, name: "Test visitor" })).toBeVisible();

  const second = await open(new URL(chat).pathname);
  await second.getByRole("textbox", { name: "Your message" }).fill("Is there a line?");
  await second.keyboard.press("Enter");
  await expect(second.getByText("You’re next in line")).toBeVisible();
  await desk.close();
  await expect(second.getByText("Mary Owner joined the chat")).toBeVisible();
  await desk.showAll();
  await desk.openRow("Is there a line?");

  await desk.field.fill("half an ans");
  await server.run(["agent", "revoke-sessions", "--agent", owner.email]);
  await expect(page.getByText(/Your session has ended/)).toBeVisible();
  await desk.signIn(owner);
  await expect(desk.field).toHaveValue("half an ans");
  await desk.field.fill("");
  await desk.close();
  await page.getByRole("button", { name: "Account: Mary Owner Owner" }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expect(page.getByText(/Your session has ended/)).toBeHidden();
});

/** Everything that a page hears over its sockets. */
function framesOf(page: Page): () => readonly string[] {
  const frames: string[] = [];
  page.on("websocket", (socket) => socket.on("framereceived", ({ payload }) => frames.push(String(payload))));
  return () => frames;
}

/** Loads the page anew on a line that can be held up: what the server says arrives when it is released. */
async function holdable(page: Page): Promise<{ hold: () => void; release: () => void }> {
  let waiting: (() => void)[] | undefined;
  await page.routeWebSocket(/\/v1\/ws$/, (socket) => {
    const server = socket.connectToServer();
    server.onMessage((message) => (waiting ? waiting.push(() => socket.send(message)) : socket.send(message)));
  });
  await page.reload();
  return {
    hold: () => (waiting = []),
    release: () => {
      const held = waiting ?? [];
      waiting = undefined;
      for (const tell of held) tell();
    },
  };
}
