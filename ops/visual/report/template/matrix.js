// The confusion matrix: what pointers, wheel, keys and buttons do with it.

const TAKEN_FOR = 8; // answers that are listed beside the matrix

class Matrix extends MatrixView {
  constructor(canvas, open) {
    super(canvas);
    this.open = open;
    this.pointers = new Map();
    this.moved = false;
    this.listen();
  }

  /** Marks a cell, [row, column] on the screen, and says beside the matrix what is in it. */
  select(cell) {
    this.selected = cell;
    const said = document.getElementById("matrix-said");
    if (cell === null) said.replaceChildren();
    else said.replaceChildren(...this.words(...cell.map((place) => this.classes[place])));
    this.draw();
  }

  /** What a cell holds, and what its true class is taken for. */
  words(label, predicted) {
    const count = (taken) => this.cells.get(label * this.size + taken) ?? 0;
    const share = (taken) => count(taken) / Math.max(this.counts[label], 1);
    const line = (term, text) => element("div", {}, element("span", { className: "soft" }, term), text);
    const taken = this.classes.filter((each) => count(each) > 0).sort((a, b) => count(b) - count(a)).slice(0, TAKEN_FOR);
    return [
      line("true: ", data.classes[label]),
      line("predicted: ", data.classes[predicted]),
      element("div", {}, element("b", {}, plural(count(predicted), "video")), ` of ${this.counts[label].toLocaleString("en")} (${percent(share(predicted))})`),
      element("div", { className: "soft", style: "margin-top: 14px" }, `“${data.classes[label]}” is taken for`),
      ...taken.map((each) => {
        const bar = element("i", { className: each === label ? "good" : "", style: `width: ${100 * share(each)}%` });
        const open = () => this.open(label, each, this.folder);
        const name = element("button", { className: "link", onclick: open }, `${data.classes[each]} `, element("span", { className: "soft" }, percent(share(each))));
        return element("div", { className: "taken" }, name, element("span", { className: "bar" }, bar));
      }),
    ];
  }

  openSelected() {
    if (this.selected === null) return;
    const [label, predicted] = this.selected.map((place) => this.classes[place]);
    if (this.cells.has(label * this.size + predicted)) this.open(label, predicted, this.folder);
  }

  listen() {
    const { canvas } = this;
    const point = (event) => [event.offsetX, event.offsetY];
    canvas.addEventListener("pointerdown", (event) => {
      if (this.pointers.size === 0) this.moved = false;
      this.pointers.set(event.pointerId, point(event));
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => this.pointerMoves(event, point(event)));
    const release = (event) => this.pointers.delete(event.pointerId);
    for (const name of ["pointerup", "pointercancel"]) canvas.addEventListener(name, release);
    canvas.addEventListener("click", (event) => {
      const cell = this.at(...point(event));
      if (this.moved || cell === null) return;
      this.select(cell);
      this.openSelected();
    });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 300), ...point(event));
    }, { passive: false });
    canvas.addEventListener("keydown", (event) => this.keyDown(event));
    document.getElementById("zoom-in").onclick = () => this.zoom(1.6);
    document.getElementById("zoom-out").onclick = () => this.zoom(1 / 1.6);
    document.getElementById("zoom-all").onclick = () => this.whole();
    for (const name of ["folder", "order"]) {
      document.getElementById(`matrix-${name}`)?.addEventListener("change", (event) => {
        this[name] = name === "folder" ? Number(event.target.value) : event.target.value;
        this.count();
        this.select(null);
      });
    }
  }

  pointerMoves(event, now) {
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) return this.at(...now) && this.select(this.at(...now));
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    if (others.length === 0 && !this.moved && Math.hypot(now[0] - before[0], now[1] - before[1]) < 5) return;
    this.moved = true;
    this.pointers.set(event.pointerId, now);
    if (others.length === 0) this.move(before[0] - now[0], before[1] - now[1]);
    else {
      const [x, y] = others[0][1];
      const distance = ([a, b]) => Math.max(Math.hypot(a - x, b - y), 1);
      this.zoom(distance(now) / distance(before), (now[0] + x) / 2, (now[1] + y) / 2);
    }
  }

  keyDown(event) {
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key === "+") return this.zoom(1.6);
    if (event.key === "-") return this.zoom(1 / 1.6);
    if (event.key !== "Enter" && !(event.key in steps)) return;
    event.preventDefault(); // Enter would also press the button that the opened list has the focus on
    if (event.key === "Enter") return this.openSelected();
    const [row, column] = this.selected ?? [0, 0];
    const moved = this.selected === null ? [0, 0] : steps[event.key].map((step, axis) => Math.min(Math.max([row, column][axis] + step, 0), this.size - 1));
    const [x, y] = [moved[1] * this.cell, moved[0] * this.cell];
    this.left = Math.min(x, Math.max(this.left, x + this.cell - this.inner[0]));
    this.top = Math.min(y, Math.max(this.top, y + this.cell - this.inner[1]));
    this.select(moved);
  }
}
