// Reports what a first visit downloads, in brotli bytes, and fails above the budgets.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { brotliCompressSync } from "node:zlib";

const dist = new URL("../dist/", import.meta.url).pathname;
const STATIC_IMPORT = /(?:^|[;}\s])(?:import|export)\s*(?:[\w$*{}\s,]+from\s*)?["'](\.[^"']+\.js)["']/g;
const APP = /["'`][./]*(?:w\/)?(assets\/app[^"'`]*\.js)["'`]/;
const HTML_ASSET = /(?:src|href)="\/?([^"]+\.(?:js|css))"/g;

const text = (path) => readFileSync(path, "utf8");
const compressed = (path) => brotliCompressSync(readFileSync(path)).length;

/** The files and everything that they import before they run. */
function closure(paths) {
  const seen = new Set();
  const visit = (path) => {
    if (seen.has(path)) return;
    seen.add(path);
    if (!path.endsWith(".js")) return;
    for (const [, target] of text(path).matchAll(STATIC_IMPORT)) visit(resolve(dirname(path), target));
  };
  paths.forEach(visit);
  return [...seen];
}

function widgetApp() {
  const entry = text(join(dist, "w/loader.js")).match(APP)?.[1];
  if (!entry) throw new Error("loader.js names no assets/app*.js to import");
  return closure([join(dist, "w", entry)]);
}

function consoleRoute() {
  const assets = text(join(dist, "console/index.html")).matchAll(HTML_ASSET);
  return closure([...assets].map(([, path]) => join(dist, "console", path)));
}

const budgets = [
  { name: "widget loader", kb: 1.5, files: () => [join(dist, "w/loader.js")] },
  { name: "widget app", kb: 20, files: widgetApp },
  { name: "console first route", kb: 230, files: consoleRoute },
];

if (!existsSync(dist)) throw new Error("nothing is built yet: run `npm run build`");
let over = false;
for (const { name, kb, files } of budgets) {
  const list = files();
  const bytes = list.reduce((sum, path) => sum + compressed(path), 0);
  const fits = bytes <= kb * 1000;
  over ||= !fits;
  console.log(`${fits ? "ok  " : "OVER"} ${name.padEnd(20)} ${(bytes / 1000).toFixed(2)} kB br of ${kb} kB`);
  if (process.argv.includes("--files")) for (const path of list) console.log(`       ${compressed(path)} ${relative(dist, path)}`);
}
// What the budget of the first load leaves out: languages, and what only an open conversation needs.
const every = readdirSync(join(dist, "w/assets")).filter((name) => name.endsWith(".js"));
const whole = every.reduce((sum, name) => sum + compressed(join(dist, "w/assets", name)), 0);
console.log(`     ${"widget, every chunk".padEnd(20)} ${(whole / 1000).toFixed(2)} kB br in ${every.length} files`);
if (over) process.exit(1);
