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

async function measured(path, seconds) {
  const page = await open(browser, base);
  await page.addInitScript(() => {
    globalThis.slow = [];
    new PerformanceObserver((list) => globalThis.slow.push(...list.getEntries().map((entry) => Math.round(entry.duration)))).observe({ type: "longtask", buffered: true });
  });
  const cdp = await page.context().newCDPSession(page);
  await cdp.send("Performance.enable");
  // The first page that a browser opens pays for starting it.
  await page.goto(`${base}/login`);
  await page.goto(base + path);
  const paint = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime).then((handle) => handle.jsonValue());
  const first = await page.evaluate(() => performance.getEntriesByType("navigation")[0].responseStart);
  const size = await page.evaluate(() => performance.getEntriesByType("navigation")[0].encodedBodySize);
  await page.evaluate(() => { globalThis.slow.length = 0; });
  await sleep(seconds * 1000);
  const heap = async () => (await cdp.send("Performance.getMetrics")).metrics.find(({ name }) => name === "JSHeapUsedSize").value / 1e6;
  const before = await heap();
  await cdp.send("HeapProfiler.collectGarbage");
  const told = { path, paint: Math.round(paint), first: Math.round(first), kilobytes: Math.round(size / 1000), heap: +before.toFixed(1), kept: +(await heap()).toFixed(1), elements: await page.evaluate(() => document.querySelectorAll("*").length), slow: await page.evaluate(() => globalThis.slow) };
  console.log(`10,000 nodes, ${path}: first paint ${told.paint} ms (of which the server ${told.first} ms), ${told.kilobytes} KB, after ${seconds} s of updates heap ${told.heap} MB (${told.kept} MB after collecting), ${told.elements} elements, tasks longer than 50 ms: ${told.slow.length ? told.slow.join(", ") : "none"}`);
  isClean(page);
  return { page, told };
}

for (const [path, name] of [["/nodes", "nodes"], ["/", "overview"]]) {
  test(`${path} with ${NODES} nodes`, { timeout: 120_000 }, async () => {
    const { page, told } = await measured(path, 20);
    assert.ok(told.paint < 1000, `first paint after ${told.paint} ms`);
    assert.ok(told.heap < 50, `${told.heap} MB of heap`);
    assert.ok(told.elements < 6000, `${told.elements} elements: never the whole list`);
    assert.ok(told.slow.every((ms) => ms < 200), `updates stall: ${told.slow}`);
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
