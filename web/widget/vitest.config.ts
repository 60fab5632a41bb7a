import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { name: "widget", environment: "happy-dom", include: ["test/**/*.test.{ts,tsx}"] },
});
