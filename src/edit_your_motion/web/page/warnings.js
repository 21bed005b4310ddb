// Warnings at the frames that they are about: listed, marked on a line of all frames, and said where one stands.

import { button, make, mark } from "./dom.js";

export class Warnings {
  // `list` gets them all, `line` is an SVG as wide as the clip is long, `here` says what is wrong with a frame, and
  // `player` goes where somebody points.
  constructor(list, line, here, player) {
    Object.assign(this, { list, line, here, player, all: [] });
    line.onpointerdown = (event) => {
      const box = line.getBoundingClientRect();
      player.play(false);
      player.go(Math.min(player.count - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * player.count))));
    };
  }

  tell({ warnings, concerned = [] }) {
    const texts = JSON.stringify([warnings, concerned]);
    if (texts === this.told) return this.stand();
    this.told = texts;
    const count = this.player.count;
    this.all = warnings.map((text, index) => ({ text, frames: concerned[index] ?? [] }))
      .map((each) => (each.frames.length < count ? each : { ...each, frames: [] })); // what is about all of them is about none
    this.list.replaceChildren(...this.all.map(({ text, frames }) => {
      const item = make("li", {}, text);
      if (frames.length) item.append(" ", button(`Show frame ${frames[0] + 1}`, () => this.player.go(frames[0]), "small"));
      return item;
    }));
    this.stand();
  }

  // Whether something is wrong with some of the frames.
  get some() {
    return this.all.some((each) => each.frames.length);
  }

  key(event) {
    if (event.ctrlKey || event.key.toLowerCase() !== "w") return false;
    this.next();
    return true;
  }

  // The next frame of which something is wrong, round the end.
  next() {
    const frames = [...new Set(this.all.flatMap((each) => each.frames))].sort((one, other) => one - other);
    const at = frames.find((frame) => frame > this.player.frame) ?? frames[0];
    if (at !== undefined) this.player.go(at);
  }

  stand() {
    const { frame, count } = this.player;
    mark(this.line, count, new Set(this.all.flatMap((each) => each.frames)), frame);
    const wrong = this.all.filter((each) => each.frames.includes(frame)).map((each) => each.text);
    const text = wrong.length ? `Frame ${frame + 1}: ${wrong.join("; ")}` : "";
    if (this.here.textContent !== text) this.here.textContent = text;
  }
}
