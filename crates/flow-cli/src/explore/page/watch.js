// Watch: the course of a training, and its samples.

import { attempt, get } from "./api.js";
import { frame, svg } from "./chart.js";
import { State } from "./state.js";
import { button, card, columns, element, heading, slider } from "./widgets.js";

export const title = "Watch";

export function mount(root, given, about) {
  // Without an epoch, the newest samples are shown, also when newer ones come.
  const state = new State("watch", { epoch: "" }, given);
  const numbers = element("div", { role: "status" });
  const curve = element("div");
  const image = element("img", { alt: "", hidden: true });
  const save = element("a", { class: "button", hidden: true }, "Save PNG");
  const times = element("div");
  const command = element("code");
  let epochs = [];
  let shown = "";

  function samples() {
    if (!epochs.length) return;
    const asked = Number(state.get("epoch"));
    const epoch = epochs.includes(asked) ? asked : epochs.at(-1);
    const address = `api/watch/samples/${epoch}`;
    if (shown === address && epoch !== epochs.at(-1)) return;
    shown = address;
    image.src = `${address}?${Date.now()}`;
    image.alt = `Samples after epoch ${epoch}`;
    image.hidden = save.hidden = false;
    save.href = address;
    save.download = `epoch-${epoch}.png`;
  }

  function time() {
    const asked = epochs.indexOf(Number(state.get("epoch")));
    const last = epochs.length - 1;
    const field = slider({
      label: "Samples after epoch", min: 0, max: Math.max(last, 0), step: 1, value: asked < 0 ? last : asked,
      format: (place) => (epochs.length ? String(epochs[place]) : "none yet"),
      use: (place) => {
        state.set("epoch", place === last ? "" : epochs[place]);
        samples();
      },
    });
    // A slider that is being moved is not taken from under the hand.
    if (!times.contains(document.activeElement) || times.dataset.last !== String(last)) {
      const focused = times.contains(document.activeElement);
      times.replaceChildren(field);
      if (focused) field.input.focus();
    }
    times.dataset.last = String(last);
  }

  async function refresh() {
    const course = await attempt(() => get("api/watch"));
    if (!course) return;
    epochs = course.epochs;
    command.textContent = course.command;
    numbers.replaceChildren(...facts(course));
    curve.replaceChildren(chart(course.points));
    time();
    samples();
    // The first model brings other views.
    if (about.kind === "nothing") {
      const now = await attempt(() => get("api/about"));
      if (now && now.kind !== "nothing") location.reload();
    }
  }

  const events = new EventSource("api/watch/events");
  events.addEventListener("changed", refresh);
  root.append(...heading("Watch", "The training in this folder. The page follows it while it goes on."),
    columns([numbers], card(element("h3", {}, "Bits per dimension"), curve),
      card(times, element("div", { class: "frame" }, image),
        element("div", { class: "row" }, save, button("Newest", () => {
          state.set("epoch", "");
          time();
          samples();
        })),
        element("p", { class: "note" }, "This command draws the samples of all epochs:"),
        element("div", { class: "command" }, command))));
  return () => events.close();
}

function facts({ last, share, seconds_left: left }) {
  if (!last) return [element("p", {}, "The training has not written anything yet.")];
  const digits = (value) => (value === null || value === undefined ? "not known yet" : value.toFixed(4));
  const rows = [
    ["Epoch", last.epoch], ["Step", last.step.toLocaleString("en")],
    ["Training batches", `${digits(last.train_bits_per_dim)} bits/dim`],
    ["Images a second", last.images_per_second === null ? "not known yet" : Math.round(last.images_per_second).toLocaleString("en")],
    ["Time so far", duration(last.seconds)],
    ["Time left", left === null ? "not known yet" : share >= 1 ? "none: it is over" : duration(left)],
  ];
  return [
    element("table", {}, element("caption", { class: "hidden" }, "The training"),
      element("tbody", {}, rows.map(([name, value]) => element("tr", {},
        element("th", { scope: "row" }, name), element("td", {}, String(value)))))),
    share === null ? null : element("progress", { max: 1, value: share, "aria-label": "Share of the training that is done" }),
  ].filter(Boolean);
}

function duration(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

/** Training batches and test images against the step. */
function chart(points) {
  const finite = points.filter(({ train }) => Number.isFinite(train));
  if (finite.length < 2) return element("p", { class: "note" }, "The curve begins with the second line.");
  const tested = finite.filter(({ test }) => test !== null && test !== undefined);
  // The first steps are far above the rest and would flatten it.
  const sorted = finite.map(({ train }) => train).sort((a, b) => a - b);
  const usual = sorted[Math.ceil((sorted.length - 1) * 0.9)];
  const least = Math.min(sorted[0], ...tested.map(({ test }) => test));
  const margin = Math.max((usual - least) * 0.08, 0.05);
  const [bottom, top] = [least - margin, usual + margin];
  const { root, x, y } = frame({
    label: `Bits per dimension, from ${finite[0].train.toFixed(2)} to ${finite.at(-1).train.toFixed(2)} on training batches`,
    low: 0, high: finite.at(-1).step, bottom, top, across: "step", up: true,
  });
  const line = (chosen, of) => chosen.map((point, place) => {
    return `${place ? "L" : "M"}${x(point.step).toFixed(1)} ${y(Math.min(of(point), top)).toFixed(1)}`;
  }).join("");
  root.append(svg("path", { class: "train", d: line(finite, ({ train }) => train) }));
  root.append(svg("path", { class: "test", d: line(tested, ({ test }) => test) }));
  for (const { step, test } of tested) root.append(svg("circle", { class: "dot", cx: x(step), cy: y(Math.min(test, top)), r: 3 }));
  root.append(svg("text", { x: 320, y: 24 }, "line: training batches"), svg("text", { x: 320, y: 40 }, "dots: test images"));
  return root;
}
