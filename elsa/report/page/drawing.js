"use strict";
// Scales, ticks and marks of a panel as SVG. `charts.js` makes them interactive.
const Drawing = (() => {
  const NAMESPACE = "http://www.w3.org/2000/svg";
  const DASHES = { dashed: "6 3", dotted: "2 3", dashdot: "9 3 2 3", sparse: "2 8", longdash: "14 4", dashdotdot: "9 3 2 3 2 3" };
  const SECOND = { solid: "9 3 2 3", dashed: "6 3 6 8", dotted: "2 3 2 8", dashdot: "9 3 2 8", sparse: "2 8 2 14", longdash: "14 4 14 12", dashdotdot: "9 3 2 3 2 9" }; // of runs 7 to 12
  const stroke = (series) => {
    const dashes = (series.second ? SECOND : DASHES)[series.dash];
    return dashes ? { "stroke-dasharray": dashes } : {};
  };

  function node(name, attributes = {}, text = null) {
    const made = document.createElementNS(NAMESPACE, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== null) made.textContent = text;
    return made;
  }

  // Dark greys are drawn in the page's own ink, which is light on a dark page.
  function ink(colour) {
    return parseInt(colour.slice(1, 3), 16) < 0x40 && /^#(..)\1\1$/.test(colour) ? "var(--ink)" : colour;
  }

  function number(value, digits = 6) {
    if (value === null) return "none";
    const size = Math.abs(value);
    if (size !== 0 && (size >= 1e6 || size < 1e-3)) return value.toExponential(digits - 2).replace(/\.?0+e/, "e");
    return String(Number(value.toPrecision(digits)));
  }

  // A scale from data to pixels; `at` is null for what a logarithm does not have.
  function scale(range, isLog, from, to) {
    const turn = isLog ? Math.log10 : (value) => value;
    const low = turn(range[0]), high = turn(range[1]);
    const at = (value) => {
      if (value === null || (isLog && value <= 0)) return null;
      return from + ((turn(value) - low) / (high - low || 1)) * (to - from);
    };
    return { at, isLog, range, from, to };
  }

  function ticks(range, isLog, count, isWhole = false) {
    const [low, high] = range;
    if (isLog) {
      const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
      const step = Math.max(1, Math.ceil((last - first + 1) / count));
      const found = [];
      if (last - first >= 1) {
        for (let power = first; power <= last; power += step) found.push(10 ** power);
        return found;
      }
      for (let power = first - 1; power <= last; power += 1)
        for (const part of [1, 2, 5]) found.push(part * 10 ** power);
      const inside = found.filter((value) => value >= low && value <= high);
      if (inside.length > 2) return inside;
    }
    const rough = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(rough));
    const steps = [10, 5, 2, 1, 0.5, 0.2].map((part) => part * power);
    const coarse = steps.filter((step) => step >= rough).pop(); // finer where it leaves one or two
    const usable = steps.filter((step) => step <= coarse && (!isWhole || (step >= 1 && Number.isInteger(step))));
    const all = (usable.length ? usable : [1]).map((step) => multiples(step, low, high));
    return all.find((found) => found.length > 2) ?? all.pop();
  }

  function multiples(step, low, high) {
    const found = [];
    for (let index = Math.ceil(low / step - 1e-9); index * step <= high + 1e-9 * step; index += 1) found.push(index * step);
    return found;
  }

  // A label in lines that a panel of this width has room for.
  function lines(text, width) {
    const most = Math.floor(width / 6.5), found = [""];
    for (const word of text.split(/\s+/)) {
      const last = found[found.length - 1];
      if (last && last.length + 1 + word.length > most) found.push(word);
      else found[found.length - 1] = last ? `${last} ${word}` : word;
    }
    return found;
  }

  function marker(shape, x, y, size, colour, isFilled) {
    const s = size, open = { fill: isFilled ? colour : "var(--paper)", stroke: colour, "stroke-width": 1.4 };
    const paths = {
      s: `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`,
      "^": `M${x} ${y - s}L${x + s} ${y + s}H${x - s}z`,
      v: `M${x} ${y + s}L${x + s} ${y - s}H${x - s}z`,
      D: `M${x} ${y - s * 1.2}L${x + s * 1.2} ${y}L${x} ${y + s * 1.2}L${x - s * 1.2} ${y}z`,
      P: `M${x - s} ${y}H${x + s}M${x} ${y - s}V${y + s}`,
      X: `M${x - s} ${y - s}L${x + s} ${y + s}M${x + s} ${y - s}L${x - s} ${y + s}`,
    };
    Object.assign(paths, { "+": paths.P, x: paths.X, "*": paths.X });
    if (paths[shape]) return node("path", { ...open, d: paths[shape] });
    return node("circle", { ...open, cx: x, cy: y, r: s });
  }

  // As on paper: as large, and filled where it is there or where its run is of the second six.
  const mark = (series, x, y, colour) => marker(series.marker, x, y, Math.min(5, Math.max(2, series.size ?? 3.5)), colour, series.second || series.filled);

  // Where a series lies in pixels: [x, y, index], null for gaps and what is off a logarithm.
  function places(series, x, y) {
    const share = (axis, value, from, to) => (series.fraction.includes(axis) ? from + value * (to - from) : null);
    return series.x.map((value, index) => {
      const other = series.y[index];
      if (value === null || other === null) return null;
      const across = share("x", value, x.from, x.to) ?? x.at(value);
      const up = share("y", other, y.from, y.to) ?? y.at(other);
      return across === null || up === null ? null : [across, up, index];
    });
  }

  function path(points, close = false) {
    let text = "", pen = "M";
    for (const point of points) {
      if (point === null) { pen = "M"; continue; }
      text += `${pen}${point[0].toFixed(2)} ${point[1].toFixed(2)}`;
      pen = "L";
    }
    return text + (close && text ? "z" : "");
  }

  function curve(series, x, y) {
    const group = node("g"), colour = ink(series.colour), points = places(series, x, y);
    if (series.band) {
      group.append(node("path", { d: path(points, true), fill: colour, "fill-opacity": 0.2, stroke: "none" }));
      return group;
    }
    if (series.dash !== "none") {
      const width = Math.max(1.2, series.width * 1.6);
      group.append(node("path", { d: path(points), fill: "none", stroke: colour, "stroke-width": width, ...stroke(series) }));
    }
    const [first, every] = series.every;
    const isMarked = (index) => series.marked?.includes(index) ?? (index >= first && (index - first) % every === 0);
    for (const point of points) {
      if (point === null) continue;
      const [across, up, index] = point;
      if (series.low && series.low[index] !== null && series.high[index] !== null) {
        const low = y.at(series.low[index]) ?? y.from, high = y.at(series.high[index]) ?? y.from;
        group.append(node("path", { d: `M${across} ${low}V${high}M${across - 3} ${low}h6M${across - 3} ${high}h6`, stroke: colour, fill: "none" }));
      }
      if (series.marker && isMarked(index))
        group.append(mark(series, across, up, colour));
    }
    return group;
  }

  // The sample of a legend.
  function sample(series) {
    const svg = node("svg", { viewBox: "0 0 30 12", "aria-hidden": "true", focusable: "false" });
    const colour = ink(series.colour);
    if (series.band) svg.append(node("rect", { x: 2, y: 1, width: 26, height: 10, fill: colour, "fill-opacity": 0.3 }));
    else if (series.dash !== "none") {
      svg.append(node("path", { d: "M1 6H29", stroke: colour, "stroke-width": 2, fill: "none", ...stroke(series) }));
    }
    if (series.marker) svg.append(mark(series, 15, 6, colour));
    return svg;
  }

  // Whether all places along an axis are whole numbers, as steps and layers are.
  const isWhole = (panel, side) => panel.series.every((one) => one.fraction.includes(side) || one[side].every((value) => value === null || Number.isInteger(value)));

  // Texts beside each other never touch: two numbers would read as one. Of numbers every second,
  // third and so on stays, with 0 if it is there, of names each that has room, and all of them inside of the picture.
  function spread(texts, isEven, width) {
    const boxes = texts.map((made) => {
      const half = (made.getComputedTextLength() || 7 * made.textContent.length) / 2;
      const at = Math.min(Number(made.getAttribute("x")), width - half - 1);
      made.setAttribute("x", at);
      return { made, from: at - half - 3, to: at + half + 3 };
    }).sort((a, b) => a.from - b.from);
    const fit = (some) => some.every((box, index) => index === 0 || box.from >= some[index - 1].to);
    let kept = [];
    if (isEven) {
      let step = 1;
      const zero = Math.max(0, boxes.findIndex(({ made }) => made.textContent === "0")); // stays
      do kept = boxes.filter((_, index) => (index - zero) % step === 0); while (!fit(kept) && (step += 1));
    } else for (const box of boxes) if (fit([...kept.slice(-1), box])) kept.push(box);
    for (const { made } of boxes.filter((box) => !kept.includes(box))) made.remove();
  }

  function axes(svg, panel, x, y, size) {
    const side = (axis, along, count) =>
      panel[axis].ticks
        ? panel[axis].ticks.map(([place, text]) => [along.at(place), text])
        : ticks(along.range, along.isLog, count, isWhole(panel, axis)).map((value) => [along.at(value), number(value, 4)]);
    const names = side("x", x, Math.max(3, Math.floor((x.to - x.from) / 80))).filter(([at]) => at !== null && at >= x.from - 1 && at <= x.to + 1);
    const slanted = panel.x.ticks !== null && names.some(([, text]) => text.length > 8);
    for (const [at] of names) svg.append(node("path", { class: "grid", d: `M${at} ${y.to}V${y.from}` }));
    const texts = names.map(([at, text]) => {
      const turned = slanted ? { transform: `rotate(-25 ${at} ${y.from + 14})`, "text-anchor": "end" } : { "text-anchor": "middle" };
      const made = node("text", { x: at, y: y.from + 16, ...turned }, text);
      svg.append(made);
      return made;
    });
    if (!slanted) spread(texts, panel.x.ticks === null, size.width);
    for (const [at, text] of side("y", y, 5)) {
      if (at === null || at > y.from + 1 || at < y.to - 1) continue;
      svg.append(node("path", { class: "grid", d: `M${x.from} ${at}H${x.to}` }));
      const rows = text.split("\n"); // of a long name
      rows.forEach((row, index) => svg.append(node("text", { x: x.from - 6, y: at + 4 + 14 * (index - (rows.length - 1) / 2), "text-anchor": "end" }, row.trim())));
    }
    svg.append(node("path", { class: "frame", d: `M${x.from} ${y.to}V${y.from}H${x.to}` }));
    const label = lines(panel.x.label, size.width);
    const half = 3.25 * Math.max(...label.map((line) => line.length)); // kept inside of the picture
    const middle = Math.max(half, Math.min((x.from + x.to) / 2, size.width - half));
    label.forEach((line, index) => svg.append(node("text", { x: middle, y: size.height - 6 - 14 * (label.length - 1 - index), "text-anchor": "middle", class: "label" }, line)));
    lines(panel.y.label, size.width).forEach((line, index) => svg.append(node("text", { x: 4, y: 14 + 14 * index }, line)));
  }

  return { node, number, scale, places, curve, sample, axes, lines };
})();
