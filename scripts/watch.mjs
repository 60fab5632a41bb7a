// Builds the pages again when one of their sources changes. One build at a time; what changes meanwhile causes one more.
import { spawn } from "node:child_process";
import { watch } from "node:fs";
import { fileURLToPath } from "node:url";

const web = fileURLToPath(new URL("../web/", import.meta.url));
const QUIET_MS = 150;
let running = false;
let again = false;
let timer;

function build() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  again = false;
  const child = spawn("npm", ["run", "build", "--silent"], { cwd: web, stdio: "inherit" });
  child.once("exit", (code) => {
    running = false;
    console.log(code === 0 ? "pages built" : "pages not built");
    if (again) build();
  });
}

for (const folder of ["client/src", "widget", "console", "demo"]) {
  watch(web + folder, { recursive: true }, (_, name) => {
    if (name?.includes("node_modules")) return;
    clearTimeout(timer);
    timer = setTimeout(build, QUIET_MS);
  });
}
