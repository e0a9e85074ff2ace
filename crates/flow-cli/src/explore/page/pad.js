// A pad to draw an image by hand, with the mouse, a finger or the keyboard.

import { button, element, slider } from "./widgets.js";

/** Pixels of the longer side of the pad. */
const SIDE = 280;

export class Pad {
  /** `use` is called after each stroke. */
  constructor(about, use = () => {}) {
    const { channels, height, width } = about.images;
    const scale = SIDE / Math.max(height, width);
    this.canvas = element("canvas", {
      class: "pad", tabindex: 0, role: "img", width: Math.round(width * scale), height: Math.round(height * scale),
      "aria-label": "Pad to draw on. Arrow keys move the pen, space puts it down or lifts it.",
    });
    this.context = this.canvas.getContext("2d");
    this.use = use;
    this.size = SIDE / 12;
    this.ink = "#ffffff";
    this.pen = { x: this.canvas.width / 2, y: this.canvas.height / 2, down: false };
    this.isEmpty = true;
    this.clear();
    this.listen();
    const color = element("input", { type: "color", value: this.ink, "aria-label": "Color of the pen" });
    color.addEventListener("input", () => { this.ink = color.value; });
    this.root = element("div", {}, this.canvas,
      slider({
        label: "Pen", min: 4, max: 60, step: 1, value: Math.round(this.size),
        use: (size) => { this.size = size; }, format: (size) => `${size} of ${SIDE} pixels`,
      }),
      element("div", { class: "row" },
        channels === 3 ? color : null,
        button("Erase", () => { this.clear(); this.use(); })));
  }

  clear() {
    this.context.fillStyle = "#000000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.isEmpty = true;
  }

  line(from, to) {
    const { context } = this;
    context.strokeStyle = this.ink;
    context.lineWidth = this.size;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
    this.isEmpty = false;
  }

  listen() {
    const { canvas, pen } = this;
    const place = (event) => {
      const box = canvas.getBoundingClientRect();
      return {
        x: ((event.clientX - box.left) * canvas.width) / box.width,
        y: ((event.clientY - box.top) * canvas.height) / box.height,
      };
    };
    const end = () => {
      if (!pen.held) return;
      pen.held = false;
      this.use();
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      pen.held = true;
      Object.assign(pen, place(event));
      this.line(pen, pen);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!pen.held) return;
      const next = place(event);
      this.line(pen, next);
      Object.assign(pen, next);
    });
    canvas.addEventListener("pointerup", end);
    canvas.addEventListener("pointercancel", end);
    canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const { pen, canvas } = this;
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const before = { x: pen.x, y: pen.y };
    if (event.key === " ") {
      pen.down = !pen.down;
    } else if (event.key in moves) {
      const [x, y] = moves[event.key];
      pen.x = Math.min(Math.max(pen.x + 8 * x, 0), canvas.width);
      pen.y = Math.min(Math.max(pen.y + 8 * y, 0), canvas.height);
    } else {
      return;
    }
    event.preventDefault();
    if (pen.down) {
      this.line(before, pen);
      this.use();
    }
  }

  /** The picture as a PNG. */
  content() {
    return new Promise((resolve) => { this.canvas.toBlob(resolve, "image/png"); });
  }
}
