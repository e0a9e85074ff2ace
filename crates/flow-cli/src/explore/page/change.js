// Change: a slider for each attribute.

import { Latest, show } from "./api.js";
import { Picker, firstImage } from "./picker.js";
import { State, chosenOr } from "./state.js";
import { PictureCard, button, card, classOptions, columns, element, encodedAs, heading, select, slider } from "./widgets.js";

/** The largest amount of a slider: two standard deviations of most attributes. */
const MOST = 1;

export const title = "Change";

export function mount(root, given, about) {
  const defaults = { image: chosenOr(firstImage(about, 0)), class: "", changes: "" };
  const state = new State("change", defaults, given);
  const amounts = new Map(about.images.attributes.map((name) => [name, 0]));
  for (const part of state.get("changes").split(";").filter(Boolean)) {
    const at = part.lastIndexOf("=");
    if (at > 0 && Number.isFinite(Number(part.slice(at + 1)))) amounts.set(part.slice(0, at), Number(part.slice(at + 1)));
  }
  const encoded = encodedAs(about, state, "Encoded as of class", () => ask());
  const picture = new PictureCard({ file: "change.png", one: true });
  const progress = element("progress", { max: 1, value: 0, "aria-label": "Training images are measured", hidden: true });
  const note = element("p", { class: "note", hidden: true }, "The attribute is looked for among training images, once.");
  let timer = 0;
  const waits = (share) => {
    progress.hidden = note.hidden = share === null;
    if (share !== null) progress.value = share;
  };
  const latest = new Latest("change", "api/change", async (answer) => {
    if ("progress" in answer) {
      waits(answer.progress);
      timer = setTimeout(ask, 250);
      return;
    }
    waits(null);
    await picture.use(answer, "The changed image");
  });
  function ask() {
    clearTimeout(timer);
    if (!state.get("image")) {
      show({ message: "Choose an image." });
      return;
    }
    const changes = [...amounts].map(([attribute, amount]) => ({ attribute, amount }));
    latest.want({
      image: state.get("image"), changes, class: encoded.get(),
    });
  }
  const write = () => {
    const shown = [...amounts].filter(([, amount]) => amount).map(([name, amount]) => `${name}=${amount}`);
    state.set("changes", shown.join(";"));
    ask();
  };

  const sliders = element("div");
  const add = (name) => {
    const label = name.includes(":") ? `From class ${name.replace(":", " to class ")}` : name[0].toUpperCase() + name.slice(1);
    sliders.append(slider({
      label, min: -MOST, max: MOST, step: 0.01, value: amounts.get(name), format: (number) => number.toFixed(2),
      use: (amount) => { amounts.set(name, amount); write(); },
    }));
  };
  for (const name of amounts.keys()) add(name);
  const reset = button("Back to the image", () => {
    for (const name of amounts.keys()) amounts.set(name, 0);
    for (const field of sliders.children) field.set(0);
    write();
  });
  const controls = [
    new Picker({
      label: "Image", name: state.get("image"), about, file: "image.png",
      use: (name, label) => { state.set("image", name); encoded.follow(label); ask(); },
      first: (label) => { if (!state.get("class")) { encoded.follow(label); ask(); } },
    }).root,
    sliders, element("div", { class: "row" }, reset), between(about, amounts, add),
    encoded.root,
  ];
  root.append(...heading("Change", "Each slider moves the image along one direction of latent space: from images with little of an attribute to those with much. In the middle it is the image itself."),
    columns(controls, card(progress, note, picture.figure)));
  if (state.get("class") || !encoded.root || !state.get("image")) ask();
  return () => {
    clearTimeout(timer);
    latest.close();
  };
}

/** Adds a slider from one class to another. */
function between(about, amounts, add) {
  const names = about.images.classes;
  if (!about.images.train || names.length < 2) return null;
  const options = classOptions(about);
  const from = select({ label: "From class", options, value: "4", use: () => {} });
  const to = select({ label: "To class", options, value: "9", use: () => {} });
  return element("fieldset", {}, element("legend", {}, "Class to class"), from, to,
    button("Add a slider", () => {
      const name = `${from.input.value}:${to.input.value}`;
      if (from.input.value === to.input.value || amounts.has(name)) return;
      amounts.set(name, 0);
      add(name);
    }));
}
