// The state of a view, which is the fragment of the address: a link restores it.

/** The last state of each view, for those who come back to it. */
const last = new Map();

/** View and state of the address. */
export function current() {
  const [view, query = ""] = location.hash.slice(1).split("?");
  return { view, values: Object.fromEntries(new URLSearchParams(query)) };
}

/** The address of a view in a state. */
export function address(view, values = {}) {
  const query = new URLSearchParams(values).toString();
  return query ? `#${view}?${query}` : `#${view}`;
}

/** The address under which a view was left. */
export function lastAddress(view) {
  return address(view, last.get(view));
}

/** Values of a view, each a text. Setting one writes the address. */
export class State {
  constructor(view, defaults, given) {
    this.view = view;
    this.values = { ...defaults };
    for (const key of Object.keys(defaults)) {
      if (key in given) this.values[key] = given[key];
    }
    this.write();
  }

  get(key) {
    return this.values[key];
  }

  number(key) {
    return Number(this.values[key]);
  }

  set(key, value) {
    this.values[key] = String(value);
    this.write();
  }

  write() {
    last.set(this.view, this.values);
    // A browser takes few addresses a second; a slider that is dragged makes many.
    clearTimeout(timer);
    pending = this;
    timer = setTimeout(flush, 120);
  }
}

let timer = 0;
let pending = null;

/** Writes the last state into the address now. */
export function flush() {
  clearTimeout(timer);
  const state = pending;
  pending = null;
  const { view } = current();
  // Another view may have been opened in the meantime.
  if (state && (view === "" || view === state.view)) {
    history.replaceState(null, "", address(state.view, state.values));
  }
}

/** The image that was chosen last: views begin with it. */
let chosen = "";

export function choose(name) {
  chosen = name;
}

export function chosenOr(fallback) {
  return chosen || fallback;
}
