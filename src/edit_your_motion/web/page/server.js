// What is asked of the server, and what it says by itself.

export async function ask(method, path, body, type = "application/json") {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "Content-Type": type };
    options.body = type === "application/json" ? JSON.stringify(body) : body;
  }
  const response = await fetch(path, options);
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}

const PART = 1 << 22;

// Sends a file in parts, a part that failed again from where the server stands.
export async function send(file, role, onPart) {
  const clip = await ask("POST", "/api/clips", { name: file.name.slice(-200), role, size: file.size });
  let received = 0, failures = 0;
  while (received < file.size) {
    const path = `/api/clips/${clip.id}/content?offset=${received}`;
    try {
      const part = file.slice(received, received + PART);
      received = (await ask("PUT", path, part, "application/octet-stream")).received;
      failures = 0;
    } catch (error) {
      if (++failures > 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500 * failures));
      received = (await ask("GET", `/api/clips/${clip.id}`)).received;
    }
    onPart(received / file.size);
  }
}

export function listen(onChange, onProgress) {
  const events = new EventSource("/api/events");
  events.addEventListener("changed", onChange);
  events.addEventListener("progress", (event) => onProgress(JSON.parse(event.data)));
}

let asked = 0;

// Pictures of a clip's frames by number, kept as they come. A page keeps pictures by their address and does not ask whether
// they have changed, so that each time they are asked for they have an address of their own.
export class Frames {
  constructor(address, count) {
    this.address = address;
    this.pictures = new Array(count);
  }

  get(index) {
    this.pictures[index] ??= this.load(index);
    return this.pictures[index];
  }

  async load(index) {
    const picture = Object.assign(new Image(), { src: `${this.address(index)}?${++asked}` });
    try {
      await picture.decode(); // off the thread that draws
      return picture;
    } catch {
      this.forget(index);
      throw new Error(`frame ${index + 1} did not come`);
    }
  }

  forget(index) {
    this.pictures[index] = undefined;
  }
}
