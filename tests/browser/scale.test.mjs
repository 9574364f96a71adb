// Ten thousand nodes, of which one in ten is lost: how soon there is something to see, and what it costs the browser to keep up.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";

import { NARROW, fits, isClean, launch, open, shot } from "./browser.mjs";
import { Fleet, sleep } from "./fleet.mjs";

const NODES = 10_000;
let fleet, base, browser;

// What ten thousand workers would have written with a beat each.
async function beat() {
  const [seconds, micros] = (await fleet.redis("TIME")).trim().split("\n").map(Number);
  const now = seconds * 1e6 + micros;
  const pipe = spawn("redis-cli", ["-p", `${fleet.port}`, "--pipe"], { stdio: ["pipe", "ignore", "inherit"] });
  const command = (...words) => `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(`${word}`)}\r\n${word}\r\n`).join("")}`;
  for (let first = 0; first < NODES; first += 500) {
    let text = "";
    for (let n = first; n < first + 500; n++) {
      const lost = n % 10 === 0;
      const id = `n-${String(n).padStart(5, "0")}`;
      const running = Array.from({ length: n % 7 }, (_, k) => ({ id: `task-${n}-${k}`, queue: "default", type: "unit_test", attempt: 1, started_at: now - 1e6 * (n % 600) }));
      const record = JSON.stringify({
        id, state: n % 97 ? "active" : "draining", host: `ip-10-0-${n >> 8}-${n & 255}`, pid: 7, version: "0.1.0", protocol: 1, started_at: now - 3600e6,
        queues: { default: 1, reports: 2 }, types: ["command", "http", "llm", "unit_test"], slots: 8, running_count: running.length, stale_commits: 0,
        labels: { zone: "abc"[n % 3], pod: `worker-${n.toString(16)}` }, running,
      });
      text += command("ZADD", "wl:{nodes}:index", now, id) + command("HSET", "wl:{nodes}:seen", id, record);
      if (!lost) text += command("SET", `wl:{nodes}:node:${id}`, record);
    }
    if (!pipe.stdin.write(text)) await once(pipe.stdin, "drain");
  }
  pipe.stdin.end();
  await once(pipe, "exit");
}

before(async () => {
  fleet = await Fleet.start();
  await fleet.submit("noop", 1);
  await beat();
  ({ url: base } = await fleet.serve("--anonymous"));
  browser = await launch();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await fleet?.end();
});

const middle = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

// As somebody comes who was never here: nothing is kept from before.
async function paint(path) {
  const page = await open(browser, base);
  await page.goto(base + path);
  const told = await page.waitForFunction(() => {
    const painted = performance.getEntriesByName("first-contentful-paint")[0];
    const [load] = performance.getEntriesByType("navigation");
    return painted && { paint: painted.startTime, server: load.responseStart, size: load.encodedBodySize };
  });
  const value = await told.jsonValue();
  await page.context().close();
  return value;
}

async function updates(path, seconds) {
  const page = await open(browser, base);
  await page.addInitScript(() => {
    globalThis.slow = [];
    new PerformanceObserver((list) => globalThis.slow.push(...list.getEntries().map((entry) => Math.round(entry.duration)))).observe({ type: "longtask" });
  });
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  await page.goto(base + path);
  await sleep(1000);
  await page.evaluate(() => { globalThis.slow.length = 0; });
  await sleep(seconds * 1000);
  const heap = async () => +((await cdp.send("Performance.getMetrics")).metrics.find(({ name }) => name === "JSHeapUsedSize").value / 1e6).toFixed(1);
  const full = await heap();
  await cdp.send("HeapProfiler.collectGarbage");
  return { page, heap: full, kept: await heap(), elements: await page.evaluate(() => document.querySelectorAll("*").length), slow: await page.evaluate(() => globalThis.slow) };
}

const LOADS = 5, SECONDS = 20;
for (const [path, name] of [["/nodes", "lost"], ["/nodes?state=active&page=40", "active"], ["/", "overview"]]) {
  test(`${path} with ${NODES} nodes`, { timeout: 120_000 }, async () => {
    const loads = [];
    for (let n = 0; n < LOADS; n++) loads.push(await paint(path));
    const painted = loads.map((load) => Math.round(load.paint)), first = middle(painted);
    const { page, heap, kept, elements, slow } = await updates(path, SECONDS);
    console.log(`10,000 nodes, ${path}: first paint ${first} ms (of ${painted.join(", ")}), of which the server ${Math.round(middle(loads.map((load) => load.server)))} ms, ${Math.round(loads[0].size / 1000)} KB; after ${SECONDS} s of updates heap ${heap} MB (${kept} MB after collecting), ${elements} elements, tasks longer than 50 ms: ${slow.join(", ") || "none"}`);
    assert.ok(first < 1000, `first paint after ${first} ms`);
    assert.ok(heap < 50, `${heap} MB of heap`);
    assert.ok(elements < 6000, `${elements} elements: never the whole list`);
    assert.ok(middle([0, ...slow]) < 200, `updates stall: ${slow}`);
    isClean(page);
    await shot(page, `scale-${name}`);
    await page.context().close();
  });
}

test("one finds one's node among them, also on a telephone", async () => {
  const page = await open(browser, base, { viewport: NARROW });
  await page.goto(`${base}/nodes`);
  await page.getByLabel("Find").fill("n-04711");
  await page.getByRole("button", { name: "Filter" }).click();
  await page.getByRole("link", { name: "n-04711" }).waitFor();
  await fits(page, "nodes");
  await shot(page, "scale-narrow");
  await page.goto(`${base}/nodes?state=active&page=50`);
  await page.getByRole("link", { name: "Next" }).click();
  assert.match(page.url(), /page=51/);
  isClean(page);
  await page.context().close();
});
