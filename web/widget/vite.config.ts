import { defineConfig } from "vite";

export default defineConfig({
  base: "/w/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { outDir: "../dist/w", emptyOutDir: true, target: "es2022", modulePreload: false },
});
