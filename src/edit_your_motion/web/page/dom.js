// Parts of the page by name, and small pieces of it made from text: nothing that anybody typed is ever read as HTML.

export const by = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function button(text, onClick, className = "") {
  return make("button", { type: "button", className, onclick: onClick }, text);
}

// A picture whose place is kept until it has come: nothing moves away under somebody's hand.
export function picture(src, width, height, properties = {}) {
  return make("img", { src, width: Math.round(width), height: Math.round(height), alt: "", ...properties });
}

// What went wrong stays in sight, wherever somebody has scrolled to, until it is read or another thing does.
export function complain(error) {
  by("problem").hidden = !error;
  by("problem-text").textContent = error ? error.message ?? String(error) : "";
}
by("problem-read").onclick = () => complain(null);

// The views of the page, of which one is shown.
const VIEWS = ["clips", "editor", "edits", "look"];

export function show(view) {
  if (by(view).hidden) scrollTo(0, 0);
  for (const name of VIEWS) by(name).hidden = name !== view;
  const tab = view === "editor" ? "clips" : view === "look" ? "edits" : view;
  for (const each of document.querySelectorAll("[data-view]")) each.setAttribute("aria-pressed", each.dataset.view === tab);
  if (view === "editor") by("canvas").focus();
}

// Goes to a view, of something where it shows one thing.
export function go(view, id) {
  const place = id ? `#${view}/${id}` : `#${view}`;
  if (location.hash !== place) history.pushState(null, "", place);
  dispatchEvent(new PopStateEvent("popstate"));
}

// Does something that may fail, and says so on the page.
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    complain(error);
  }
}

// Work that is asked for again while it is under way is done once more after it, as things are then: whoever scrubs faster
// than pictures come sees as many as can be shown, and none waits behind those that were passed.
export function latest(work) {
  let under = false, again = false;
  return async () => {
    again = true;
    if (under) return;
    under = true;
    try {
      while (again) {
        again = false;
        await work();
      }
    } finally {
      under = false;
    }
  };
}

let settle; // ends the question that is asked

// Asks which of some answers it is to be; the first is what nothing happens with.
export function askWhich(question, answers) {
  const dialog = by("sure");
  by("sure-title").textContent = question;
  by("answers").replaceChildren(...answers.map(([value, text, className]) => Object.assign(button(text, () => dialog.close(value), className), { id: `answer-${value}` })));
  settle?.(); // a question that was closed a moment ago, whose event is still to come
  dialog.returnValue = "";
  dialog.showModal();
  by("answers").firstChild.focus();
  dialog.onclose = () => { if (!dialog.open) settle?.(); };
  return new Promise((resolve) => {
    settle = () => {
      settle = undefined;
      resolve(dialog.returnValue || answers[0][0]);
    };
  });
}

export async function sure(question, action = "Delete", otherwise = "Keep it") {
  return (await askWhich(question, [["stay", otherwise], ["leave", action, "danger"]])) === "leave";
}

export function fill(select, options) {
  const kept = select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  if (options.some(([value]) => value === kept)) select.value = kept;
}

// Bytes as people say them.
export function weigh(bytes) {
  const [unit, size] = bytes >= 1e9 ? ["GB", bytes / 1e9] : bytes >= 1e6 ? ["MB", bytes / 1e6] : ["kB", bytes / 1e3];
  return `${size >= 100 || size === 0 ? Math.round(size) : size.toPrecision(2)} ${unit}`;
}

// What a clip or a job takes of the disk; what others share with it stays when it goes.
export function takes({ size, frees, person }) {
  return [weigh(size), person && `${weigh(person)} the person`, frees < size && `${weigh(size - frees)} shared with others`].filter(Boolean).join(", ");
}

// A duration as people say it.
export function lasts(seconds) {
  const minutes = seconds / 60;
  return minutes >= 90 ? `${(minutes / 60).toPrecision(2)} h` : minutes >= 2 ? `${Math.round(minutes)} min` : `${Math.ceil(seconds)} s`;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(className, label) {
  const drawing = document.createElementNS(SVG, "svg");
  for (const [name, value] of Object.entries({ class: className, role: "img", "aria-label": label, preserveAspectRatio: "none" })) drawing.setAttribute(name, value);
  return drawing;
}

// Draws a curve through values into an SVG, from left to right.
export function drawCurve(svg, values, most) {
  const width = Math.max(values.length - 1, 1);
  svg.setAttribute("viewBox", `0 0 ${width} 1`);
  const path = document.createElementNS(SVG, "path");
  const points = values.map((value, index) => `${index} ${(0.95 - (0.9 * value) / most).toFixed(4)}`);
  path.setAttribute("d", points.length ? `M${points.join("L")}` : "");
  svg.replaceChildren(path);
}

// Marks frames on a line of `count` of them, under whatever is drawn on it, and where one stands.
export function mark(svg, count, frames, here) {
  for (const old of svg.querySelectorAll("rect, line")) old.remove();
  const width = Math.max(count - 1, 1);
  svg.setAttribute("viewBox", `0 0 ${width} 1`);
  const put = (tag, properties) => {
    const shape = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(properties)) shape.setAttribute(name, value);
    return shape;
  };
  const wide = Math.max(1, width / 200); // a single one of many is still seen
  svg.prepend(...[...frames].map((frame) => put("rect", { x: frame - wide / 2, y: 0, width: wide, height: 1 })));
  svg.append(put("line", { x1: here, x2: here, y1: 0, y2: 1 }));
}

// Frame by frame or played, for whatever shows `count` frames.
export class Player {
  constructor(prefix, show) {
    this.prefix = prefix;
    this.show = show;
    this.frame = 0;
    this.count = 0;
    this.part("before").onclick = () => this.go(this.frame - 1);
    this.part("after").onclick = () => this.go(this.frame + 1);
    this.part("play").onclick = () => this.play(!this.timer);
    this.part("scrub").oninput = () => this.go(Number(this.part("scrub").value));
  }

  part(name) {
    return by(this.prefix + name);
  }

  start(count, fps) {
    this.play(false);
    this.count = count;
    this.fps = fps;
    this.part("scrub").max = count - 1;
    this.go(0);
  }

  go(frame) {
    if (!this.count) return; // what is to be shown has not come yet
    this.frame = (frame + this.count) % this.count;
    this.part("scrub").value = this.frame;
    this.part("where").textContent = `${this.frame + 1} of ${this.count}`;
    this.part("scrub").setAttribute("aria-valuetext", this.part("where").textContent);
    this.show(this.frame);
  }

  play(on) {
    clearInterval(this.timer);
    this.timer = on && this.count ? setInterval(() => this.go(this.frame + 1), 1000 / this.fps) : undefined;
    this.part("play").firstChild.data = this.timer ? "Pause " : "Play ";
  }

  key(event) {
    const does = { ",": () => this.part("before").click(), ".": () => this.part("after").click(), " ": () => this.part("play").click() };
    if (!does[event.key]) return false;
    does[event.key]();
    return true;
  }
}
