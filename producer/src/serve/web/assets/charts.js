// Small charts of the last minutes: lines, or areas that stand on one another. What is drawn is also told as text.
"use strict";
const Charts = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const HIGH = 132, LEFT = 44, BOTTOM = 18, TOP = 8, RIGHT = 6;
  const SPANS = [60e3, 300e3, 900e3];
  const GAP = 5000;

  const make = (name, parent, attributes) => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return parent.appendChild(element);
  };

  // The next round number above: the top of the scale.
  const round = (n) => {
    const unit = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 2.5, 5, 10].map((step) => step * unit).find((step) => step >= n);
  };

  const clock = (t) => new Date(t).toISOString().slice(11, 19);

  // `series`: { name, kind, of: point => number }, the lowest area first. `tell`: number => text.
  function chart(figure, { series, tell, stacked = false, least = 1 }) {
    const svg = make("svg", figure, { role: "img", height: HIGH });
    const grid = make("g", svg, { class: "grid" });
    const lines = [1, 0.5, 0].map(() => make("line", grid, {}));
    const labels = [1, 0.5, 0].map(() => make("text", grid, { x: LEFT - 6, "text-anchor": "end" }));
    const ends = ["start", "end"].map((anchor) => make("text", grid, { y: HIGH - 4, "text-anchor": anchor }));
    const paths = series.map((one) => make("path", svg, { class: (stacked ? "area " : "line ") + one.kind }));
    const cross = make("line", svg, { class: "cross", y1: TOP, y2: HIGH - BOTTOM, visibility: "hidden" });
    const output = figure.querySelector("output");
    let points = [], pointed = null, scale = null;

    const words = (point) => series.map((one) => `${series.length > 1 ? one.name + " " : ""}${tell(one.of(point))}`).reverse().join(" · ");

    function say() {
      const point = pointed ?? points.at(-1);
      if (!point) return;
      output.replaceChildren();
      if (pointed) output.append(clock(point.t) + "  ");
      for (const one of [...series].reverse()) {
        const entry = document.createElement("span"), dot = document.createElement("i");
        dot.className = one.kind;
        entry.append(dot, `${series.length > 1 ? one.name + " " : ""}${tell(one.of(point))}`);
        output.append(entry, " ");
      }
      cross.setAttribute("visibility", pointed ? "visible" : "hidden");
      if (pointed && scale) for (const end of ["x1", "x2"]) cross.setAttribute(end, scale.x(point.t));
    }

    function draw(all) {
      points = all;
      const wide = svg.parentNode.clientWidth - 24;
      if (!points.length || wide < 80) return;
      const last = points.at(-1).t;
      const span = SPANS.find((span) => last - points[0].t <= span) ?? SPANS.at(-1);
      const shown = points.filter((point) => point.t >= last - span);
      const sum = (point) => (stacked ? series.reduce((sum, one) => sum + one.of(point), 0) : Math.max(...series.map((one) => one.of(point))));
      const top = round(Math.max(least, ...shown.map(sum)));
      const x = (t) => LEFT + (1 - (last - t) / span) * (wide - LEFT - RIGHT);
      const y = (n) => TOP + (1 - n / top) * (HIGH - TOP - BOTTOM);
      scale = { x };
      svg.setAttribute("width", wide);
      svg.setAttribute("viewBox", `0 0 ${wide} ${HIGH}`);
      [1, 0.5, 0].forEach((part, index) => {
        const at = Math.round(y(top * part)) + 0.5;
        for (const [key, value] of [["x1", LEFT], ["x2", wide - RIGHT], ["y1", at], ["y2", at]]) lines[index].setAttribute(key, value);
        labels[index].setAttribute("y", at + 4);
        labels[index].textContent = tell(top * part);
      });
      ends[0].setAttribute("x", LEFT);
      ends[0].textContent = `${span / 60e3} min ago`;
      ends[1].setAttribute("x", wide - RIGHT);
      ends[1].textContent = "now";
      const base = shown.map(() => 0);
      series.forEach((one, index) => {
        let runs = [], run = null;
        shown.forEach((point, place) => {
          const from = base[place], to = (stacked ? from : 0) + one.of(point);
          if (!run || point.t - run.at(-1)[0] > GAP) runs.push((run = []));
          run.push([point.t, to, from]);
          if (stacked) base[place] = to;
        });
        const way = (run, which) => run.map((p) => `${x(p[0]).toFixed(1)},${y(p[which]).toFixed(1)}`).join("L");
        paths[index].setAttribute("d", runs.map((run) => (stacked ? `M${way(run, 1)}L${way([...run].reverse(), 2)}Z` : `M${way(run, 1)}`)).join(""));
      });
      const heights = shown.map(sum);
      const title = figure.querySelector("h2").textContent;
      svg.setAttribute("aria-label", `${title}, last ${span / 60e3} minutes. Now: ${words(points.at(-1))}. Lowest ${tell(Math.min(...heights))}, highest ${tell(Math.max(...heights))}.`);
      say();
    }

    svg.addEventListener("pointermove", (event) => {
      if (!scale || !points.length) return;
      const at = event.clientX - svg.getBoundingClientRect().left;
      pointed = points.reduce((best, point) => (Math.abs(scale.x(point.t) - at) < Math.abs(scale.x(best.t) - at) ? point : best));
      say();
    });
    svg.addEventListener("pointerleave", () => { pointed = null; say(); });
    return draw;
  }

  return { chart };
})();
