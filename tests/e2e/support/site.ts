import type { BrowserContext, Page } from "@playwright/test";

// A page that does not come off the network counts as one from afar, which may not connect to this machine unless it is let.
const letIn = (context: BrowserContext) => context.grantPermissions(["local-network-access"]);

/** The shop as a site with other settings in its script tag, e.g. `data-storage="device"`. Holds from the next load on. */
export async function setAttribute(context: BrowserContext, attribute: string): Promise<void> {
  await letIn(context);
  await context.route(/\/demo(\?|$)/, async (route) => {
    const response = await route.fetch();
    const { "content-encoding": _, "content-length": __, ...headers } = response.headers();
    const body = (await response.text()).replace("data-project=", `${attribute} data-project=`);
    await route.fulfill({ response, headers, body });
  });
}

/** The shop and the widget's files as they are where the shop is on another machine than the chat: there, whatever happens to it. */
export async function hostElsewhere(context: BrowserContext): Promise<void> {
  await letIn(context);
  const kept = new Map<string, { status: number; headers: Record<string, string>; body: Buffer }>();
  await context.route(/\/(demo|w)(\/|\?|$)/, async (route) => {
    const url = route.request().url();
    try {
      const response = await route.fetch();
      const { "content-encoding": _, "content-length": __, ...headers } = response.headers();
      kept.set(url, { status: response.status(), headers, body: await response.body() });
    } catch {
      // The chat server is down; the shop is not.
    }
    const page = kept.get(url);
    await (page ? route.fulfill(page) : route.abort());
  });
}

/** Everything that a page can leave in a browser, by name. */
export async function stored(page: Page): Promise<string[]> {
  const cookies = (await page.context().cookies()).map(({ name }) => `cookie ${name}`);
  const rest = await page.evaluate(async () => [
    ...Object.keys(localStorage).map((name) => `localStorage ${name}`),
    ...Object.keys(sessionStorage).map((name) => `sessionStorage ${name}`),
    ...(await indexedDB.databases()).map(({ name }) => `IndexedDB ${name}`),
    ...(await caches.keys()).map((name) => `cache ${name}`),
  ]);
  return [...cookies, ...rest];
}
