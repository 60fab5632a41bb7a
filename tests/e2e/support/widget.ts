import { type Locator, type Page, expect } from "@playwright/test";

/** The widget in a visitor's page, as its user finds it: by roles and names. English. */
export class Widget {
  readonly panel: Locator;
  readonly launcher: Locator;
  readonly thread: Locator;
  readonly field: Locator;

  constructor(readonly page: Page) {
    this.panel = page.getByRole("dialog", { name: /^Chat with/ });
    this.launcher = page.getByRole("button", { name: /^Chat with us/ });
    this.thread = this.panel.getByRole("log");
    this.field = this.panel.getByRole("textbox", { name: "Your message" });
  }

  async open(): Promise<void> {
    await this.launcher.click();
    await expect(this.field).toBeFocused();
  }

  async say(text: string): Promise<void> {
    await this.field.fill(text);
    await this.field.press("Enter");
    await expect(this.field).toHaveValue("");
  }

  message(text: string): Locator {
    return this.thread.getByText(text, { exact: true });
  }

  /** Every message that begins with `prefix`, in the order shown. */
  async messages(prefix: string): Promise<string[]> {
    return this.thread.getByText(new RegExp(`^${prefix}`)).allTextContents();
  }

  /** Ends the conversation as a visitor does. */
  async end(): Promise<void> {
    await this.panel.getByRole("button", { name: "More" }).click();
    await this.panel.getByRole("menuitem", { name: "End this conversation" }).click();
    await this.panel.getByRole("button", { name: "End it" }).click();
    await expect(this.panel.getByText("This conversation has ended")).toBeVisible();
  }
}
