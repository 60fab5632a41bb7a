import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "react" } },
  build: { outDir: "../dist/console", emptyOutDir: true, target: "es2022" },
});
