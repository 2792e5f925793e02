"use strict";
// Interactive figures of the page: hover, keys, logarithmic axes, curves that can be hidden.
(() => {
  const { node, number, scale, places, curve, sample, axes, lines } = Drawing;
  const data = JSON.parse(document.getElementById("numbers-of-figures").textContent);

  function element(name, attributes = {}, text = null) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    return made;
  }

  // What is behind each button: curves by name, and on a page of several runs by run.
  const keys = (series) => [`name:${series.name}`, ...(series.run ? [`run:${series.run}`] : [])];

  class Panel {
    constructor(panel, figure) {
      Object.assign(this, { panel, figure, at: null });
      this.box = element("div", { class: "panel" });
      if (panel.title) this.box.append(element("h4", {}, panel.title));
      const what = `${panel.title ? `${panel.title}: ` : ""}${panel.y.label} against ${panel.x.label}`;
      this.svg = node("svg", { tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": `${what}. Left and right arrow keys go along a curve, up and down to another one.` });
      this.tip = element("div", { class: "tip", hidden: "" });
      this.box.append(this.svg, this.tip);
      for (const note of panel.notes) this.box.append(element("p", { class: "note" }, note));
      this.unplaced = element("p", { class: "note", hidden: "" });
      this.box.append(this.unplaced);
      this.svg.addEventListener("pointermove", (event) => this.hover(event));
      this.svg.addEventListener("pointerleave", () => this.show(null));
      this.svg.addEventListener("blur", () => this.show(null));
      this.svg.addEventListener("keydown", (event) => this.key(event));
    }

    seen() {
      return this.panel.series.filter((series) => !keys(series).some((key) => this.figure.hidden.has(key)));
    }

    isLog(side) {
      const own = this.panel[side].scale === "log";
      return own || this.mayBeLog(side) ? this.figure.log[side] ?? own : false;
    }

    values(side, curves = this.panel.series) {
      return curves.filter((one) => !one.fraction.includes(side)).flatMap((one) => one[side]);
    }

    // Names along an axis have places, no sizes.
    mayBeLog(side) {
      return !this.panel[side].named && this.values(side).some((value) => value > 0);
    }

    // What a logarithmic axis has no place for, of curves that are shown, where paper has a linear one.
    lost() {
      const sides = ["x", "y"].filter((side) => this.isLog(side) && this.panel[side].scale !== "log");
      const count = sides.flatMap((side) => this.values(side, this.seen())).filter((value) => value !== null && value <= 0).length;
      return count ? `Not shown, as they are not above 0: ${count} ${count > 1 ? "points" : "point"}.` : "";
    }

    // As drawn on paper; where the scale is changed, what the numbers span.
    range(side) {
      const own = this.panel[side], isLog = this.isLog(side);
      if (isLog === (own.scale === "log")) return own.range;
      const usable = this.values(side).filter((value) => value !== null && (!isLog || value > 0));
      if (!usable.length) return isLog ? [1, 10] : own.range;
      const low = usable.reduce((a, b) => Math.min(a, b)), high = usable.reduce((a, b) => Math.max(a, b));
      if (isLog) return [low / 1.15, high * 1.15];
      const room = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
      return [low - room, high + room];
    }

    draw() {
      const width = Math.max(240, this.box.clientWidth), slanted = this.panel.x.ticks?.some(([, text]) => text.length > 8);
      const more = 14 * (lines(this.panel.x.label, width).length - 1) + (slanted ? 50 : 0), above = 26 + 14 * (lines(this.panel.y.label, width).length - 1);
      const names = (this.panel.y.ticks ?? []).map(([, text]) => text.split("\n"));
      const most = Math.max(1, ...names.map((rows) => rows.length)); // lines of a long name
      const tall = most > 1 ? 72 + 14 * most * (names.length + 0.4) : 0;
      const height = Math.round(Math.max(tall, Math.min(420, Math.max(230, width * 0.6)))) + more + above - 26;
      this.size = { width, height };
      const longest = Math.max(0, ...names.flat().map((row) => row.trim().length));
      const left = Math.min(Math.max(64, 7 * longest + 10), width / 2); // names of rows as a whole
      this.x = scale(this.range("x"), this.isLog("x"), left, width - 12);
      this.y = scale(this.range("y"), this.isLog("y"), height - 46 - more, above);
      this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      this.unplaced.textContent = this.lost();
      this.unplaced.hidden = !this.unplaced.textContent;
      this.svg.replaceChildren();
      const id = `clip-${this.figure.id}-${this.figure.panels.indexOf(this)}`, clip = node("clipPath", { id });
      clip.append(node("rect", { x: this.x.from - 5, y: this.y.to - 5, width: this.x.to - this.x.from + 10, height: this.y.from - this.y.to + 10 }));
      this.svg.append(clip);
      axes(this.svg, this.panel, this.x, this.y, this.size);
      const curves = node("g", { "clip-path": `url(#${id})`, class: "curves" });
      for (const series of this.seen()) curves.append(curve(series, this.x, this.y));
      this.svg.append(curves);
      this.show(null);
    }

    // The points that can be pointed at, curve by curve.
    points() {
      return this.seen().filter((series) => series.name && !series.band).map((series) => ({
        series,
        points: places(series, this.x, this.y).filter((p) => p && p[0] >= this.x.from - 5 && p[0] <= this.x.to + 5 && p[1] >= this.y.to - 5 && p[1] <= this.y.from + 5),
      })).filter((one) => one.points.length);
    }

    hover(event) {
      const frame = this.svg.getBoundingClientRect(), unit = this.size.width / frame.width;
      const x = (event.clientX - frame.left) * unit, y = (event.clientY - frame.top) * unit;
      let best = null, nearest = 40 ** 2;
      this.points().forEach(({ points }, line) => points.forEach((point, place) => {
        const away = (point[0] - x) ** 2 + (point[1] - y) ** 2;
        if (away < nearest) [nearest, best] = [away, [line, place]];
      }));
      this.show(best);
    }

    key(event) {
      const moves = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [-1, 0], ArrowDown: [1, 0], Home: [0, -Infinity], End: [0, Infinity] };
      if (event.key === "Escape") return this.show(null);
      const move = moves[event.key], lines = this.points();
      if (!move || !lines.length) return undefined;
      event.preventDefault();
      if (this.at === null) return this.show([0, 0], true);
      const line = (this.at[0] + move[0] + lines.length) % lines.length;
      const place = Math.min(Math.max(this.at[1] + move[1], 0), lines[line].points.length - 1);
      return this.show([line, place], true);
    }

    show(at, isSaid = false) {
      this.at = at;
      this.svg.querySelector(".ring")?.remove();
      this.tip.hidden = at === null;
      if (at === null) return;
      const { series, points } = this.points()[at[0]], [x, y, index] = points[at[1]];
      this.svg.append(node("circle", { class: "ring", cx: x, cy: y, r: 7 }));
      const text = describe(series, index, this.panel);
      this.tip.textContent = text;
      const frame = this.svg.clientWidth / this.size.width || 1, left = x * frame, top = this.svg.offsetTop + y * frame;
      this.tip.style.left = `${Math.max(0, Math.min(left + 12, this.box.clientWidth - this.tip.offsetWidth))}px`;
      this.tip.style.top = `${Math.max(0, top - this.tip.offsetHeight - 12)}px`;
      if (isSaid) this.figure.said.textContent = text;
    }
  }

  function describe(series, index, panel) {
    const named = panel.x.ticks?.find(([place]) => place === series.x[index]);
    const x = series.fraction.includes("x") ? "" : `${panel.x.label || "x"} ${named ? named[1] : number(series.x[index])}, `;
    const y = series.fraction.includes("y") ? "beyond the axis" : number(series.y[index]);
    const error = series.low ? ` (${number(series.low[index])} to ${number(series.high[index])})` : "";
    return `${series.run ? `${series.run}, ` : ""}${series.name}: ${x}${panel.y.label || "y"} ${y}${error}`;
  }

  class Figure {
    constructor(place, chart, id) {
      Object.assign(this, { chart, id, hidden: new Set() });
      this.log = { x: null, y: null }; // null: as on paper, where panels may differ
      this.said = element("p", { class: "unseen", "aria-live": "polite" });
      this.panels = chart.panels.map((panel) => new Panel(panel, this));
      const panels = element("div", { class: "panels" });
      panels.append(...this.panels.map((panel) => panel.box));
      place.append(this.scales(), this.legend(), panels, this.said);
      for (const note of chart.notes) place.append(element("p", { class: "note" }, note));
      place.append(this.table());
      new ResizeObserver(() => this.draw()).observe(panels);
      this.draw();
    }

    draw() { for (const panel of this.panels) panel.draw(); }

    scales() {
      const tools = element("div", { class: "tools" });
      for (const side of ["x", "y"]) {
        const label = element("label"), box = element("input", { type: "checkbox", name: `log-${side}` });
        box.checked = this.chart.panels.every((panel) => panel[side].scale === "log");
        box.disabled = !box.checked && !this.panels.some((panel) => panel.mayBeLog(side));
        box.addEventListener("change", () => { this.log[side] = box.checked; this.draw(); });
        label.append(box, `logarithmic ${side === "x" ? "horizontal" : "vertical"} axis`);
        tools.append(label);
      }
      return tools;
    }

    legend() {
      const tools = element("div", { class: "tools legend" }), made = new Set();
      for (const kind of ["run", "name"])
        for (const series of this.chart.panels.flatMap((panel) => panel.series)) {
          const key = keys(series).find((one) => one.startsWith(`${kind}:`));
          if (!key || !series[kind] || made.has(key)) continue; // guides have no name
          made.add(key);
          const button = element("button", { type: "button", "aria-pressed": "true" });
          // on a page of several runs a colour is a run, and a name is a stroke and a mark
          const look = kind === "run" ? { dash: "solid", marker: null, band: false } : series.run ? { colour: "#000000", second: false } : {};
          button.append(sample({ ...series, ...look }), series[kind]);
          button.addEventListener("click", () => {
            const isShown = this.hidden.delete(key);
            if (!isShown) this.hidden.add(key);
            button.setAttribute("aria-pressed", String(isShown));
            this.draw();
          });
          tools.append(button);
        }
      return tools;
    }

    // All numbers, made when they are first asked for.
    table() {
      const details = element("details"), body = element("tbody"), table = element("table"), box = element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "numbers of this figure" });
      const head = element("tr");
      for (const name of ["panel", "curve", "horizontal", "vertical", "from", "to"]) head.append(element("th", { scope: "col" }, name));
      const top = element("thead");
      top.append(head);
      table.append(top, body);
      box.append(table);
      details.append(element("summary", {}, "Numbers of this figure"), box);
      details.addEventListener("toggle", () => {
        if (body.rows.length) return;
        this.chart.panels.forEach((panel, index) => panel.series.filter((one) => one.name).forEach((one) => one.x.forEach((value, at) => {
          const row = element("tr"), bars = [one.low, one.high].map((ends) => (ends ? number(ends[at]) : ""));
          const cells = [panel.title || String(index + 1), one.run ? `${one.run}, ${one.name}` : one.name, number(value), number(one.y[at]), ...bars];
          for (const cell of cells) row.append(element("td", {}, cell));
          body.append(row);
        })));
      });
      return details;
    }
  }

  document.querySelectorAll("[data-chart]").forEach((place, id) => new Figure(place, data[place.dataset.chart], id));
})();
