import { Desk } from "../support/desk.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

test("a visitor is blocked with a confirmation, is told only that there is no chat, and comes back when unblocked @console", async ({ open, shop, server }) => {
  test.slow();
  const grace = new Desk(await open("/"));
  await grace.signIn(server.demo.agents[0]!);
  const widget = new Widget(await shop());
  await widget.open();
  const text = `Something rude ${Date.now()}`;
  await widget.say(text);
  await grace.showAll();
  await grace.openRow(text);

  const { page } = grace;
  const details = page.getByRole("complementary", { name: "Details" });
  await details.getByRole("button", { name: "Block visitor" }).click();
  const dialog = page.getByRole("dialog", { name: "Block visitor" });
  await expect(dialog).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(dialog).toBeHidden();
  await expect(widget.field).toBeVisible();

  await details.getByRole("button", { name: "Block visitor" }).click();
  await dialog.getByRole("button", { name: "Block visitor" }).click();
  await expect(details.getByText("Blocked", { exact: true })).toBeVisible();
  await expect(grace.thread.getByText(/^Grace.* blocked /)).toBeVisible();
  await expect(widget.panel.getByRole("alert")).toHaveText(/Chat isn’t available here right now/);
  await expect(widget.panel.getByRole("alert").getByRole("button")).toHaveCount(0);
  await expect(widget.field).toBeHidden();

  await page.keyboard.press("Control+k");
  await page.getByRole("menuitem", { name: "Unblock visitor" }).click();
  await page.getByRole("dialog", { name: "Unblock visitor" }).getByRole("button", { name: "Unblock visitor" }).click();
  await expect(details.getByText("Blocked", { exact: true })).toBeHidden();
  // Who did it is written down first; only then does it hold.
  await expect(page.getByText(/can chat again/)).toBeVisible();
  await widget.page.reload();
  // Whoever writes before the thread is back begins another one.
  await expect(widget.message(text)).toBeVisible();
  await widget.say("Sorry for that");
  await expect(grace.message("Sorry for that")).toBeVisible();
});
