import { type Locator, type Page, expect } from "@playwright/test";
import type { Demo } from "./server.ts";

/** An agent's console, as its user finds it. English. */
export class Desk {
  readonly list: Locator;
  readonly thread: Locator;
  readonly field: Locator;
  readonly noteField: Locator;

  constructor(readonly page: Page) {
    this.list = page.getByRole("list", { name: "Conversations" });
    this.thread = page.getByRole("log");
    this.field = page.getByRole("textbox", { name: "Reply to the visitor" });
    this.noteField = page.getByRole("textbox", { name: "Note among agents" });
  }

  async signIn(agent: Demo["agents"][number]): Promise<void> {
    await this.page.getByLabel("E-mail").fill(agent.email);
    await this.page.getByLabel("Password", { exact: true }).fill(agent.password);
    await this.page.getByRole("button", { name: "Sign in" }).click();
    await expect(this.page.getByRole("switch", { name: /Online/ })).toBeVisible();
  }

  async setOnline(online: boolean): Promise<void> {
    const availability = this.page.getByRole("switch", { name: /Online/ });
    // Just after signing in it may still turn by itself, between the look and the press.
    await expect(async () => {
      if ((await availability.isChecked()) !== online) await this.page.locator("label").filter({ has: availability }).click();
      await expect(availability).toBeChecked({ checked: online, timeout: 2_000 });
    }).toPass();
  }

  /** Opens the list of all open conversations. */
  async showAll(): Promise<void> {
    await this.page.getByRole("link", { name: /^All open/ }).click();
  }

  row(text: string | RegExp): Locator {
    return this.list.getByRole("link").filter({ hasText: text });
  }

  /** Opens the conversation whose newest message is `preview`. */
  async openRow(preview: string): Promise<void> {
    await this.row(preview).click({ timeout: 10_000 });
    await expect(this.thread.getByText(preview, { exact: true })).toBeVisible();
  }

  /** Narrows the list down to visitors of that name. */
  async find(name: string): Promise<void> {
    await this.page.getByRole("searchbox", { name: "Search by visitor" }).fill(name);
  }

  async say(text: string): Promise<void> {
    await this.field.fill(text);
    await this.field.press("Enter");
    await expect(this.field).toHaveValue("");
  }

  message(text: string): Locator {
    return this.thread.getByText(text, { exact: true });
  }

  async messages(prefix: string): Promise<string[]> {
    return this.thread.getByText(new RegExp(`^${prefix}`)).allTextContents();
  }

  /** Closes the conversation that is open. */
  async close(): Promise<void> {
    await this.page.getByRole("button", { name: "Close", exact: true }).click();
  }
}
