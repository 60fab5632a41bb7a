import { Desk } from "../support/desk.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

test("a visitor rings, an agent answers, each sees each word once", async ({ shop, open, server }) => {
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  // An agent is as it last was, also where another test left it, and has what others did not close.
  await server.run(["agent", "set-capacity", "--agent", server.demo.agents[0]!.email, "--capacity", "100"]);
  await desk.setOnline(true);
  const widget = new Widget(await shop());
  await widget.open();
  const question = `Is the big bell in stock? ${Date.now()}`;
  await widget.say(question);
  await expect(widget.message(question)).toHaveCount(1);

  await desk.showAll();
  await desk.openRow(question);
  await expect(widget.panel.getByText(/Grace Hopper joined/)).toBeVisible();
  await expect(widget.panel.getByText("Read")).toBeVisible();

  await widget.field.pressSequentially("I would need it by Fri");
  await expect(desk.page.getByText("I would need it by Fri")).toBeVisible();
  await expect(widget.panel.getByText(/can see what you write/)).toBeVisible();

  await desk.field.pressSequentially("Yes, th");
  await expect(widget.panel.getByText(/is typing/i).first()).toBeVisible();
  await desk.field.fill("Yes, three are left.");
  await desk.field.press("Enter");
  await expect(widget.message("Yes, three are left.")).toHaveCount(1);
  await expect(desk.message("Yes, three are left.")).toHaveCount(1);
  await expect(desk.page.getByText(/^Read by/)).toBeVisible();
  await desk.close();
  await expect(widget.panel.getByText("This conversation has ended")).toBeVisible();
});

test("the server is killed in the middle: every word is there once, in order, without anybody's doing", async ({ shop, open, server }) => {
  test.slow();
  const desk = new Desk(await open("/"));
  await desk.signIn(server.demo.agents[0]!);
  const widget = new Widget(await shop());
  await widget.open();
  const tag = `v${Date.now()}`;
  const reply = `a${Date.now()}`;
  await widget.say(`${tag} 0`);
  await desk.showAll();
  await desk.openRow(`${tag} 0`);

  const visitorSays = async () => {
    for (let n = 1; n <= 8; n += 1) await widget.say(`${tag} ${n}`);
  };
  const agentSays = async () => {
    for (let n = 0; n < 8; n += 1) await desk.say(`${reply} ${n}`);
  };
  const killed = server.kill();
  await Promise.all([visitorSays(), agentSays(), killed]);
  await expect(widget.panel.getByText(/connection|offline/i).first()).toBeVisible();
  await expect(desk.page.getByText("No connection.")).toBeVisible();
  await server.restart();

  const said = Array.from({ length: 9 }, (_, n) => `${tag} ${n}`);
  const answered = Array.from({ length: 8 }, (_, n) => `${reply} ${n}`);
  for (const side of [widget, desk]) {
    await expect.poll(() => side.messages(tag), { timeout: 30_000 }).toEqual(said);
    await expect.poll(() => side.messages(reply), { timeout: 30_000 }).toEqual(answered);
  }
  await expect(desk.page.getByText("No connection.")).toBeHidden();
  await desk.close();
});
