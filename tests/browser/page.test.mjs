// Every page: opened in light and dark, wide and narrow, with data and without; acted on with the mouse and with keys.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { NARROW, WIDE, fits, isAccessible, isClean, launch, open, shot } from "./browser.mjs";
import { Fleet, until } from "./fleet.mjs";

let fleet, base, browser, node, lost;

before(async () => {
  fleet = await Fleet.start();
  await fleet.models();
  ({ url: base } = await fleet.serve("--anonymous"));
  browser = await launch();
}, { timeout: 120_000 });

after(async () => {
  await browser?.close();
  await fleet?.end();
});

const nodes = async () => JSON.parse(await fleet.windlass("nodes", "-o", "json"));

// A fleet with something to see on every page.
async function fill() {
  const dying = fleet.worker("zone=c,pod=worker-9f3b");
  await until("the first node is there", async () => (await nodes()).length === 1);
  lost = (await nodes())[0].id;
  dying.kill("SIGKILL");
  fleet.worker("zone=a,pod=worker-1d20");
  fleet.worker("zone=b,pod=worker-77aa");
  const sleeps = [30, 60, 90, 120].map((s, n) => ({ type: "sleep", payload: { ms: s * 10_000 }, id: `render-${n + 1}`, tenant: "acme" }));
  const quick = Array.from({ length: 60 }, (_, n) => ({ type: "noop", payload: { page: n }, batch: "nightly-2026-11-29", tenant: n % 3 ? "acme" : "globex" }));
  const failing = Array.from({ length: 7 }, (_, n) => ({ type: "command", payload: { argv: ["sh", "-c", "echo 'cannot reach the mirror' >&2; exit 4"] }, id: `sync-${n}`, max_attempts: 1, batch: "nightly-2026-11-29" }));
  const bad = [1, 2].map((n) => ({ type: "command", payload: { argv: n }, id: `bad-${n}`, max_attempts: 1 }));
  await fleet.lines([...sleeps, ...quick, ...failing, ...bad]);
  const later = Array.from({ length: 48 }, (_, n) => ({ type: "noop", payload: n, queue: "reports", priority: ["critical", "high", "normal", "normal", "low", "low"][n % 6] }));
  await fleet.lines([...later, { type: "noop", payload: 1, queue: "archive" }, { type: "noop", payload: 1, delay: "3h", id: "tomorrow", tenant: "acme" }]);
  await fleet.windlass("pause", "archive");
  await fleet.windlass("budgets", "set", "fleet", "5.00", "--window", "day");
  await fleet.submit("llm", { prompt: "Say hello" }, "--id", "hello");
  for (const [id, what] of [["parser", "a parser of dates"], ["retry", "a retry loop"]]) await fleet.submit("draft", { what }, "--id", id);
  await until("drafts wait", async () => (await fleet.state("retry")) === "blocked" && (await fleet.state("parser")) === "blocked", 60_000);
  await until("the failing ones failed", async () => (await fleet.state("sync-6")) === "failed" && (await fleet.state("bad-2")) === "failed", 60_000);
  await until("one node is lost, two are active", async () => {
    const states = (await nodes()).map((node) => node.state).sort();
    return states.join() === "active,active,lost";
  }, 60_000);
  node = (await nodes()).find((node) => node.state === "active" && node.running_count > 0).id;
}

const empty = [["overview", "/"], ["nodes", "/nodes"], ["queues", "/queues"], ["tasks", "/tasks"], ["batches", "/batches"], ["models", "/models"], ["dead", "/dead"], ["reviews", "/reviews"], ["actions", "/actions"]];
const filled = () => [
  ...empty, ["node", `/nodes/${node}`], ["node-lost", `/nodes/${lost}`], ["queue", "/queues/default"], ["queue-unserved", "/queues/reports"], ["tasks-failed", "/tasks?state=failed"],
  ["task-failed", "/tasks/default/sync-1"], ["task-running", "/tasks/default/render-1"], ["task-llm", "/tasks/default/hello"], ["task-draft", "/tasks/default/parser"],
  ["batch", "/batches/nightly-2026-11-29"], ["review", "/reviews/default/parser"], ["not-found", "/tasks/default/none"],
];

async function looks(pages, name, { viewport, scheme }) {
  const page = await open(browser, base, { viewport, scheme });
  for (const [what, path] of pages) {
    await page.goto(base + path);
    assert.match(await page.title(), / · Windlass$/);
    assert.equal(await page.locator("h1").count(), 1, what);
    if (path === "/") await page.waitForFunction(() => document.querySelector("[data-chart=rate] path.good")?.getAttribute("d"));
    await fits(page, `${what} ${name}`);
    await isAccessible(page, `${what} ${name}`);
    await shot(page, `${name}-${what}`);
  }
  isClean(page);
  await page.context().close();
}

describe("the page", () => {
  test("an empty fleet says what to do next", async () => {
    await looks(empty, "empty", { viewport: WIDE, scheme: "light" });
    await looks(empty.slice(0, 2), "empty-narrow", { viewport: NARROW, scheme: "dark" });
    const page = await open(browser, base);
    await page.goto(base);
    await page.getByText("No node is alive.").waitFor();
    await page.context().close();
  });

  test("a fleet is filled", { timeout: 180_000 }, fill);

  for (const scheme of ["light", "dark"]) {
    for (const [size, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
      test(`every page can be seen: ${scheme}, ${size}`, { timeout: 240_000 }, () => looks(filled(), `${scheme}-${size}`, { viewport, scheme }));
    }
  }

  test("what is wrong is told in words", async () => {
    const page = await open(browser, base);
    await page.goto(base);
    const banners = page.locator(".banner:visible");
    await page.getByText("served by nobody").waitFor();
    const told = (await banners.allTextContents()).join(" ");
    assert.match(told, /reports/);
    assert.match(told, /1 node was lost/);
    assert.match(told, /Paused:.*archive/);
    isClean(page);
    await page.context().close();
  });

  test("the overview goes on by itself", async () => {
    const page = await open(browser, base);
    await page.goto(base);
    const done = page.locator('[data-v="done"]');
    await page.waitForFunction(() => document.querySelector("[data-chart=rate] path.good")?.getAttribute("d"));
    const before = await done.textContent();
    await fleet.lines(Array.from({ length: 30 }, () => ({ type: "noop", payload: 0 })));
    await page.waitForFunction((before) => document.querySelector('[data-v="done"]').textContent !== before, before);
    await page.waitForFunction(() => /highest [1-9]/.test(document.querySelector("[data-chart=rate] svg").getAttribute("aria-label")));
    const box = await page.locator("[data-chart=pending] svg").boundingBox();
    await page.mouse.move(box.x + box.width - 12, box.y + 40);
    await page.waitForFunction(() => /\d\d:\d\d:\d\d.*critical/.test(document.querySelector("[data-chart=pending] output").textContent));
    await shot(page, "overview-hover");
    isClean(page);
    await page.context().close();
  });

  test("a queue is paused and resumed, after a question", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/queues`);
    await page.getByRole("button", { name: "Pause reports" }).click();
    const dialog = page.getByRole("dialog", { name: "Pause reports?" });
    await dialog.waitFor();
    await isAccessible(page, "a question");
    await shot(page, "question");
    await dialog.getByRole("link", { name: "Leave it" }).click();
    await dialog.waitFor({ state: "hidden" });
    assert.equal(JSON.parse(await fleet.windlass("queues", "-o", "json")).find((queue) => queue.queue === "reports").paused, false);
    await page.getByRole("button", { name: "Pause reports" }).click();
    await dialog.getByRole("button", { name: "Pause" }).click();
    await page.getByText("reports is paused.").waitFor();
    assert.ok(!page.url().includes("did="), "what was told once is not told again");
    await page.getByRole("button", { name: "Resume reports" }).click();
    await page.getByText("reports goes on.").waitFor();
    isClean(page);
    await page.context().close();
  });

  test("a purge wants the name typed", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/queues/reports`);
    await page.getByLabel("Delete all tasks that are").selectOption("pending");
    await page.getByRole("button", { name: "Purge…" }).click();
    const dialog = page.getByRole("dialog");
    const sure = dialog.getByRole("button", { name: "Purge" });
    await sure.waitFor();
    assert.ok(await sure.isDisabled());
    await dialog.getByRole("textbox").fill("reports");
    assert.ok(await sure.isEnabled());
    await shot(page, "question-typed");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    isClean(page);
    await page.context().close();
  });

  test("a node is told to be quiet, and to go on", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/nodes`);
    await page.getByRole("button", { name: `Quiet ${node}` }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Quiet" }).click();
    await page.getByText("was told: quiet").waitFor();
    // The row changes by itself when the node says so.
    await page.getByRole("button", { name: `Resume ${node}` }).click();
    await page.getByText("was told: resume").waitFor();
    await page.getByRole("button", { name: `Quiet ${node}` }).waitFor();
    isClean(page);
    await page.context().close();
  });

  test("rows change in place: focus and scrolling stay", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/nodes`);
    const link = page.getByRole("link", { name: node, exact: true });
    await link.focus();
    await link.evaluate((link) => { link.mark = "the same"; });
    const beat = () => page.locator(`#n-${node} td[data-label="Last beat"]`).textContent();
    const first = await beat();
    await until("the row changes", async () => (await beat()) !== first);
    assert.equal(await page.evaluate(() => document.activeElement.mark), "the same");
    await page.getByRole("button", { name: "Live" }).click();
    assert.equal(await page.locator("#pause").textContent(), "Paused");
    isClean(page);
    await page.context().close();
  });

  test("a group of dead letters is retried", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/dead`);
    await page.getByRole("button", { name: /Retry all command that failed with exit_code/ }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Retry all" }).click();
    await page.getByText("7 tasks of default were retried.").waitFor();
    isClean(page);
    await page.context().close();
  });

  test("a draft is approved", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/reviews`);
    await page.getByRole("link", { name: "default/retry" }).click();
    await page.getByLabel("Note, for the record").first().fill("good enough");
    await page.getByRole("button", { name: "Approve the draft" }).click();
    await page.getByText("default/retry was approved").waitFor();
    assert.equal(await fleet.state("retry"), "completed");
    isClean(page);
    await page.context().close();
  });

  test("a task is cancelled", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/tasks/default/tomorrow`);
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the task" }).click();
    await page.getByText("default/tomorrow: cancelled.").waitFor();
    isClean(page);
    await page.context().close();
  });

  test("tasks are found by whose they are, and by a whole id in any state", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/tasks`);
    await page.keyboard.press("/");
    await page.keyboard.type("hello");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "default/hello" }).click();
    await page.getByRole("heading", { name: "Calls to models" }).waitFor();
    isClean(page);
    await page.context().close();
  });

  test("keys reach everything in a sensible order", async () => {
    const page = await open(browser, base);
    await page.goto(`${base}/nodes`);
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent.trim().slice(0, 60));
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await page.keyboard.press("Enter");
    const order = [];
    for (let n = 0; n < 40 && !order.at(-1)?.startsWith("Stop"); n++) {
      await page.keyboard.press("Tab");
      order.push(await focused());
      const seen = await page.evaluate(() => { const box = document.activeElement.getBoundingClientRect(); return box.width > 0 && box.height > 0; });
      assert.ok(seen, `focus is visible: ${order.at(-1)}`);
    }
    const place = (text) => order.findIndex((word) => word.startsWith(text));
    assert.ok(place("Filter") >= 0 && place("Filter") < place("Quiet") && place("Quiet") < place("Drain") && place("Drain") < place("Stop"), order.join(" | "));
    await page.keyboard.press("?");
    await page.getByRole("dialog", { name: "Keys" }).waitFor();
    await isAccessible(page, "help");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog", { name: "Keys" }).waitFor({ state: "hidden" });
    await page.keyboard.press("/");
    assert.equal(await page.evaluate(() => document.activeElement.name), "q");
    isClean(page);
    await page.context().close();
  });

  test("without JavaScript it works too: questions are pages", async () => {
    const page = await open(browser, base, { javaScriptEnabled: false });
    await page.goto(`${base}/queues`);
    await page.getByRole("button", { name: "Pause reports" }).click();
    await page.getByRole("heading", { name: "Pause reports?" }).waitFor();
    await shot(page, "question-page");
    await page.getByRole("button", { name: "Pause", exact: true }).click();
    await page.getByText("reports is paused.").waitFor();
    await page.getByRole("button", { name: "Resume reports" }).click();
    await page.getByText("reports goes on.").waitFor();
    await page.context().close();
  });

  test("the theme that is chosen stays", async () => {
    const page = await open(browser, base, { scheme: "light" });
    await page.goto(`${base}/queues`);
    const colour = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
    const light = await colour();
    await page.getByRole("button", { name: "Dark theme" }).click();
    const dark = await colour();
    assert.notEqual(light, dark);
    await page.goto(`${base}/nodes`);
    assert.equal(await colour(), dark);
    isClean(page);
    await page.context().close();
  });

  test("one logs in with a token, sees what one may, and logs out", async () => {
    const make = async (name, roles) => (await fleet.windlass("tokens", "generate", name, "--roles", roles, "--append", "tokens.toml")).trim();
    const eye = await make("eye", "read"), ann = await make("ann", "operate");
    fleet.file("serve.toml", '[serve]\ntokens_file = "tokens.toml"\n');
    const { url } = await fleet.serve("--config", "serve.toml");
    const page = await open(browser, url);
    await page.goto(`${url}/queues`);
    assert.match(page.url(), /\/login\?next=%2Fqueues$/);
    await isAccessible(page, "log in");
    await shot(page, "login");
    await page.getByLabel("Token").fill("wlt_wrong");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("This token is not known here").waitFor();
    await shot(page, "login-wrong");
    await page.getByLabel("Token").fill(eye);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Queues" }).waitFor();
    assert.equal(await page.getByRole("button", { name: /Pause/ }).count(), 0, "who may look has nothing to press");
    assert.deepEqual(await page.evaluate(() => document.cookie), "", "no script sees the token");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("Token").fill(ann);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.goto(`${url}/queues`);
    await page.getByRole("button", { name: "Pause default" }).waitFor();
    isClean(page);
    await page.context().close();
  });
});
