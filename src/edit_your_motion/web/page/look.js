// Edits looked at side by side, in step, and compared.

import { attempt, by, drawCurve, fill, latest, make, Player } from "./dom.js";
import { ask, Frames } from "./server.js";
import { drawSkeleton } from "./skeleton.js";
import { Warnings } from "./warnings.js";

const FINE = 600;
const RATE = 8;
let jobs, looked, wiped;
const player = new Player("look-", () => {
  warned.stand();
  drawRows();
});
const warned = new Warnings(by("look-warnings"), by("look-line"), by("look-here"), player);

function framesOf(job, row) {
  return new Frames((index) => `/api/jobs/${job.id}/frames/${row}/${index}.jpg`, job.frames);
}

// Whether an edit could be opened; an error says why not.
export async function openLook(id) {
  const [job, skeletons, library] = await Promise.all([`/api/jobs/${id}`, `/api/jobs/${id}/keypoints/edited`, "/api/library"].map((path) => ask("GET", path)));
  jobs = library.jobs;
  looked = { ...job, skeletons, rows: Object.fromEntries(["source", "reference", "edited"].map((row) => [row, framesOf(job, row)])) };
  by("look-title").textContent = job.name;
  const names = ["source", "reference", "skeleton", "edited"];
  const { width, height } = skeletons; // the pictures' places have their shape before these have come
  by("rows").replaceChildren(...names.map((name) => make("figure", {}, make("figcaption", {}, name), make("canvas", { id: `row-${name}`, role: "img", ariaLabel: name, width, height }))));
  Object.assign(by("wiped"), { width, height });
  by("downloads").replaceChildren(...job.results.map((name) => make("a", { href: `/api/jobs/${job.id}/files/${name}`, download: name }, name)));
  if (job.tuned) by("downloads").append(make("a", { href: `/api/jobs/${job.id}/person.zip`, download: "person.zip" }, "person.zip"));
  by("scores").textContent = Object.entries(job.scores ?? {}).map(([part, values]) => `Scores of ${part}: ${Object.entries(values).map(([name, value]) => `${name} ${words(value)}`).join(", ")}`).join(". ");
  const others = jobs.filter((other) => other.state === "done" && other.kind !== "tune" && other.id !== job.id);
  fill(by("against"), [["source", "its source"], ...others.map((other) => [other.id, other.name])]);
  against();
  drawCurve(by("losses"), job.losses ?? [], Math.max(...(job.losses ?? []), 1e-9));
  by("losses").closest("figure").hidden = !job.losses?.length;
  player.start(skeletons.frames.length, RATE);
  warned.tell({ warnings: job.warnings ?? [], concerned: job.concerned ?? [] });
  for (const part of ["look-line", "look-here", "look-next-warning"]) by(part).toggleAttribute("hidden", !warned.some);
  return true;
}

export function closeLook() {
  player.play(false);
}

export function lookKey(event) {
  return player.key(event) || warned.key(event);
}

function against() {
  const other = jobs.find((job) => job.id === by("against").value);
  wiped = other ? framesOf(other, "edited") : looked.rows.source;
  by("differences").hidden = !other;
  if (other) attempt(() => compare(other));
  drawRows();
}

// What two edits were asked for and what came of them, where that differs.
function factsOf(job) {
  const seconds = Object.values(job.phases ?? {}).reduce((sum, phase) => sum + phase.seconds, 0);
  const scores = Object.entries(job.scores ?? {}).flatMap(([part, values]) => Object.entries(values).map(([name, value]) => [`${part}: ${name}`, value]));
  return { prompt: job.prompt, base: job.offer, frames: job.frames, ...job.settings, ...Object.fromEntries(scores), "seconds in all": Math.round(seconds) };
}

const words = (value) => (typeof value === "number" ? String(Number(value.toPrecision(4))) : typeof value === "string" ? value : JSON.stringify(value ?? null));

async function compare(other) {
  const here = factsOf(looked), there = factsOf(await ask("GET", `/api/jobs/${other.id}`));
  const names = Object.keys(here).filter((name) => name in there && words(here[name]) !== words(there[name]));
  const head = (text, scope) => make("th", { scope }, text);
  const row = (name) => make("tr", {}, head(name, "row"), make("td", {}, words(here[name])), make("td", {}, words(there[name])));
  by("differences").replaceChildren(
    make("caption", {}, names.length ? "What differs" : "Nothing differs in what was asked for"),
    make("thead", {}, make("tr", {}, make("td"), head(looked.name, "col"), head(other.name, "col"))),
    make("tbody", {}, ...names.map(row)),
  );
}

function put(canvas, picture) {
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.getContext("2d");
}

const drawRows = latest(async () => {
  const index = player.frame, opened = looked;
  const at = (frames) => frames.get(Math.min(index, frames.pictures.length - 1));
  const pictures = await attempt(() => Promise.all([at(looked.rows.source), at(looked.rows.reference), at(looked.rows.edited), at(wiped)]));
  if (!pictures || opened !== looked) return;
  const [source, reference, edited, other] = pictures;
  put(by("row-source"), source);
  put(by("row-reference"), reference);
  put(by("row-edited"), edited);
  const { width, height } = looked.skeletons;
  const skeleton = Object.assign(by("row-skeleton"), { width: FINE, height: Math.round((FINE * height) / width) }).getContext("2d");
  skeleton.fillRect(0, 0, skeleton.canvas.width, skeleton.canvas.height);
  const body = Object.fromEntries(Object.entries(looked.skeletons.frames[index].body).filter(([, point]) => point));
  drawSkeleton(skeleton, body, FINE / width, null, new Set());
  const context = put(by("wiped"), edited);
  const cut = Math.round((by("wipe").value / 100) * edited.naturalWidth);
  context.save();
  context.beginPath();
  context.rect(cut, 0, edited.naturalWidth - cut, edited.naturalHeight);
  context.clip();
  context.drawImage(other, 0, 0, edited.naturalWidth, edited.naturalHeight);
  context.restore();
  context.fillStyle = "#fff";
  context.fillRect(cut - 1, 0, 2, edited.naturalHeight);
});

by("against").onchange = against;
by("look-next-warning").onclick = () => warned.next();
by("wipe").oninput = () => { drawRows(); };

// The picture itself is wiped too.
by("wiped").onpointerdown = by("wiped").onpointermove = (event) => {
  if (event.type === "pointermove" && !event.buttons) return;
  const canvas = by("wiped"), box = canvas.getBoundingClientRect();
  canvas.setPointerCapture(event.pointerId);
  by("wipe").value = (100 * (event.clientX - box.left)) / box.width;
  drawRows();
};
