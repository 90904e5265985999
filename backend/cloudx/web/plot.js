// Small plots in SVG. Each says in words what it draws.

import { h, set } from "./dom.js";

const WIDTH = 100;

/** A line of the last values, from 0 to `most`. `.draw(values, words)` redraws it. */
export function sparkline({ height = 28, most = 100, className = "spark" } = {}) {
  const line = h("polyline", { fill: "none", "vector-effect": "non-scaling-stroke" });
  const area = h("path", { class: "area" });
  const svg = h("svg", {
    class: className, viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": "no data",
  }, area, line);
  svg.draw = (values, words) => {
    const top = Math.max(most, ...values, 1e-9);
    const step = WIDTH / Math.max(1, values.length - 1);
    const points = values.map((value, place) =>
      `${(place * step).toFixed(1)},${(height - 1 - (value / top) * (height - 2)).toFixed(1)}`);
    if (points.length === 1) points.push(`${WIDTH},${points[0].split(",")[1]}`);
    set(line, { points: points.join(" ") });
    set(area, { d: points.length ? `M0,${height} L${points.join(" L")} L${WIDTH},${height} Z` : "" });
    set(svg, { "aria-label": words });
  };
  return svg;
}

/** A bar of parts: [{name, value, of, className}]. `.draw(parts, words)` redraws it. */
export function stackedBar() {
  const bar = h("div", { class: "stack", role: "img", "aria-label": "no data" });
  const drawn = new Map();
  bar.draw = (parts, words) => {
    for (const { className, share } of parts) {
      if (!drawn.has(className)) {
        drawn.set(className, h("span", { class: className }));
        bar.append(drawn.get(className));
      }
      set(drawn.get(className), { style: { "inline-size": `${Math.max(0, Math.min(100, share * 100)).toFixed(2)}%` } });
    }
    set(bar, { "aria-label": words });
  };
  return bar;
}
