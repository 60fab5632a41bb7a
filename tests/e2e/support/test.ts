import { AxeBuilder } from "@axe-core/playwright";
import { type BrowserContext, type BrowserContextOptions, type Page, expect, test as base } from "@playwright/test";
import { Server } from "./server.ts";

export { expect };

export interface Options {
  /** `strict`: the shop's own policy forbids all that is not its own, see `/demo?csp=strict`. */
  csp: "normal" | "strict";
}

/** Opens pages, each in its own browser profile, and closes them with the test. */
export type Open = (path: string, options?: BrowserContextOptions) => Promise<Page>;

interface Fixtures {
  /** The demo shop in a new profile: a visitor who has never been here. */
  shop: (options?: BrowserContextOptions) => Promise<Page>;
  /** Any page of the server in a new profile. */
  open: Open;
  /** Path of the demo shop under this project's policy. */
  shopPath: string;
  /** Fails when axe finds anything on the page, in all of it or in `selector`. */
  checkAccessibility: (page: Page, selector?: string) => Promise<void>;
}

/** Console messages that a browser writes when a page's policy was broken. */
const POLICY = /Content Security Policy|TrustedHTML|TrustedScript|Trusted Type/i;

/** Notes what must never happen in a page: an uncaught error, a breach of policy, a request to another machine. */
function watch(context: BrowserContext, offences: string[]): void {
  context.on("weberror", (error) => offences.push(`uncaught: ${error.error().stack ?? error.error().message}`));
  context.on("console", (message) => {
    if (POLICY.test(message.text())) offences.push(`policy: ${message.text()}`);
  });
  context.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (/^(http|ws)/.test(protocol) && hostname !== "127.0.0.1") offences.push(`calls out: ${request.url()}`);
  });
}

export const test = base.extend<Fixtures & Options, { server: Server }>({
  csp: ["normal", { option: true }],

  /** One server for all tests of a worker: a test makes its own visitor, and finds its own conversation by name. */
  server: [
    async ({}, use) => {
      const server = await Server.start();
      await use(server);
      await server.dispose();
    },
    { scope: "worker", timeout: 60_000 },
  ],

  open: async ({ browser, server }, use, info) => {
    const contexts: BrowserContext[] = [];
    const offences: string[] = [];
    await use(async (path, options) => {
      const context = await browser.newContext({ baseURL: server.url, ...options });
      contexts.push(context);
      watch(context, offences);
      const page = await context.newPage();
      await page.goto(path);
      return page;
    });
    await Promise.all(contexts.map((context) => context.close()));
    if (info.status !== info.expectedStatus) await info.attach("server", { body: server.output, contentType: "text/plain" });
    expect(offences, "uncaught errors, breaches of policy, calls to other machines").toEqual([]);
  },

  shopPath: ({ csp }, use) => use(csp === "strict" ? "/demo?csp=strict" : "/demo"),

  shop: ({ open, shopPath }, use) => use((options) => open(shopPath, options)),

  checkAccessibility: ({}, use) =>
    use(async (page, selector) => {
      const axe = new AxeBuilder({ page }).withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]);
      const { violations } = await (selector ? axe.include(selector) : axe).analyze();
      const found = violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.target.join(" ")) }));
      expect(found).toEqual([]);
    }),
});
