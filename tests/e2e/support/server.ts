import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { promisify } from "node:util";

const ROOT = resolve(import.meta.dirname, "../../..");
export const BINARY = process.env.E2E_SERVER ?? join(ROOT, "target/debug/deskbell");
const START_WITHIN_MS = 20_000;
// All tests come from one address within minutes, and write faster than people do.
const LIMITS = ["logins_per_15_minutes=1000", "handshakes_per_second=100", "writes_per_second=500", "write_burst=500"];

/** What `deskbell demo --json` prints when it is ready. */
export interface Demo {
  /** The server's own origin, e.g. `http://127.0.0.1:41234`. */
  url: string;
  demo_url: string;
  chat_url: string;
  /** Of `/healthz`, `/readyz` and `/metrics`. */
  admin_url: string;
  project: { id: string; name: string; public_key: string; identity_secret: string };
  agents: readonly { name: string; email: string; password: string; role: string }[];
}

/** The real server, on a folder of its own. It can be killed and started again on the same port and folder. */
export class Server {
  #process: ChildProcess | undefined;
  #folder: string;
  #listen = "127.0.0.1:0";
  #demo: Demo | undefined;
  /** Everything that it said, for the report of a test that failed. */
  output = "";

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async start(): Promise<Server> {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: cargo build, or set E2E_SERVER`);
    const server = new Server(await mkdtemp(join(tmpdir(), "deskbell-e2e-")));
    await server.restart();
    return server;
  }

  get demo(): Demo {
    if (!this.#demo) throw new Error("the server is not started");
    return this.#demo;
  }

  get url(): string {
    return this.demo.url;
  }

  get folder(): string {
    return this.#folder;
  }

  /** Starts it where it was before, or anywhere the first time; returns when it serves. */
  async restart(): Promise<void> {
    const args = ["demo", "--json", "--data-dir", this.#folder, "--listen", this.#listen];
    for (const limit of LIMITS) args.push("--set", `limits.${limit}`);
    const child = spawn(BINARY, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = child;
    child.stderr.on("data", (chunk: Buffer) => (this.output += chunk.toString()));
    this.#demo = JSON.parse(await this.#announcement(child)) as Demo;
    this.#listen = new URL(this.#demo.url).host;
  }

  /** Runs a command line beside the running server, and returns what it answers. */
  async run(args: readonly string[], input = ""): Promise<Record<string, unknown>> {
    const done = promisify(execFile)(BINARY, [...args, "--json", "--set", `data_dir=${this.#folder}`]);
    done.child.stdin?.end(input);
    return JSON.parse((await done).stdout) as Record<string, unknown>;
  }

  /** SIGKILL: as a power cut, but for the disk. Returns when it is dead. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** SIGTERM: the orderly way. Returns its exit code. */
  async stop(): Promise<number | null> {
    return this.#end("SIGTERM");
  }

  /** Stops it and removes its folder. */
  async dispose(): Promise<void> {
    await Promise.race([this.stop(), pause(15_000).then(() => this.kill())]);
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = (await exited) as [number | null];
    return code;
  }

  /** The JSON object that it prints when ready: it may span lines, and nothing else goes to stdout. */
  #announcement(child: ChildProcess): Promise<string> {
    return new Promise((ready, reject) => {
      let text = "";
      const giveUp = (why: string) => reject(new Error(`${why}\n${text}${this.output}`));
      const late = setTimeout(() => giveUp(`the server was not ready within ${START_WITHIN_MS} ms:`), START_WITHIN_MS);
      // The listener stays: a pipe that nobody reads would stop the server at its next line.
      child.stdout?.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        if (!isWhole(text)) return;
        clearTimeout(late);
        ready(text);
      });
      child.once("exit", () => giveUp("the server ended before it was ready:"));
      child.once("error", (error) => giveUp(error.message));
    });
  }
}

function isWhole(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
