// The page: views, their links, and the colors.

import { attempt, get, show } from "./api.js";
import { current, lastAddress } from "./state.js";
import { element } from "./widgets.js";
import * as change from "./change.js";
import * as draw from "./draw.js";
import * as judge from "./judge.js";
import * as levels from "./levels.js";
import * as mix from "./mix.js";
import * as plane from "./plane.js";
import * as watch from "./watch.js";

/** Views by the kind of the model. */
const KINDS = { images: { draw, mix, change, levels, judge }, vectors: { plane }, nothing: {} };

let about = null;
let views = {};
let close = null;

/** Shows the view that the address names. */
function route() {
  const { view, values } = current();
  const name = view in views ? view : Object.keys(views)[0];
  if (close) close();
  show(null);
  const root = document.getElementById("view");
  root.replaceChildren();
  close = views[name].mount(root, values, about);
  document.title = `${views[name].title} – flow explore`;
  links(name);
}

/** Links to all views, which lead to where each was left. */
function links(shown) {
  const made = Object.keys(views).map((name) => element("a", {
    href: lastAddress(name), "aria-current": name === shown ? "page" : null,
  }, views[name].title));
  document.getElementById("views").replaceChildren(...made);
}

function theme() {
  const root = document.documentElement;
  const control = document.getElementById("theme");
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  let asked = null;
  const paint = () => {
    const dark = asked ? asked === "dark" : prefers.matches;
    root.dataset.theme = dark ? "dark" : "light";
    control.textContent = dark ? "Light colors" : "Dark colors";
  };
  control.addEventListener("click", () => {
    asked = root.dataset.theme === "dark" ? "light" : "dark";
    paint();
  });
  prefers.addEventListener("change", paint);
  paint();
}

async function begin() {
  theme();
  about = await attempt(() => get("api/about"));
  if (!about) return;
  document.getElementById("model").textContent = about.name;
  views = { ...KINDS[about.kind], ...(about.run ? { watch } : {}) };
  document.querySelector(".skip").addEventListener("click", (event) => {
    // The address names the view, so it must not be lost.
    event.preventDefault();
    document.getElementById("view").focus();
  });
  addEventListener("hashchange", route);
  route();
}

begin();
