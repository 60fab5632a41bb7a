import { existsSync } from "node:fs";
import { defineConfig } from "@playwright/test";
import type { Options } from "./support/test.ts";

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

export default defineConfig<Options>({
  testDir: "specs",
  // One browser and one server at a time: the tests measure focus, time and scrolling, and CI has two cores.
  workers: 1,
  // On a busy machine; what passes only then is reported as flaky, and is to be looked into.
  retries: 1,
  forbidOnly: Boolean(process.env.CI),
  timeout: 45_000,
  expect: { timeout: 10_000 },
  globalTimeout: 15 * 60_000,
  reporter: [["list"], ["html", { open: "never" }]],
  use: {
    browserName: "chromium",
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? CHROMIUM.find((path) => existsSync(path)) ?? "chromium",
      // The system's Chromium, which may not call out: no updates, no sync, no field trials.
      args: [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
      ],
    },
    actionTimeout: 15_000,
    locale: "en-GB",
    timezoneId: "UTC",
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
  },
  projects: [
    { name: "normal", use: { csp: "normal" } },
    // Everything that a visitor's page takes part in, again on a shop whose policy allows nothing but its own files.
    { name: "strict-csp", use: { csp: "strict" }, grepInvert: /@console/ },
  ],
});
