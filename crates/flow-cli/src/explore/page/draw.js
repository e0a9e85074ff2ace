// Draw: a grid of samples, each of which can be chosen.

import { Latest, attempt, ask, tell } from "./api.js";
import { State, address, choose } from "./state.js";
import {
  PictureCard, button, card, classOptions, columns, element, heading, seedField, select, temperatureSlider,
} from "./widgets.js";

const COUNTS = [1, 4, 9, 16, 25, 36, 49, 64, 100];

export const title = "Draw";

export function mount(root, given, about) {
  const defaults = { count: "25", temperature: "0.7", seed: "0", class: "" };
  const state = new State("draw", defaults, given);
  const picture = new PictureCard({ file: "samples.png" });
  const chosen = card(element("p", { class: "note" }, "Choose an image to mix, change or judge it."));
  const wish = () => ({
    count: state.number("count"),
    temperature: state.number("temperature"),
    seed: state.number("seed"),
    class: state.get("class") || null,
  });
  const latest = new Latest("draw", "api/draw", async (answer, body) => {
    await picture.use(answer, `${body.count} samples at temperature ${body.temperature}`);
    lay(picture, body.count, (place) => pick(chosen, { of: body, place }));
  });
  const change = (key) => (value) => {
    state.set(key, value);
    latest.want(wish());
  };

  const controls = [
    temperatureSlider(state, change("temperature")),
    seedField(state, change("seed"), { class: "main" }),
    about.images.classes.length
      ? select({ label: "Class", options: classOptions(about, "each in turn"), value: state.get("class"), use: change("class") })
      : null,
    select({ label: "Images", options: COUNTS.map((n) => [String(n), String(n)]), value: state.get("count"), use: change("count") }),
  ];
  root.append(...heading("Draw", "Samples of the model. A lower temperature gives cleaner and more similar images."),
    columns(controls, card(picture.figure), chosen));
  latest.want(wish());
  return () => latest.close();
}

/** Lays buttons over the images of a grid, whose gaps are 4 pixels wide. */
function lay(picture, count, use) {
  const { naturalWidth: width, naturalHeight: height } = picture.image;
  const side = Math.ceil(Math.sqrt(count));
  const share = (pixels, all) => `${(100 * pixels) / all}%`;
  const [across, down] = [(width - 4) / side, (height - 4) / side];
  const tiles = Array.from({ length: count }, (_, place) => {
    const tile = button("", () => {
      for (const other of tiles) other.setAttribute("aria-pressed", String(other === tile));
      use(place);
    }, { "aria-label": `Choose image ${place + 1} of ${count}`, "aria-pressed": "false" });
    tile.style.left = share(4 + (place % side) * across, width);
    tile.style.top = share(4 + Math.floor(place / side) * down, height);
    tile.style.width = share(across - 4, width);
    tile.style.height = share(down - 4, height);
    return tile;
  });
  picture.tiles.replaceChildren(...tiles);
}

async function pick(place, body) {
  const found = await attempt(() => ask("api/draw/pick", body));
  if (!found) return;
  choose(found.name);
  tell("Image chosen.");
  const link = (view, text, values) => element("a", { class: "button", href: address(view, values) }, text);
  place.replaceChildren(
    element("h3", {}, "The chosen image"),
    element("div", { class: "picker" },
      element("div", { class: "thumb" }, element("img", { src: found.picture, alt: "The chosen image" })),
      element("div", { class: "row" },
        link("mix", "Mix it", { first: found.name }),
        link("change", "Change it", { image: found.name }),
        link("levels", "See its levels", { image: found.name }),
        link("judge", "Judge it", { image: found.name }))));
}
