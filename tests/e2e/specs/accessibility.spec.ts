import { Desk } from "../support/desk.ts";
import { expect, test } from "../support/test.ts";
import { Widget } from "../support/widget.ts";

const SCHEMES = ["light", "dark"] as const;
const DIRECTIONS = [
  { name: "left to right", language: "en" },
  { name: "right to left", language: "ar" },
] as const;

for (const colorScheme of SCHEMES) {
  for (const { name, language } of DIRECTIONS) {
    test(`axe finds nothing in the widget, ${colorScheme}, ${name}`, async ({ shop, checkAccessibility }) => {
      test.slow();
      const page = await shop({ colorScheme });
      await page.getByRole("combobox").first().selectOption(language);
      if (language === "ar") await expect(page.locator("html")).toHaveAttribute("dir", "rtl");
      await checkAccessibility(page);

      const dialog = page.getByRole("dialog");
      await page.evaluate(() => (window as unknown as { Deskbell: (verb: string) => void }).Deskbell("open"));
      await expect(dialog).toBeVisible();
      await checkAccessibility(page);

      const field = dialog.getByRole("textbox").last();
      await field.fill("Hello, see https://example.org");
      await field.press("Enter");
      await expect(dialog.getByRole("log").getByText("Hello, see")).toBeVisible();
      await checkAccessibility(page);
    });
  }

  test(`axe finds nothing in the console, ${colorScheme} @console`, async ({ open, shop, server, checkAccessibility }) => {
    test.slow();
    const page = await open("/", { colorScheme });
    await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
    await checkAccessibility(page);
    const desk = new Desk(page);
    await desk.signIn(server.demo.agents[0]!);
    await page.goto("/c/setup");
    await expect(page.getByRole("heading", { name: /^Set up chat/ })).toBeVisible();
    await checkAccessibility(page);

    const widget = new Widget(await shop());
    await widget.open();
    const text = `axe ${Date.now()}`;
    await widget.say(text);
    await desk.showAll();
    await expect(desk.row(text)).toBeVisible();
    await checkAccessibility(page);
    await desk.openRow(text);
    await desk.field.fill("an answer");
    await checkAccessibility(page);
    await page.getByRole("button", { name: "Note", exact: true }).or(page.getByRole("radio", { name: /Note/ })).first().click();
    await checkAccessibility(page);
    await page.keyboard.press("Control+k");
    await expect(page.getByRole("dialog")).toBeVisible();
    await checkAccessibility(page);
    await page.keyboard.press("Escape");
    await desk.close();
  });
}

test("axe finds nothing on the hosted page", async ({ open, server, checkAccessibility }) => {
  const page = await open(new URL(server.demo.chat_url).pathname);
  await expect(page.getByRole("textbox", { name: "Your message" })).toBeVisible();
  await checkAccessibility(page);
});
