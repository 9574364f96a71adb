// A browser that minds everything a page should not do.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

import { home } from "./fleet.mjs";

const require = createRequire(path.join(home, "package.json"));
const { chromium } = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

export const WIDE = { width: 1280, height: 860 };
export const NARROW = { width: 360, height: 740 };

export function launch() {
  return chromium.launch({ executablePath: process.env.WINDLASS_CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
}

// A page of its own context; what it should not do is in `page.faults`.
export async function open(browser, base, { viewport = WIDE, scheme = "light", ...options } = {}) {
  const context = await browser.newContext({ viewport, colorScheme: scheme, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.base = base;
  page.setDefaultTimeout(20_000);
  page.on("pageerror", (error) => page.faults.push(`error: ${error.message}`));
  page.on("console", (message) => {
    // A refused or missing page is told on the console by the browser itself.
    if (["error", "warning"].includes(message.type()) && !/status of 4\d\d/.test(message.text())) page.faults.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(base) && !url.startsWith("data:")) page.faults.push(`asked outside: ${url}`);
  });
  await page.addInitScript(() => document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`)));
  return page;
}

export function isClean(page) {
  assert.deepEqual(page.faults, []);
}

// Nothing serious that keeps people out.
export async function isAccessible(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const told = serious.map(({ id, help, nodes }) => `${id}: ${help}\n  ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)}\n    ${node.failureSummary}`).join("\n  ")}`);
  assert.equal(told.join("\n"), "", what);
  return violations.map(({ id, impact }) => `${id} (${impact})`);
}

export async function fits(page, what) {
  const { wide, seen } = await page.evaluate(() => ({ wide: document.documentElement.scrollWidth, seen: innerWidth }));
  assert.ok(wide <= seen, `${what}: ${wide} px wide in a window of ${seen}`);
}

export function shot(page, name) {
  return page.screenshot({ path: path.join(home, "shots", `${name}.png`), fullPage: true });
}
