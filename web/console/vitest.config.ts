import { defineConfig } from "vitest/config";

export default defineConfig({
  oxc: { jsx: { runtime: "automatic", importSource: "react" } },
  test: { name: "console", environment: "happy-dom", include: ["{src,test}/**/*.test.{ts,tsx}"] },
});
