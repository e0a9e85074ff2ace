// Plane: a flow of two-dimensional vectors, layer by layer.

import { Latest } from "./api.js";
import { State } from "./state.js";
import { PictureCard, card, columns, element, heading, seedField, slider } from "./widgets.js";

export const title = "Plane";

export function mount(root, given, about) {
  const names = about.vectors.layers;
  const state = new State("plane", { layers: String(names.length), samples: "1000", seed: "0" }, given);
  const picture = new PictureCard({ file: "plane.png" });
  const latest = new Latest("plane", "api/plane", (answer, body) => {
    return picture.use(answer, `Density of the flow, and samples and a grid after ${body.layers} of ${names.length} layers`);
  });
  const ask = () => latest.want({
    layers: state.number("layers"), samples: state.number("samples"), seed: state.number("seed"),
  });
  const change = (key) => (value) => {
    state.set(key, value);
    ask();
  };
  const way = slider({
    label: "Layers passed", min: 0, max: names.length, step: 1, value: state.get("layers"), use: change("layers"),
    format: (count) => (count ? `${count}, the last is ${names[count - 1]}` : "none: the base distribution"),
  });
  root.append(...heading("Plane", "Samples of the base distribution and a grid over it pass the layers of the flow, one after the other, and become data."),
    columns([
      way,
      slider({ label: "Samples", min: 100, max: 5000, step: 100, value: state.get("samples"), use: change("samples") }),
      seedField(state, change("seed")),
      element("p", { class: "note" }, "On the left is the density that the flow has learned."),
    ], card(picture.figure)));
  ask();
  return () => latest.close();
}
