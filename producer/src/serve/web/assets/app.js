// What a page can do besides being read: it stays fresh, asks before it acts, and is quick with keys. Without this file all of
// it works too, but for the freshness.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const thin = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, "\u202f");

  // Times and lengths, as the server says them.
  function length(ms) {
    const s = Math.floor(ms / 1000), two = (n) => String(n).padStart(2, "0");
    if (s < 1) return `${Math.floor(ms)}ms`;
    if (s < 60) return `${(ms / 1000).toFixed(1)}s`;
    if (s < 3600) return `${Math.floor(s / 60)}m ${two(s % 60)}s`;
    if (s < 86400) return `${Math.floor(s / 3600)}h ${two(Math.floor(s / 60) % 60)}m`;
    return `${Math.floor(s / 86400)}d ${Math.floor(s / 3600) % 24}h`;
  }
  function relative(s) {
    const n = Math.abs(s);
    if (n < 2) return "now";
    const text = n < 60 ? `${n}s` : n < 3600 ? `${Math.floor(n / 60)}m` : n < 86400 ? `${Math.floor(n / 3600)}h ${Math.floor(n / 60) % 60}m` : `${Math.floor(n / 86400)}d ${Math.floor(n / 3600) % 24}h`;
    return s < 0 ? `${text} ago` : `in ${text}`;
  }
  const tellTimes = () => document.querySelectorAll("time[datetime]").forEach((time) => {
    const text = relative(Math.round((Date.parse(time.dateTime) - Date.now()) / 1000));
    if (time.textContent !== text) time.textContent = text;
  });

  // Makes `old` like `fresh`, touching only what differs: so the focus, the place and what was opened stay.
  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) return old.replaceWith(fresh.cloneNode(true));
    if (old.nodeType !== Node.ELEMENT_NODE) { old.nodeValue = fresh.nodeValue; return; }
    const own = old.nodeName === "DETAILS" ? ["open"] : [];
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && !own.includes(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value && !own.includes(name)) old.setAttribute(name, value);
    if (["SELECT", "TEXTAREA", "INPUT"].includes(old.nodeName)) return;
    const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const same = child.id ? named.get(child.id) : null;
      if (same && same !== at) { old.insertBefore(same, at); morph(same, child); continue; }
      if (!at || (child.id && !same)) { old.insertBefore(child.cloneNode(true), at); continue; }
      const next = at.nextSibling;
      morph(at, child);
      at = next;
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  }

  // Freshness. It rests while nobody looks, while somebody decides, and when it is told to.
  let paused = false, waiting = null;
  const live = $("#live"), button = $("#pause");
  const every = () => Number(live?.dataset.refresh || 0);
  async function refresh() {
    const url = new URL(location.href);
    for (const name of ["did", "mark"]) url.searchParams.delete(name);
    url.searchParams.set("part", "1");
    try {
      const answer = await fetch(url, { credentials: "same-origin", redirect: "error" });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(`the server answers ${answer.status}`);
      const fresh = document.createElement("template");
      fresh.innerHTML = await answer.text();
      if (paused) return;
      for (const part of [...fresh.content.children]) { const old = part.id.startsWith("live") && document.getElementById(part.id); if (old) morph(old, part); }
      tellTimes();
      tell("Live");
    } catch { tell("Not reached"); }
  }
  function tell(text) {
    if (!button) return;
    const word = paused ? "Paused" : text;
    if (button.textContent !== word) button.textContent = word;
    button.classList.toggle("off", word !== "Live");
  }
  function schedule() {
    clearTimeout(waiting);
    if (!every() || paused) return;
    waiting = setTimeout(async () => {
      if (!document.hidden && !$("dialog[open]")) await refresh();
      schedule();
    }, every());
  }
  function pause() {
    paused = !paused;
    button.setAttribute("aria-pressed", String(paused));
    tell("Live");
    if (!paused) refresh();
    schedule();
  }
  if (live && button && (every() || $("[data-chart]"))) {
    button.hidden = false;
    button.addEventListener("click", pause);
    schedule();
  }

  // Questions: the server asks them, and here they come as a dialog.
  const ask = $("#ask");
  document.addEventListener("submit", async (event) => {
    const form = event.target;
    if (form.closest("dialog") || !form.hasAttribute("data-confirm")) return;
    event.preventDefault();
    const by = event.submitter, action = by?.formAction && by.hasAttribute("formaction") ? by.formAction : form.action;
    const body = new URLSearchParams(new FormData(form, by));
    try {
      const answer = await fetch(action, { method: "POST", body, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const question = answer.ok && !answer.redirected && $("#ask-form", page);
      if (!question) {
        if (answer.redirected) return location.assign(answer.url);
        throw new Error($(".fault p:not(.code)", page)?.textContent ?? `the server answers ${answer.status}`);
      }
      ask.replaceChildren(document.importNode(question, true));
      ask.setAttribute("aria-label", $("h2", ask).textContent);
      $("[data-close]", ask).addEventListener("click", (event) => { event.preventDefault(); ask.close(); });
      const typed = $("[data-typed]", ask);
      if (typed) {
        const sure = $("button", ask), check = () => { sure.disabled = typed.value !== typed.dataset.typed; };
        typed.addEventListener("input", check);
        check();
      }
      ask.returnValue = "";
      ask.showModal();
      (typed ?? $("[data-close]", ask)).focus();
    } catch (error) {
      const told = document.createElement("p"), close = document.createElement("button"), row = document.createElement("form");
      told.textContent = `That did not work: ${error.message}`;
      close.textContent = "Close"; close.className = "btn"; row.method = "dialog"; row.className = "row end"; row.append(close);
      ask.replaceChildren(told, row);
      ask.setAttribute("aria-label", "That did not work");
      ask.showModal();
    }
    ask.addEventListener("close", () => by?.isConnected && by.focus(), { once: true });
  });

  // Keys.
  const help = $("#help"), keys = $("#keys");
  if (keys && help) { keys.hidden = false; keys.addEventListener("click", () => help.showModal()); }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
    const search = $("[data-search]");
    if (event.key === "/" && search) { event.preventDefault(); search.focus(); search.select(); }
    if (event.key === "?" && help) help.showModal();
    if (event.key === "p" && button && !button.hidden) pause();
  });

  // Light or dark.
  const theme = $("#theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  if (theme) {
    const now = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
    const label = () => { theme.textContent = now() === "dark" ? "Light" : "Dark"; theme.setAttribute("aria-label", `${theme.textContent} theme`); };
    theme.hidden = false;
    theme.addEventListener("click", () => {
      const next = now() === "dark" ? "light" : "dark";
      document.documentElement.dataset.theme = next;
      try { localStorage.setItem("windlass-theme", next); } catch { /* it lasts for this page */ }
      label();
    });
    dark.addEventListener("change", label);
    label();
  }

  // What was told once is not told again when the page is loaded anew.
  if (location.search.includes("did=")) {
    const url = new URL(location.href);
    for (const name of ["did", "mark"]) url.searchParams.delete(name);
    history.replaceState(null, "", url);
  }

  // The overview: a moment each second.
  function watch() {
    const percent = (p, name) => p.pending[name] ?? 0;
    const count = (n) => (n >= 10000 ? `${+(n / 1000).toPrecision(3)}k` : `${+n.toFixed(1)}`);
    const whole = (n) => (n >= 10000 ? count(n) : thin(n));
    const draws = {
      rate: { tell: count, stacked: true, series: [{ name: "other", kind: "bad", of: (p) => p.bad }, { name: "completed", kind: "good", of: (p) => p.good }] },
      pending: { tell: whole, stacked: true, series: ["low", "normal", "high", "critical"].map((name) => ({ name, kind: `p-${name}`, of: (p) => percent(p, name) })) },
      slots: { tell: whole, series: [{ name: "of", kind: "limit", of: (p) => p.slots }, { name: "used", kind: "main", of: (p) => p.used }] },
      oldest: { tell: length, least: 1000, series: [{ name: "oldest", kind: "main", of: (p) => p.oldest }] },
    };
    const charts = [...document.querySelectorAll("[data-chart]")].map((figure) => Charts.chart(figure, draws[figure.dataset.chart]));
    let points = [];
    const draw = () => charts.forEach((chart) => chart(points));
    const set = (name, text) => { const place = $(`[data-v="${name}"]`); if (place && place.textContent !== text) place.textContent = text; };
    const trouble = $("#trouble");
    // A browser has few connections for a server: a page that nobody sees gives its own back.
    let source = null;
    const listen = () => {
      source?.close();
      source = null;
      if (document.hidden) return;
      source = new EventSource("/live");
      source.addEventListener("past", (event) => { points = JSON.parse(event.data).points; draw(); });
      source.addEventListener("now", take);
      source.addEventListener("error", () => tell("Not reached"));
    };
    function take(event) {
      const told = JSON.parse(event.data);
      trouble.hidden = !told.trouble;
      trouble.textContent = told.trouble ? `What is shown is old: ${told.trouble}` : "";
      if (told.trouble || paused) return;
      const { point, now, seldom } = told;
      if (points.at(-1)?.t !== point.t) points.push(point);
      if (points.length > 900) points.shift();
      const sum = Object.values(now.pending).reduce((sum, n) => sum + n, 0);
      set("rate", count(point.good + point.bad)); set("done", thin(now.totals.completed ?? 0));
      set("pending", thin(sum)); set("scheduled", thin(now.scheduled));
      set("oldest", now.oldest_pending_ms == null ? "–" : length(now.oldest_pending_ms));
      set("running", thin(now.running)); set("used", thin(now.slots_used)); set("slots", thin(now.slots));
      set("failed", thin(now.failed)); $('[data-v="failed"]').classList.toggle("no", now.failed > 0);
      const cost = seldom.cost_usd ?? 0;
      set("cost", cost !== 0 && cost < 0.01 ? `$${cost.toFixed(5)}` : `$${cost.toFixed(2)}`); set("calls", thin(seldom.calls));
      draw();
      tell("Live");
    }
    listen();
    document.addEventListener("visibilitychange", listen);
    addEventListener("resize", draw);
    addEventListener("pagehide", () => source?.close());
  }
  if ($("[data-chart]")) watch();

  $("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
  tellTimes();
  setInterval(() => { if (!document.hidden && !paused) tellTimes(); }, 5000);
})();
