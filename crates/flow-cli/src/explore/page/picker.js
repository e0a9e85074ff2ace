// A slot for an image: from the data set, a file, a sample, or drawn by hand.

import { ask, attempt, send, tell } from "./api.js";
import { choose } from "./state.js";
import { Pad } from "./pad.js";
import { button, element, newSeed } from "./widgets.js";

export class Picker {
  /**
   * `use` gets the name of a new image and its class, `first` the class of the one to begin with.
   */
  constructor({ label, name, about, file, use, first = () => {} }) {
    Object.assign(this, { label, about, use, name });
    this.image = element("img", { alt: label, hidden: true });
    this.save = element("a", { class: "button", download: file, hidden: true }, "Save");
    this.label = label;
    this.input = element("input", { type: "file", accept: "image/*", class: "hidden", tabindex: -1, "aria-hidden": "true" });
    this.input.addEventListener("change", () => {
      if (this.input.files.length) this.send(this.input.files[0]);
      this.input.value = "";
    });
    const buttons = element("div", { class: "row" },
      this.places(),
      button("Sample", () => this.sample()),
      button("Draw …", () => this.drawn()),
      button("File …", () => this.input.click()),
      this.save, this.input);
    this.root = element("fieldset", {}, element("legend", {}, label),
      element("div", { class: "picker" }, element("div", { class: "thumb" }, this.image), buttons),
      element("p", { class: "note" }, "You can also drop a picture here."));
    this.drops();
    if (name) this.show(name).then((found) => found && first(found.label));
  }

  /** The choice of an image of the data set. */
  places() {
    const { test } = this.about.images;
    if (!test) return null;
    const most = test - 1;
    const input = element("input", {
      type: "number", min: 0, max: most, step: 1, "aria-label": `${this.label}: number of a test image, 0 to ${most}`,
      placeholder: "test image",
    });
    input.addEventListener("change", () => {
      const place = Math.min(Math.max(Math.round(Number(input.value)) || 0, 0), most);
      input.value = place;
      this.take(`test:${place}`);
    });
    return [input, button("Any test image", () => {
      input.value = Math.floor(Math.random() * test);
      this.take(`test:${input.value}`);
    })];
  }

  drops() {
    const over = (is) => (event) => {
      event.preventDefault();
      this.root.classList.toggle("over", is);
    };
    this.root.addEventListener("dragover", over(true));
    this.root.addEventListener("dragleave", over(false));
    this.root.addEventListener("drop", (event) => {
      over(false)(event);
      const [file] = event.dataTransfer.files;
      if (file) this.send(file);
    });
  }

  async send(content) {
    const found = await attempt(() => send("api/image/sent", content));
    if (found) this.put(found);
  }

  async sample() {
    const { classes } = this.about.images;
    const any = classes.length ? String(Math.floor(Math.random() * classes.length)) : null;
    const of = { count: 1, temperature: 0.7, seed: newSeed(), class: any };
    const found = await attempt(() => ask("api/draw/pick", { of, place: 0 }));
    if (found) this.put(found);
  }

  drawn() {
    const pad = new Pad(this.about);
    const dialog = element("dialog", { "aria-label": `${this.label}: draw by hand` });
    const end = () => { dialog.close(); dialog.remove(); };
    dialog.append(element("h3", {}, "Draw by hand"), pad.root, element("div", { class: "row" },
      button("Take it", async () => {
        const content = await pad.content();
        end();
        this.send(content);
      }, { class: "main" }),
      button("Cancel", end)));
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
    pad.canvas.focus();
  }

  /** Shows the image of a name, without telling the view. */
  async show(name) {
    const found = await attempt(() => ask("api/image", { image: name }));
    if (found) this.paint(found);
    return found;
  }

  async take(name) {
    const found = await this.show(name);
    if (found) this.changed(found);
  }

  put(found) {
    this.paint(found);
    this.changed(found);
  }

  paint({ picture }) {
    this.image.src = picture;
    this.image.hidden = false;
    this.save.href = picture;
    this.save.hidden = false;
  }

  changed({ name, label }) {
    this.name = name;
    choose(name);
    tell(`${this.label}: new image.`);
    this.use(name, label);
  }
}

/** The name of an image to begin with. */
export function firstImage(about, place) {
  return about.images.test > place ? `test:${place}` : "";
}
