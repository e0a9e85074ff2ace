// Requests to the server, and where their errors show.

const tab = Math.random().toString(36).slice(2, 10);

/** An error whose message the page shows; `status` is that of HTTP. */
class Refusal extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

async function result(request) {
  let response;
  try {
    response = await request;
  } catch {
    throw new Refusal("The server does not answer; is flow explore still running?", 0);
  }
  let answer;
  try {
    answer = await response.json();
  } catch {
    throw new Refusal("The server's answer is cut off.", response.status);
  }
  if (!response.ok) throw new Refusal(sentence(answer.error), response.status);
  return answer;
}

function sentence(text) {
  const upper = text.charAt(0).toUpperCase() + text.slice(1);
  return upper.endsWith(".") ? upper : upper + ".";
}

/** The answer to `body`; a newer request of the same `view` replaces one that waits. */
export function ask(path, body, view) {
  const headers = { "content-type": "application/json" };
  if (view) headers["x-flow-view"] = `${tab}/${view}`;
  return result(fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

export function get(path) {
  return result(fetch(path));
}

/** Sends the content of a file. */
export function send(path, content) {
  const headers = { "content-type": "application/octet-stream" };
  return result(fetch(path, { method: "POST", headers, body: content }));
}

/** Shows an error, or nothing. */
export function show(error) {
  const place = document.getElementById("error");
  // Another request of the same view has taken its place.
  if (error && error.status === 409) return;
  place.hidden = !error;
  place.textContent = error ? error.message : "";
}

/** Tells people who listen to the page. */
export function tell(text) {
  document.getElementById("status").textContent = text;
}

/** Does `work`, and shows its error. */
export async function attempt(work) {
  try {
    show(null);
    return await work();
  } catch (error) {
    show(error);
    return undefined;
  }
}

/** Asks for the last of many wishes: while one is answered, only the newest waits. */
export class Latest {
  constructor(view, path, use) {
    Object.assign(this, { view, path, use, wish: null, busy: false, closed: false });
  }

  want(body) {
    this.wish = body;
    if (!this.busy) this.run();
  }

  async run() {
    this.busy = true;
    while (this.wish && !this.closed) {
      const body = this.wish;
      this.wish = null;
      try {
        const answer = await ask(this.path, body, this.view);
        if (this.closed) break;
        show(null);
        await this.use(answer, body);
      } catch (error) {
        if (!this.closed) show(error);
      }
    }
    this.busy = false;
  }

  close() {
    this.closed = true;
  }
}
