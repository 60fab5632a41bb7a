import config from "./playwright.config.ts";

// The pictures of the README: no tests, and not part of a run of them.
export default {
  ...config,
  testDir: ".",
  testMatch: "shots.ts",
  outputDir: "test-results/shots",
  reporter: "list",
  timeout: 120_000,
  use: { ...config.use, trace: "off" },
  projects: [{ name: "shots", use: { csp: "normal" } }],
};
