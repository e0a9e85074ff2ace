// Charts as SVG.

/** An SVG element. */
export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const WIDTH = 480;
const EDGE = { left: 46, right: 12, top: 12, bottom: 34 };

/** About `count` round numbers between two. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((found) => found >= rough);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const found = [];
  for (let at = Math.ceil(low / step) * step; at <= high + step * 1e-9; at += step) found.push([at, at.toFixed(digits)]);
  return found;
}

/** A frame with axes; `x` and `y` give places. */
export function frame({ label, height = 260, low, high, bottom, top, across, up }) {
  const inner = { width: WIDTH - EDGE.left - EDGE.right, height: height - EDGE.top - EDGE.bottom };
  const x = (at) => EDGE.left + ((at - low) / (high - low)) * inner.width;
  const y = (at) => EDGE.top + (1 - (at - bottom) / (top - bottom)) * inner.height;
  const root = svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label });
  root.append(svg("path", { class: "axis", fill: "none", d: `M${EDGE.left} ${EDGE.top}V${y(bottom)}H${WIDTH - EDGE.right}` }));
  for (const [at, text] of ticks(low, high, 6)) {
    root.append(svg("text", { x: x(at), y: height - 18, "text-anchor": "middle" }, text));
  }
  for (const [at, text] of up ? ticks(bottom, top, 5) : []) {
    root.append(svg("text", { x: EDGE.left - 6, y: y(at) + 4, "text-anchor": "end" }, text));
  }
  root.append(svg("text", { x: EDGE.left + inner.width / 2, y: height - 2, "text-anchor": "middle" }, across));
  return { root, x, y };
}

/** A histogram with a mark. */
export function histogram({ label, low, high, bars, mark, across }) {
  const top = Math.max(...bars, 1) * 1.05;
  const { root, x, y } = frame({ label, low, high, bottom: 0, top, across });
  const width = (high - low) / bars.length;
  bars.forEach((count, bar) => {
    const left = x(low + bar * width);
    root.append(svg("rect", {
      class: "bar", x: left + 0.5, y: y(count), width: Math.max(x(low + (bar + 1) * width) - left - 1, 1), height: y(0) - y(count),
    }));
  });
  if (mark !== null) {
    const at = x(Math.min(Math.max(mark, low), high));
    root.append(svg("path", { class: "mark", d: `M${at} ${y(top)}V${y(0)}` }));
  }
  return root;
}
