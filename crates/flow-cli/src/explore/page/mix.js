// Mix: from one image to another through latent space.

import { Latest, show } from "./api.js";
import { Picker, firstImage } from "./picker.js";
import { State, chosenOr } from "./state.js";
import { PictureCard, card, checkbox, columns, encodedAs, heading, slider } from "./widgets.js";

export const title = "Mix";

export function mount(root, given, about) {
  const defaults = {
    first: chosenOr(firstImage(about, 3)), second: firstImage(about, 8), time: "0.5", spherical: "false", class: "",
  };
  const state = new State("mix", defaults, given);
  const encoded = encodedAs(about, state, "Both encoded as of class", () => ask());
  const picture = new PictureCard({ file: "mix.png", one: true });
  const latest = new Latest("mix", "api/mix", (answer, body) => {
    return picture.use(answer, `The image at ${body.time} of the way from the first image to the second`);
  });
  const ask = () => {
    if (!state.get("first") || !state.get("second")) {
      show({ message: "Choose two images." });
      return;
    }
    latest.want({
      first: state.get("first"),
      second: state.get("second"),
      time: state.number("time"),
      spherical: state.get("spherical") === "true",
      class: encoded.get(),
    });
  };
  const change = (key) => (value) => {
    state.set(key, value);
    ask();
  };
  const slot = (key, label) => new Picker({
    label, name: state.get(key), about, file: `${key}.png`,
    use: (name, number) => { if (key === "first") encoded.follow(number); change(key)(name); },
    first: (number) => { if (key === "first" && !state.get("class")) { encoded.follow(number); ask(); } },
  }).root;
  const controls = [
    slot("first", "First image"),
    slot("second", "Second image"),
    checkbox({ label: "Along the arc", checked: state.get("spherical") === "true", use: change("spherical") }),
    encoded.root,
  ];
  const way = slider({
    label: "From the first image to the second", min: 0, max: 1, step: 0.01, value: state.get("time"),
    use: change("time"), format: (number) => number.toFixed(2),
  });
  root.append(...heading("Mix", "Both ends are the images themselves, to the pixel; the path between them leads through latent space."),
    columns(controls, card(way, picture.figure)));
  if (state.get("class") || !encoded.root || !state.get("first")) ask();
  return () => latest.close();
}
