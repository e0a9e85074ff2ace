// Levels: keep some latents of an image and draw the others anew.

import { Latest, show } from "./api.js";
import { Picker, firstImage } from "./picker.js";
import { State, chosenOr } from "./state.js";
import {
  PictureCard, button, card, checkbox, columns, element, encodedAs, heading, seedField, slider, temperatureSlider,
} from "./widgets.js";

export const title = "Levels";

export function mount(root, given, about) {
  const defaults = {
    image: chosenOr(firstImage(about, 0)), levels: "0", draws: "9", temperature: "0.7", seed: "0", class: "",
  };
  const state = new State("levels", defaults, given);
  const count = about.images.levels.length;
  const anew = new Set(state.get("levels").split(",").filter(Boolean).map(Number));
  const encoded = encodedAs(about, state, "Encoded as of class", () => ask());
  const picture = new PictureCard({ file: "levels.png" });
  const latest = new Latest("levels", "api/levels", (answer, body) => {
    return picture.use(answer, `${body.draws} draws of the levels ${body.levels.join(", ")}`);
  });
  function ask() {
    if (!state.get("image")) {
      show({ message: "Choose an image." });
      return;
    }
    latest.want({
      image: state.get("image"),
      levels: [...anew].sort((a, b) => a - b),
      draws: state.number("draws"),
      temperature: state.number("temperature"),
      seed: state.number("seed"),
      class: encoded.get(),
    });
  }
  const change = (key) => (value) => {
    state.set(key, value);
    ask();
  };
  const boxes = about.images.levels.map(([c, h, w], level) => {
    const place = level === 0 ? ", finest" : level === count - 1 ? ", coarsest" : "";
    return checkbox({
      label: `Level ${level}${place}: ${c}×${h}×${w} numbers`, checked: anew.has(level),
      use: (is) => {
        if (is) anew.add(level);
        else anew.delete(level);
        state.set("levels", [...anew].join(","));
        ask();
      },
    });
  });
  const only = (text, keeps) => button(text, () => {
    boxes.forEach((box, level) => {
      const input = box.querySelector("input");
      input.checked = keeps(level);
      if (input.checked) anew.add(level);
      else anew.delete(level);
    });
    state.set("levels", [...anew].join(","));
    ask();
  });
  const controls = [
    new Picker({
      label: "Image", name: state.get("image"), about, file: "image.png",
      use: (name, label) => { encoded.follow(label); change("image")(name); },
      first: (label) => { if (!state.get("class")) { encoded.follow(label); ask(); } },
    }).root,
    element("fieldset", {}, element("legend", {}, "Levels to draw anew"), boxes,
      element("div", { class: "row" },
        only("Keep the coarse", (level) => level < count - 1), only("Keep the fine", (level) => level === count - 1))),
    temperatureSlider(state, change("temperature")),
    seedField(state, change("seed"), { class: "main" }),
    slider({ label: "Draws", min: 1, max: 16, step: 1, value: state.get("draws"), use: change("draws") }),
    encoded.root,
  ];
  root.append(...heading("Levels", "Each level of the flow holds latents of another size. Draw some anew, and see what they hold and what the others keep."),
    columns(controls, card(picture.figure)));
  if (state.get("class") || !encoded.root || !state.get("image")) ask();
  return () => latest.close();
}
