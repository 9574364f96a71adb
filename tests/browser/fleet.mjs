// A fleet of real processes: Redis, workers, servers, and a stand-in for hosted models. All of them end with the test.
import { execFile, spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import path from "node:path";
import { promisify } from "node:util";

export const home = process.env.WINDLASS_BROWSER_HOME;
const programs = process.env.WINDLASS_BIN_DIR;
const run = promisify(execFile);

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Looks again until `look` gives something.
export async function until(what, look, patience = 30_000) {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${patience} ms`);
    await sleep(100);
  }
}

function freePort() {
  return new Promise((done, failed) => {
    const server = net.createServer();
    server.on("error", failed);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

const CONFIGURATION = `
[types.draft]
description = "A model writes a Python file; nothing passes, so people decide"
executor = "llm"
max_attempts = 1
template = { prompt = "Write {{ payload.what }}" }

[types.draft.llm]
repairs = 0
on_invalid = "escalate"

[types.draft.llm.pipeline]
postprocess = [{ stage = "write", to = "draft.py" }]
validate = [{ validator = "syntax", language = "python" }]
`;

export class Fleet {
  static async start() {
    const fleet = new Fleet();
    mkdirSync(home, { recursive: true });
    fleet.dir = mkdtempSync(path.join(home, "fleet-"));
    fleet.children = [];
    fleet.port = await freePort();
    fleet.file("windlass.toml", CONFIGURATION);
    fleet.env = {
      PATH: process.env.PATH, HOME: fleet.dir, TMPDIR: fleet.dir,
      WINDLASS_REDIS_URL: `redis://127.0.0.1:${fleet.port}`, WINDLASS_CONFIG: path.join(fleet.dir, "windlass.toml"),
    };
    fleet.spawn("redis-server", ["--port", `${fleet.port}`, "--bind", "127.0.0.1", "--save", "", "--dir", fleet.dir]);
    await until("Redis answers", () => fleet.redis("PING").then((text) => text.trim() === "PONG", () => false));
    return fleet;
  }

  file(name, text) {
    writeFileSync(path.join(this.dir, name), text);
  }

  spawn(program, args, env = {}) {
    const child = spawn(program, args, { env: { ...this.env, ...env }, cwd: this.dir, stdio: ["ignore", "pipe", "pipe"] });
    child.text = "";
    child.errors = "";
    child.stdout.on("data", (data) => { child.text += data; });
    child.stderr.on("data", (data) => { child.errors += data; });
    child.over = new Promise((done) => child.on("exit", done));
    this.children.push(child);
    return child;
  }

  redis(...args) {
    return run("redis-cli", ["-p", `${this.port}`, ...args]).then(({ stdout }) => stdout);
  }

  async windlass(...args) {
    const { stdout } = await run(path.join(programs, "windlass"), args, { env: this.env, cwd: this.dir, maxBuffer: 1 << 26 });
    return stdout;
  }

  submit(type, payload, ...args) {
    return this.windlass("submit", "--type", type, "--payload", JSON.stringify(payload), ...args);
  }

  async lines(lines, ...args) {
    this.file("tasks.jsonl", lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await this.windlass("submit", "--file", "tasks.jsonl", ...args);
  }

  async state(task) {
    return JSON.parse(await this.windlass("status", task, "-o", "json")).state;
  }

  // The first line that a server prints is where it is.
  async server(args) {
    const child = this.spawn(path.join(programs, "windlass"), args);
    const line = await until(`windlass ${args[0]} listens`, () => {
      if (child.exitCode !== null) throw new Error(`windlass ${args[0]} ended: ${child.errors}`);
      return child.text.includes("\n") && child.text.split("\n")[0];
    }, 60_000);
    return { url: line, child };
  }

  serve(...args) {
    return this.server(["serve", "--listen", "127.0.0.1:0", ...args]);
  }

  async models() {
    const { url } = await this.server(["scripted"]);
    Object.assign(this.env, { WINDLASS_LLM_BASE_URL: url, WINDLASS_LLM_MODEL: "stand-in", WINDLASS_LLM_API_KEY: "scripted" });
  }

  worker(labels, ...args) {
    return this.spawn(path.join(programs, "windlass-worker"), ["--queues", "default", "--concurrency", "6", ...args], { WINDLASS_LABELS: labels });
  }

  async end() {
    for (const child of this.children.reverse()) if (child.exitCode === null && child.signalCode === null) {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 8000);
      await child.over;
      clearTimeout(late);
    }
    rmSync(this.dir, { recursive: true, force: true });
  }
}
