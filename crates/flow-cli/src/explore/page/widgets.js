// Parts that several views have.

import { tell } from "./api.js";
import { flush } from "./state.js";

/** An element with attributes, listeners (`onclick`) and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

let numbers = 0;
const fresh = (name) => `${name}-${++numbers}`;

/** A slider with its value; `use` gets a number. */
export function slider({ label, min, max, step, value, use, format = String }) {
  const id = fresh("slider");
  const output = element("output", { for: id }, format(Number(value)));
  const input = element("input", { id, type: "range", min, max, step, value });
  input.addEventListener("input", () => {
    output.textContent = format(Number(input.value));
    use(Number(input.value));
  });
  const head = element("div", { class: "head" }, element("label", { for: id }, label), output);
  const field = element("div", { class: "field" }, head, input);
  field.set = (number) => {
    input.value = number;
    output.textContent = format(Number(input.value));
  };
  field.input = input;
  return field;
}

/** A choice among `[value, text]` pairs. */
export function select({ label, options, value, use }) {
  const id = fresh("select");
  const made = options.map(([key, text]) => element("option", { value: key }, text));
  const input = element("select", { id, onchange: () => use(input.value) }, made);
  input.value = value;
  if (input.selectedIndex < 0) input.selectedIndex = 0;
  const field = element("div", { class: "field" }, element("label", { for: id }, label), input);
  field.input = input;
  return field;
}

/** A whole number, with buttons behind it. */
export function wholeNumber({ label, value, max, use }, ...buttons) {
  const id = fresh("number");
  const input = element("input", { id, type: "number", min: 0, max, step: 1, value });
  input.addEventListener("change", () => {
    const most = max ?? Number.MAX_SAFE_INTEGER;
    const number = Math.min(Math.max(Math.round(Number(input.value)) || 0, 0), most);
    input.value = number;
    use(number);
  });
  const row = element("div", { class: "row" }, input, buttons);
  const field = element("div", { class: "field" }, element("label", { for: id }, label), row);
  field.set = (number) => {
    input.value = number;
  };
  return field;
}

/** The seed of a state, with a button for a new one. */
export function seedField(state, use, look = {}) {
  const take = (number) => {
    field.set(number);
    use(number);
  };
  const field = wholeNumber({ label: "Seed", value: state.get("seed"), use },
    button("New seed", () => take(newSeed()), look));
  return field;
}

/** The temperature of a state. */
export function temperatureSlider(state, use) {
  return slider({
    label: "Temperature", min: 0, max: 1.5, step: 0.01, value: state.get("temperature"), use,
    format: (number) => number.toFixed(2),
  });
}

export function checkbox({ label, checked, use }) {
  const input = element("input", { type: "checkbox", checked });
  input.addEventListener("change", () => use(input.checked));
  return element("label", { class: "check" }, input, label);
}

export function button(text, onclick, attributes = {}) {
  return element("button", { type: "button", onclick, ...attributes }, text);
}

/** The options of a choice of class. */
export function classOptions(about, all) {
  const names = about.images.classes.map((name, number) => {
    return [String(number), name === String(number) ? name : `${number} ${name}`];
  });
  return all ? [["", all], ...names] : names;
}

/** A choice of the class as which images are encoded; `follow` sets that of a new image. */
export function encodedAs(about, state, label, use) {
  if (!about.images.classes.length) return { root: null, follow: () => {}, get: () => null };
  const field = select({
    label, options: classOptions(about), value: state.get("class"),
    use: (value) => {
      state.set("class", value);
      use();
    },
  });
  const follow = (number) => {
    if (number === undefined) return;
    field.input.value = String(number);
    state.set("class", number);
  };
  return { root: field, follow, get: () => state.get("class") || "0" };
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`${what} copied.`);
  } catch {
    prompt(`${what}:`, text);
  }
}

/** A picture with its link, its file and its command. */
export class PictureCard {
  constructor({ file, one = false }) {
    this.image = element("img", { alt: "" });
    this.tiles = element("div", { class: "tiles" });
    this.frame = element("div", { class: one ? "frame one" : "frame", hidden: true }, this.image, this.tiles);
    this.save = element("a", { class: "button", download: file }, "Save PNG");
    this.code = element("code");
    const link = button("Copy link", () => {
      flush();
      copy(location.href, "Link");
    });
    const line = button("Copy", () => copy(this.code.textContent, "Command"), {
      "aria-label": "Copy the command",
    });
    this.caption = element("figcaption", { hidden: true },
      element("div", { class: "row" }, this.save, link),
      element("p", { class: "note" }, "This command makes the same picture. Save images that it names beside it."),
      element("div", { class: "command" }, this.code, line));
    this.figure = element("figure", {}, element("div", { class: "strip" }, this.frame), this.caption);
  }

  /** Shows `{ picture, command }`. */
  async use(answer, alt) {
    this.image.src = answer.picture;
    this.image.alt = alt;
    this.save.href = answer.picture;
    this.code.textContent = answer.command;
    this.frame.hidden = this.caption.hidden = false;
    await this.image.decode();
  }
}

/** Controls beside a picture. */
export function columns(controls, ...rest) {
  return element("div", { class: "columns" },
    element("div", { class: "card" }, controls), element("div", {}, rest));
}

export function card(...children) {
  return element("div", { class: "card" }, children);
}

/** Title and first sentence of a view. */
export function heading(title, lead) {
  return [element("h2", {}, title), element("p", { class: "lead" }, lead)];
}

export const newSeed = () => Math.floor(Math.random() * 1e6);
