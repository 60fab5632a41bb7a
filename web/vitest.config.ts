import { defineConfig } from "vitest/config";

// Each workspace brings its own environment; two workers, because the machines that run this have two cores.
export default defineConfig({
  test: {
    projects: ["client", "widget", "console"],
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
