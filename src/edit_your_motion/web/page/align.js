// The reference's motion on the source's person, live while it is put by hand.

import { attempt, by, latest, Player } from "./dom.js";
import { Warnings } from "./warnings.js";
import { ask, Frames } from "./server.js";
import { drawSkeleton } from "./skeleton.js";

const FINE = 600;
const WAIT = 120;
const NUMBERS = { size: 1, right: 0, down: 0 };
const canvas = by("align-canvas");
const player = new Player("align-", () => {
  warned.stand();
  draw();
});
const warned = new Warnings(by("align-said"), by("align-line"), by("align-here"), player);
let aligned, frames, shownFor, held, timer, asked = 0;

// The settings that are not as they would be by themselves.
export function alignment() {
  const chosen = {};
  for (const name of ["method", "place"]) if (by(`align-${name}`).value) chosen[name] = by(`align-${name}`).value;
  for (const [name, usual] of Object.entries(NUMBERS)) if (value(name) !== usual) chosen[name] = value(name);
  return chosen;
}

function value(name) {
  return by(`align-${name}`).valueAsNumber / 100;
}

function choice() {
  const source = by("kind").value === "apply" ? { person: by("person").value } : { source: by("source").value };
  return { ...source, reference: by("reference").value };
}

export function showAlignment() {
  for (const name of Object.keys(NUMBERS)) by(`align-${name}-says`).textContent = `${by(`align-${name}`).value} %`;
  const chosen = choice();
  if (by("alignment").hidden || !by("alignment").open || !Object.values(chosen).every(Boolean)) return player.play(false);
  clearTimeout(timer);
  timer = setTimeout(() => attempt(() => align(chosen)), WAIT);
}

async function align(chosen) {
  const turn = ++asked;
  const answer = await ask("POST", "/api/alignment", { ...chosen, alignment: alignment() });
  if (turn !== asked) return; // somebody went on dragging
  aligned = answer;
  const key = JSON.stringify(chosen);
  if (key !== shownFor) {
    shownFor = key;
    const address = chosen.person ? (index) => `/api/jobs/${chosen.person}/frames/source/${index}.jpg` : (index) => `/api/clips/${chosen.source}/frames/${index}.jpg`;
    frames = new Frames(address, Math.max(...aligned.shown) + 1);
    canvas.width = FINE;
    canvas.height = Math.round((FINE * aligned.height) / aligned.width);
    canvas.style.aspectRatio = `${aligned.width} / ${aligned.height}`;
    player.start(aligned.frames.length, aligned.fps);
  }
  warned.tell({ warnings: aligned.concerns, concerned: aligned.concerned });
  for (const part of ["align-line", "align-here"]) by(part).toggleAttribute("hidden", !warned.some);
  await draw();
}

const draw = latest(async () => {
  if (!aligned) return;
  const index = player.frame, scale = canvas.width / aligned.width;
  const picture = await attempt(() => frames.get(aligned.shown[index]));
  if (!picture || index >= aligned.frames.length) return;
  const context = canvas.getContext("2d");
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const body = Object.fromEntries(Object.entries(aligned.frames[index].body).filter(([, point]) => point));
  drawSkeleton(context, body, scale, null, new Set());
});

function move(right, down) {
  for (const [name, by_] of [["right", right], ["down", down]]) by(`align-${name}`).value = by(`align-${name}`).valueAsNumber + by_;
  showAlignment();
}

const shareOf = (event) => {
  const box = canvas.getBoundingClientRect();
  return [(100 * (event.clientX - box.left)) / box.width, (100 * (event.clientY - box.top)) / box.height];
};

canvas.onpointerdown = (event) => {
  player.play(false);
  canvas.setPointerCapture(event.pointerId);
  held = { at: shareOf(event), from: ["right", "down"].map((name) => by(`align-${name}`).valueAsNumber) };
};
canvas.onpointermove = (event) => {
  if (!held) return;
  const [x, y] = shareOf(event);
  by("align-right").value = held.from[0] + x - held.at[0];
  by("align-down").value = held.from[1] + y - held.at[1];
  showAlignment();
};
canvas.onpointerup = canvas.onpointercancel = () => { held = null; };

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function alignKey(event) {
  if (event.target !== canvas) return false;
  if (player.key(event)) return true;
  const arrow = ARROWS[event.key];
  if (arrow) move(...arrow.map((each) => each * (event.shiftKey ? 10 : 1)));
  return Boolean(arrow);
}

for (const name of ["method", "place", ...Object.keys(NUMBERS)]) by(`align-${name}`).oninput = showAlignment;
by("align-reset").onclick = () => {
  for (const name of ["method", "place"]) by(`align-${name}`).value = "";
  for (const [name, usual] of Object.entries(NUMBERS)) by(`align-${name}`).value = 100 * usual;
  showAlignment();
};
