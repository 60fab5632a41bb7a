import { defineConfig } from "vite";

export default defineConfig({
  base: "/",
  oxc: { jsx: { runtime: "automatic", importSource: "react" } },
  build: {
    outDir: "../dist/console",
    emptyOutDir: true,
    target: "es2022",
    // The content security policy has no data: for fonts and scripts; small files stay files.
    assetsInlineLimit: 0,
    rolldownOptions: {
      // "use client" means nothing outside of server rendering.
      onLog: (level, log, handler) => log.code === "MODULE_LEVEL_DIRECTIVE" || handler(level, log),
    },
  },
});
