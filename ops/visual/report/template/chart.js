// A chart of lines over epochs: axes, a legend, and the values under the pointer.

const COLOURS = ["#2f7ed8", "#d95f02", "#2ca05a", "#b455c4", "#c9a400", "#17a2b8", "#e0457b", "#7f7f7f"];
const STYLES = {
  thin: { "stroke-width": 1, opacity: 0.3 },
  plain: { "stroke-width": 1.2 },
  dashed: { "stroke-width": 1.6, "stroke-dasharray": "5 4" },
  thick: { "stroke-width": 2.2 },
};
const HEIGHT = 290;
const MARGIN = { left: 54, right: 14, top: 10, bottom: 34 };

function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const html = (tag, className, ...children) => {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
};

function floats(text) {
  return new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
}

/** Round numbers from low to high, about `count` of them. */
function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= rough * 0.999);
  const found = [];
  for (let value = Math.ceil(low / step - 1e-9) * step; value <= high + step * 1e-9; value += step) found.push(Number(value.toPrecision(12)));
  return found;
}

function powers(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const factor of high / low > 100 ? [1] : [1, 2, 5]) found.push(Number((factor * 10 ** power).toPrecision(6)));
  }
  return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

/** Of sorted values the index of the one that is nearest. */
function nearest(values, wanted) {
  let [low, high] = [0, values.length - 1];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle;
    else high = middle;
  }
  return wanted - values[low] < values[high] - wanted ? low : high;
}

class Chart {
  constructor({ title, unit, logarithmic, lines }, runs) {
    Object.assign(this, { title, unit, logarithmic, runs });
    this.lines = lines.map((line) => ({ ...line, x: floats(line.x), y: floats(line.y) }));
    this.hidden = new Set();
    this.picture = svg("svg", { height: HEIGHT, role: "img", "aria-label": title });
    this.values = html("div", "values");
    this.values.hidden = true;
    this.place = html("section", "", html("h2", "", unit ? `${title} (${unit})` : title), html("div", "chart", this.picture, this.values), this.legend());
    this.picture.addEventListener("pointermove", (event) => this.point(event));
    this.picture.addEventListener("pointerleave", () => this.point(null));
    new ResizeObserver(() => this.draw()).observe(this.picture);
  }

  legend() {
    const styles = new Map(this.lines.map((line) => [line.name, line.style]));
    const entries = Array.from(styles, ([name, style]) => {
      const sample = svg("svg", { viewBox: "0 0 26 8" }, svg("path", { d: "M0 4H26", stroke: "currentColor", ...STYLES[style] }));
      return html("span", "", sample, name);
    });
    return html("div", "legend small soft", ...entries);
  }

  colour(line) {
    return COLOURS[line.run % COLOURS.length];
  }

  get shown() {
    return this.lines.filter((line) => !this.hidden.has(line.run));
  }

  /** The range of the values; single spikes of the thin lines do not count. */
  range() {
    let [low, high] = [Infinity, -Infinity];
    for (const { y, style } of this.shown) {
      const sorted = Float32Array.from(y).sort();
      const cut = style === "thin" && sorted.length > 100 ? Math.floor(sorted.length * 0.005) : 0;
      low = Math.min(low, sorted[cut]);
      high = Math.max(high, sorted[sorted.length - 1 - cut]);
    }
    if (low > high) return [0, 1];
    if (this.isLogarithmic(low)) return [low / 1.1, high * 1.1];
    if (low > 0 && low < 0.5 * high) low = 0;
    const room = (high - low || Math.abs(high) || 1) * 0.04;
    return [low === 0 ? 0 : low - room, high + room];
  }

  isLogarithmic(low) {
    return this.logarithmic && low > 0;
  }

  draw() {
    this.width = this.picture.clientWidth;
    if (this.width === 0) return;
    const [low, high] = this.range();
    const last = Math.max(...this.shown.map(({ x }) => x[x.length - 1]), 1e-9);
    const first = Math.min(...this.shown.map(({ x }) => x[0]), 0);
    const [wide, tall] = [this.width - MARGIN.left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
    const scaled = this.isLogarithmic(low) ? (value) => Math.log(value / low) / Math.log(high / low) : (value) => (value - low) / (high - low);
    this.toX = (value) => MARGIN.left + (wide * (value - first)) / (last - first);
    this.fromX = (pixel) => first + ((pixel - MARGIN.left) / wide) * (last - first);
    const toY = (value) => MARGIN.top + tall * (1 - Math.min(Math.max(scaled(value), 0), 1));
    const parts = [];
    for (const value of this.isLogarithmic(low) ? powers(low, high) : ticks(low, high, 5)) {
      parts.push(svg("line", { class: "grid", x1: MARGIN.left, x2: this.width - MARGIN.right, y1: toY(value), y2: toY(value) }));
      parts.push(svg("text", { x: MARGIN.left - 7, y: toY(value) + 4, "text-anchor": "end" }, written(value)));
    }
    for (const value of ticks(first, last, 6)) parts.push(svg("text", { x: this.toX(value), y: HEIGHT - 17, "text-anchor": "middle" }, written(value)));
    parts.push(svg("text", { x: MARGIN.left + wide / 2, y: HEIGHT - 2, "text-anchor": "middle" }, "epochs"));
    for (const line of this.shown) parts.push(...this.curve(line, toY));
    this.cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom, visibility: "hidden" });
    this.picture.replaceChildren(...parts, this.cursor);
  }

  curve(line, toY) {
    const points = Array.from(line.x, (x, i) => `${this.toX(x).toFixed(1)} ${toY(line.y[i]).toFixed(1)}`);
    const stroke = this.colour(line);
    const path = svg("path", { d: `M${points.join("L")}`, stroke, ...STYLES[line.style] });
    if (line.style === "thin" || points.length > 40) return [path];
    return [path, ...points.map((point) => svg("circle", { cx: point.split(" ")[0], cy: point.split(" ")[1], r: 2.4, fill: stroke }))];
  }

  /** Shows the values that are nearest to the pointer; none without an event. */
  point(event) {
    const lines = this.shown;
    this.values.hidden = event === null || lines.length === 0;
    this.cursor.setAttribute("visibility", this.values.hidden ? "hidden" : "visible");
    if (this.values.hidden) return;
    const box = this.picture.getBoundingClientRect();
    const epoch = this.fromX(event.clientX - box.left);
    const place = this.toX(Math.max(0, epoch));
    this.cursor.setAttribute("x1", place);
    this.cursor.setAttribute("x2", place);
    const rows = lines.map((line) => {
      const i = nearest(line.x, epoch);
      const key = html("i", "key");
      key.style.background = this.colour(line);
      const run = this.runs.length > 1 ? `${this.runs[line.run].split("/").at(-1)}, ` : "";
      return html("div", "", key, `${written(line.y[i])}${this.unit && ` ${this.unit}`}  ${run}${line.name}`);
    });
    this.values.replaceChildren(html("div", "soft", `epoch ${written(Math.max(0, epoch))}`), ...rows);
    const isLeft = place < this.width / 2;
    this.values.style.left = isLeft ? "auto" : `${MARGIN.left}px`;
    this.values.style.right = isLeft ? "8px" : "auto";
  }
}

function written(value) {
  if (value === 0) return "0";
  return Math.abs(value) < 1e-3 ? value.toExponential(1).replace(".0e", "e") : String(Number(value.toPrecision(4)));
}
