// Builds the widget into dist/w and the demo shop into dist/demo. The app goes first: the loader holds its hashed name.
import { cp, rm } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const dist = resolve(here, "../dist");
// The oldest browsers with all that the widget needs (constructable style sheets, :has, color-mix, colours made from colours).
const target = ["chrome123", "edge123", "firefox128", "safari18"];
const common = { root: here, configFile: false, base: "./", logLevel: "warn" };

// Library mode: Vite's preload code, which only a page with style sheet files needs, stays out.
const library = (entry, formats) => ({ entry, formats });

async function buildApp() {
  const [{ output }] = await build({
    ...common,
    build: {
      outDir: resolve(dist, "w"),
      emptyOutDir: true,
      target,
      cssMinify: true,
      reportCompressedSize: false,
      lib: library({ app: resolve(here, "src/app.tsx"), frame: resolve(here, "src/frame/frame.ts") }, ["es"]),
      rollupOptions: {
        preserveEntrySignatures: "allow-extension",
        output: { entryFileNames: "assets/[name]-[hash].js", chunkFileNames: "assets/[name]-[hash].js", minify: true, comments: false },
      },
    },
  });
  const pathOf = (name) => output.find((chunk) => chunk.isEntry && chunk.name === name).fileName;
  return { __APP__: JSON.stringify(pathOf("app")), __FRAME__: JSON.stringify(pathOf("frame")) };
}

async function buildLoader(define) {
  await build({
    ...common,
    define,
    build: {
      outDir: resolve(dist, "w"),
      emptyOutDir: false,
      target,
      cssMinify: true,
      reportCompressedSize: false,
      lib: { ...library(resolve(here, "src/loader/loader.ts"), ["iife"]), name: "DeskbellLoader" },
      rollupOptions: { output: { entryFileNames: "loader.js", minify: true, comments: false } },
    },
  });
}

await buildLoader(await buildApp());
await cp(resolve(here, "chat.html"), resolve(dist, "w/chat.html"));
await rm(resolve(dist, "demo"), { recursive: true, force: true });
await cp(resolve(here, "../demo"), resolve(dist, "demo"), { recursive: true });
