// Judge: an image that is drawn by hand, dropped or chosen.

import { Latest, attempt, send, show } from "./api.js";
import { histogram } from "./chart.js";
import { Pad } from "./pad.js";
import { Picker, firstImage } from "./picker.js";
import { State, choose, chosenOr } from "./state.js";
import { PictureCard, card, columns, element, heading } from "./widgets.js";

const SCORES = {
  likelihood: "Bits per dimension",
  typicality: "Distance from the typical",
  complexity: "Bits beyond those of a PNG",
  "latent-norm": "Norm of the latents",
};

export const title = "Judge";

const number = (value, digits = 4) => (value === null ? "not finite" : value.toFixed(digits));

export function mount(root, given, about) {
  const state = new State("judge", { image: chosenOr(firstImage(about, 0)) }, given);
  const numbers = element("div", { role: "status" });
  const classes = element("div");
  const place = element("div");
  let timer = 0;
  const map = new PictureCard({ file: "map.png", one: true });
  const scale = element("p", { class: "note" });
  const judged = new Latest("judge", "api/judge", async (answer) => {
    numbers.replaceChildren(
      element("p", { class: "number" }, `${number(answer.bits_per_dim)} bits per dimension`),
      element("p", { class: "note" }, `ln p = ${number(answer.log_likelihood, 1)} nats`));
    const [low, high] = answer.pixels;
    scale.textContent = `Bits of each pixel, from ${number(low, 1)} (dark) to ${number(high, 1)} (yellow); their sum is that of the image.`;
    await map.use(answer, "The bits of each pixel of the image");
    if (answer.classes) classes.replaceChildren(...ofClasses(about, answer.classes));
  });
  const placed = new Latest("judge/place", "api/judge/place", (answer) => {
    clearTimeout(timer);
    if ("progress" in answer) {
      place.replaceChildren(
        element("p", { class: "note" }, "Training images are measured, once."),
        element("progress", { max: 1, value: answer.progress, "aria-label": "Training images are measured" }));
      timer = setTimeout(() => placed.want({ image: state.get("image") }), 400);
      return;
    }
    place.replaceChildren(...among(answer));
  });
  function ask() {
    if (!state.get("image")) {
      show({ message: "Choose an image, or draw one." });
      return;
    }
    judged.want({ image: state.get("image") });
    if (about.images.train) placed.want({ image: state.get("image") });
  }
  const picker = new Picker({
    label: "Image", name: state.get("image"), about, file: "image.png",
    use: (name) => { state.set("image", name); ask(); },
  });
  const pad = new Pad(about, async () => {
    const found = await attempt(async () => send("api/image/sent", await pad.content()));
    if (!found) return;
    picker.paint(found);
    choose(found.name);
    state.set("image", found.name);
    ask();
  });
  root.append(...heading("Judge", "How likely is an image under the model? Draw one here, and each stroke is judged."),
    columns([picker.root, element("h3", {}, "Draw"), pad.root],
      card(numbers, scale, map.figure), card(classes, place)));
  ask();
  return () => {
    clearTimeout(timer);
    judged.close();
    placed.close();
  };
}

function ofClasses(about, posteriors) {
  const shares = posteriors.map((log) => (log === null ? 0 : Math.exp(log)));
  const best = shares.indexOf(Math.max(...shares));
  const names = about.images.classes;
  const shown = names.map((name, number) => ({ name, share: shares[number], log: posteriors[number] }));
  const rows = shown.slice(0, 100).map(({ name, share, log }) => element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", {}, element("meter", { min: 0, max: 1, value: share, "aria-label": `Share of ${name}` })),
    element("td", {}, `${(100 * share).toFixed(1)} %`),
    element("td", {}, number(log, 1))));
  return [
    element("h3", {}, "p(class | image)"),
    element("p", { class: "note" }, `Most likely: ${names[best]}.`),
    element("table", { class: "classes" },
      element("thead", {}, element("tr", {}, ...["Class", "Share", "Percent", "ln p"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, rows)),
  ];
}

function among({ images, low, high, bars, scores }) {
  const [bits] = scores;
  const body = scores.map(({ name, value, below }) => element("tr", {},
    element("th", { scope: "row" }, SCORES[name]), element("td", {}, number(value)),
    element("td", {}, `${(100 * below).toFixed(1)} %`)));
  return [
    element("h3", {}, `Among ${images.toLocaleString("en")} training images`),
    histogram({
      label: `Histogram of bits per dimension of training images; ${(100 * bits.below).toFixed(1)} % have fewer than the image`,
      low, high, bars, mark: bits.value, across: "bits per dimension",
    }),
    element("table", {},
      element("thead", {}, element("tr", {}, ...["Score", "Image", "Training images below"].map((text) => element("th", { scope: "col" }, text)))),
      element("tbody", {}, body)),
  ];
}
