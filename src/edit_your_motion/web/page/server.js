// What is asked of the server, and what it says by itself.

export async function ask(method, path, body, type = "application/json") {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": type };
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. What it was doing goes on once it runs again.");
  }
  const content = await response.json().catch(() => null); // what stands between may answer in its own way
  if (!content) throw new Error(`Something between this page and the server answered in its place (${response.status}). Try again in a while.`);
  if (!response.ok) throw Object.assign(new Error(content.error), { refused: response.status });
  return content;
}

// Asks until the server answers: what somebody did is not lost while it does not.
export async function insist(...asked) {
  for (;;) {
    try {
      return await ask(...asked);
    } catch (error) {
      if (error.refused) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

const PART = 1 << 22;

// A file that was broken off goes on where it was, when it is given again: this browser knows which clip it began.
const begun = (file, role) => `sent ${[role, file.name, file.size, file.lastModified].join("/")}`;

async function announce(file, role) {
  const known = localStorage.getItem(begun(file, role));
  const clip = known && (await ask("GET", `/api/clips/${known}`).catch(() => null));
  if (clip && !clip.complete && clip.size === file.size) return clip;
  const made = await ask("POST", "/api/clips", { name: [...file.name].slice(-200).join(""), role, size: file.size });
  localStorage.setItem(begun(file, role), made.id);
  return made;
}

// Sends a file in parts, a part that failed again from where the server stands.
export async function send(file, role, onPart) {
  const clip = await announce(file, role);
  let { received } = clip, failures = 0;
  while (received < file.size) {
    const path = `/api/clips/${clip.id}/content?offset=${received}`;
    try {
      const part = file.slice(received, received + PART);
      received = (await ask("PUT", path, part, "application/octet-stream")).received;
      failures = 0;
    } catch (error) {
      if (++failures > 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * failures));
      received = await ask("GET", `/api/clips/${clip.id}`).then((now) => now.received, () => received);
    }
    onPart(received / file.size);
  }
  localStorage.removeItem(begun(file, role));
}

const AGAIN = 5000;
const SELDOM = 20000;

// News as long as the page is looked at. A browser has few connections to one server, and each page that listens holds one:
// pages that nobody looks at ask now and then.
export function listen(onChange, onProgress, onLost) {
  let events, timer;
  const open = () => {
    clearInterval(timer);
    events?.close();
    if (document.hidden) {
      timer = setInterval(onChange, SELDOM);
      return;
    }
    events = new EventSource("/api/events");
    events.addEventListener("changed", onChange);
    events.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
    events.onopen = () => onLost("");
    events.onerror = () => {
      onLost("The server does not answer; trying again.");
      if (events.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, AGAIN); // it was refused: a browser does not ask again, nor say why
      ask("GET", "/api/library").catch((error) => onLost(error.message));
    };
  };
  document.addEventListener("visibilitychange", open);
  open();
}

const missing = (index) => `Frame ${index + 1} did not come. Is the server running, and the clip still there? Go to another frame and back to try again.`;
let asked = 0;

const MOST_KEPT = 96;

// Pictures of a clip's frames by number, kept as they come. Those that are given a size are brought to it once, off the thread
// that draws, and `finish`ed: the last of them are kept, and of all what has come, which is small. A page keeps pictures by their
// address and does not ask whether they have changed, so that each time they are asked for they have an address of their own.
export class Frames {
  constructor(address, count, size, finish = (picture) => picture) {
    this.address = address;
    this.pictures = new Array(count);
    this.came = new Array(count);
    this.size = size;
    this.finish = finish;
    this.kept = [];
  }

  get(index) {
    this.pictures[index] ??= this.load(index);
    return this.pictures[index];
  }

  async shrink(index) {
    const [resizeWidth, resizeHeight] = this.size;
    this.came[index] ??= await this.fetch(index);
    const picture = this.finish(await createImageBitmap(this.came[index], { resizeWidth, resizeHeight, resizeQuality: "low" }));
    this.kept.push(index);
    if (this.kept.length > MOST_KEPT) this.pictures[this.kept.shift()] = undefined;
    return picture;
  }

  async fetch(index) {
    const response = await fetch(`${this.address(index)}?${++asked}`);
    if (!response.ok) throw new Error(missing(index));
    return response.blob();
  }

  async load(index) {
    if (this.size) return this.shrink(index).catch((error) => { this.forget(index); throw error; });
    const picture = Object.assign(new Image(), { src: `${this.address(index)}?${++asked}` });
    try {
      await picture.decode(); // off the thread that draws
      return picture;
    } catch {
      this.forget(index);
      throw new Error(missing(index));
    }
  }

  forget(index) {
    this.pictures[index] = this.came[index] = undefined;
  }
}
