// The confusion matrix as it is drawn on a canvas: counts, order of classes, what is seen, and painting.

const NAME_SIZE = 11; // pixels of a letter's height
const LEVELS = 48; // shades
const EDGE = 8; // pixels to the right of the matrix and below it

class MatrixView {
  constructor(canvas) {
    this.canvas = canvas;
    this.size = data.classes.length;
    this.counts = new Uint32Array(this.size);
    for (const label of labels) this.counts[label]++;
    this.folder = 0;
    this.order = "label";
    this.selected = null; // [row, column] on the screen's order
    this.count();
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  /** Counts of the cells that are not empty, by true x size + predicted, and the order of rows and columns. */
  count() {
    this.cells = new Map();
    for (const video of videoNumbers) {
      const key = labels[video] * this.size + answer(this.folder, video);
      this.cells.set(key, (this.cells.get(key) ?? 0) + 1);
    }
    this.classes = this.ordered();
    this.places = new Uint32Array(this.size);
    this.classes.forEach((label, place) => (this.places[label] = place));
  }

  ordered() {
    const all = Array.from({ length: this.size }, (_, label) => label);
    const accuracy = (label) => (this.cells.get(label * this.size + label) ?? 0) / Math.max(this.counts[label], 1);
    if (this.order === "name") all.sort((a, b) => collator.compare(data.classes[a], data.classes[b]));
    if (this.order === "accuracy") all.sort((a, b) => accuracy(a) - accuracy(b) || a - b);
    return this.order === "confusion" ? this.bySimilarity(all) : all;
  }

  /** Joins the ends of chains of classes, the most confused pair first, until one chain is left. */
  bySimilarity(all) {
    const between = new Map();
    for (const [key, count] of this.cells) {
      const [a, b] = [Math.floor(key / this.size), key % this.size].sort((x, y) => x - y);
      if (a !== b) between.set(a * this.size + b, (between.get(a * this.size + b) ?? 0) + count);
    }
    const chain = new Map(all.map((label) => [label, [label]]));
    for (const [key] of [...between].sort(([, a], [, b]) => b - a)) {
      const [first, second] = [chain.get(Math.floor(key / this.size)), chain.get(key % this.size)];
      const isEnd = (part, label) => part[0] === label || part.at(-1) === label;
      if (first === second || !isEnd(first, Math.floor(key / this.size)) || !isEnd(second, key % this.size)) continue;
      if (first.at(-1) !== Math.floor(key / this.size)) first.reverse();
      if (second[0] !== key % this.size) second.reverse();
      const joined = first.concat(second);
      for (const label of joined) chain.set(label, joined);
    }
    return [...new Set(chain.values())].sort((a, b) => b.length - a.length).flat();
  }

  resize() {
    const width = this.canvas.parentElement.clientWidth;
    if (width === 0 || width === this.width) return;
    this.width = width;
    const longest = Math.max(...data.classes.map((name) => name.length));
    this.gutter = Math.round(Math.min(24 + 6.2 * longest, width * 0.24, 170));
    this.height = width;
    const ratio = devicePixelRatio || 1;
    [this.canvas.width, this.canvas.height] = [Math.round(width * ratio), Math.round(this.height * ratio)];
    this.canvas.style.height = `${this.height}px`;
    this.whole();
  }

  get inner() {
    return [this.width - this.gutter - EDGE, this.height - this.gutter - EDGE];
  }

  /** Side of a cell at which the whole matrix is seen. */
  get fit() {
    return Math.min(Math.min(...this.inner) / this.size, 90);
  }

  whole() {
    this.cell = this.fit;
    [this.left, this.top] = [0, 0];
    this.draw();
  }

  zoom(factor, x = this.gutter + this.inner[0] / 2, y = this.gutter + this.inner[1] / 2) {
    const cell = Math.min(Math.max(this.cell * factor, this.fit), 90);
    const real = cell / this.cell;
    this.left = (this.left + x - this.gutter) * real - (x - this.gutter);
    this.top = (this.top + y - this.gutter) * real - (y - this.gutter);
    this.cell = cell;
    this.draw();
  }

  move(x, y) {
    this.left += x;
    this.top += y;
    this.draw();
  }

  /** Row and column under a point of the canvas; null beside the matrix. */
  at(x, y) {
    const row = Math.floor((y - this.gutter + this.top) / this.cell);
    const column = Math.floor((x - this.gutter + this.left) / this.cell);
    const inside = x >= this.gutter && y >= this.gutter && row >= 0 && column >= 0 && row < this.size && column < this.size;
    return inside ? [row, column] : null;
  }

  draw() {
    if (this.pending || this.width === undefined) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = null;
      this.paint();
    });
  }

  paint() {
    const [wide, high] = this.inner;
    const most = this.size * this.cell;
    this.left = Math.max(0, Math.min(this.left, most - wide));
    this.top = Math.max(0, Math.min(this.top, most - high));
    this.canvas.style.touchAction = this.cell > this.fit * 1.001 ? "none" : "pan-y";
    const pen = this.canvas.getContext("2d");
    const ratio = this.canvas.width / this.width;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.fillStyle = colour("--paper");
    pen.fillRect(0, 0, this.width, this.height);
    pen.save();
    pen.beginPath();
    pen.rect(this.gutter, this.gutter, Math.min(wide, most), Math.min(high, most));
    pen.clip();
    pen.translate(this.gutter - this.left, this.gutter - this.top);
    this.paintGrid(pen, colour);
    this.paintCells(pen, colour);
    this.paintSelected(pen, colour);
    pen.restore();
    this.paintNames(pen, colour, true);
    this.paintNames(pen, colour, false);
  }

  /** First and last row or column that is seen, of an offset and a length in pixels. */
  seen(offset, length) {
    return [Math.max(0, Math.floor(offset / this.cell)), Math.min(this.size - 1, Math.floor((offset + length) / this.cell))];
  }

  paintGrid(pen, colour) {
    pen.fillStyle = colour("--raised");
    pen.fillRect(0, 0, this.size * this.cell, this.size * this.cell);
    if (this.cell < 6) return;
    pen.fillStyle = colour("--paper");
    const [columns, rows] = [this.seen(this.left, this.inner[0]), this.seen(this.top, this.inner[1])];
    for (let place = columns[0]; place <= columns[1]; place++) pen.fillRect(place * this.cell, this.top, 1, this.inner[1]);
    for (let place = rows[0]; place <= rows[1]; place++) pen.fillRect(this.left, place * this.cell, this.inner[0], 1);
  }

  paintCells(pen, colour) {
    const [columns, rows] = [this.seen(this.left, this.inner[0]), this.seen(this.top, this.inner[1])];
    const gap = this.cell < 6 ? 0 : 1;
    const isSmall = this.cell < 3; // then only what is frequent is large and dark enough to be seen
    const shades = new Map();
    for (const [key, count] of this.cells) {
      const [label, predicted] = [Math.floor(key / this.size), key % this.size];
      const [row, column] = [this.places[label], this.places[predicted]];
      if (row < rows[0] || row > rows[1] || column < columns[0] || column > columns[1]) continue;
      const share = count / this.counts[label];
      const level = Math.max(1, Math.ceil(LEVELS * Math.sqrt(share)));
      const shade = `${label === predicted ? "--right" : "--wrong"} ${level}`;
      if (!shades.has(shade)) shades.set(shade, []);
      shades.get(shade).push([row, column, count, share]);
    }
    const strength = (shade) => Number(shade.split(" ")[1]);
    for (const [shade, cells] of [...shades].sort(([a], [b]) => strength(a) - strength(b))) {
      const [name, level] = [shade.split(" ")[0], strength(shade)];
      pen.fillStyle = colour(name);
      const part = level / LEVELS;
      const side = Math.max(this.cell - gap, isSmall && part < 0.3 ? 1 : 2);
      pen.globalAlpha = isSmall ? 0.05 + 0.95 * part ** 2 : 0.08 + 0.92 * part;
      for (const [row, column] of cells) pen.fillRect(column * this.cell + gap, row * this.cell + gap, side, side);
      pen.globalAlpha = 1;
      if (this.cell < 26) continue;
      pen.fillStyle = colour(level > 0.6 * LEVELS ? "--paper" : "--ink");
      pen.font = `${NAME_SIZE}px system-ui, sans-serif`;
      [pen.textAlign, pen.textBaseline] = ["center", "middle"];
      for (const [row, column, count, share] of cells) {
        const middle = [(column + 0.5) * this.cell, (row + 0.5) * this.cell];
        pen.fillText(count, middle[0], middle[1] - (this.cell < 44 ? 0 : 7), side);
        if (this.cell >= 44) pen.fillText(percent(share), middle[0], middle[1] + 8, side);
      }
    }
  }

  paintSelected(pen, colour) {
    if (this.selected === null) return;
    const [row, column] = this.selected;
    pen.fillStyle = colour("--ink");
    pen.globalAlpha = 0.09;
    pen.fillRect(this.left, row * this.cell, this.inner[0], this.cell);
    pen.fillRect(column * this.cell, this.top, this.cell, this.inner[1]);
    pen.globalAlpha = 1;
    pen.strokeStyle = colour("--ink");
    pen.lineWidth = 1.5;
    const side = Math.max(this.cell, 5);
    pen.strokeRect((column + 0.5) * this.cell - side / 2, (row + 0.5) * this.cell - side / 2, side, side);
  }

  /** Names of the rows, or of the columns, upright; as many as there is room for. */
  paintNames(pen, colour, ofRows) {
    const [offset, length] = ofRows ? [this.top, this.inner[1]] : [this.left, this.inner[0]];
    const every = Math.ceil((NAME_SIZE + 2) / this.cell);
    const [first, last] = this.seen(offset, length);
    const chosen = this.selected === null ? -1 : this.selected[ofRows ? 0 : 1];
    pen.save();
    pen.font = `${NAME_SIZE}px system-ui, sans-serif`;
    pen.textBaseline = "middle";
    pen.textAlign = ofRows ? "right" : "left";
    const write = (place) => {
      const middle = this.gutter + (place + 0.5) * this.cell - offset;
      if (middle < this.gutter || middle > this.gutter + length) return;
      pen.fillStyle = colour(place === chosen ? "--ink" : "--soft");
      const name = shortened(pen, data.classes[this.classes[place]], this.gutter - 14);
      pen.save();
      if (ofRows) pen.translate(this.gutter - 6, middle);
      else {
        pen.translate(middle, this.gutter - 6);
        pen.rotate(-Math.PI / 2);
      }
      pen.fillText(name, 0, 0);
      pen.restore();
    };
    const clear = chosen >= 0 ? Math.ceil((NAME_SIZE + 1) / this.cell) : 0; // room for the name of the chosen one
    for (let place = first - (first % every); place <= last; place += every) {
      if (chosen < 0 || Math.abs(place - chosen) >= clear || place === chosen) write(place);
    }
    if (chosen >= first && chosen <= last) write(chosen);
    pen.restore();
  }
}

/** A text without its middle where it is too wide: long class names differ at both ends. */
function shortened(pen, text, width) {
  if (pen.measureText(text).width <= width) return text;
  const cut = (kept) => `${text.slice(0, Math.ceil(kept * 0.6)).trimEnd()}…${text.slice(text.length - Math.floor(kept * 0.4)).trimStart()}`;
  let kept = text.length - 1;
  while (kept > 2 && pen.measureText(cut(kept)).width > width) kept--;
  return cut(kept);
}
