// The queue, what is asked for, and edits looked at side by side.

import { attempt, by, button, drawCurve, make, Player, show, sure } from "./dom.js";
import { ask, Frames } from "./server.js";
import { drawSkeleton } from "./skeleton.js";

const OVER = ["done", "failed", "cancelled"];
let jobs = [];
const drawn = new Map();
const progress = new Map();

export function showJobs(given) {
  jobs = given;
  const items = [...jobs].reverse().map((job) => {
    const text = JSON.stringify({ ...job, progress: null });
    const known = drawn.get(job.id);
    if (known?.text === text) return known.item;
    const item = draw(job);
    drawn.set(job.id, { text, item });
    return item;
  });
  const list = by("job-list");
  if (list.children.length !== items.length || items.some((item, index) => list.children[index] !== item)) list.replaceChildren(...items);
  showProgress(Object.fromEntries(progress));
}

function draw(job) {
  const item = make("li", { className: "card" }, make("h3", {}, job.name));
  item.append(make("p", { className: "soft" }, [job.kind, job.state, job.frames && `${job.frames} frames`, job.offer].filter(Boolean).join(", ")));
  if (job.error) item.append(make("p", { className: "problem" }, job.error));
  if (job.state === "running") {
    item.append(make("progress", { id: `progress-${job.id}`, ariaLabel: `progress of ${job.name}` }), make("p", { id: `told-${job.id}`, className: "soft" }));
  }
  const actions = make("div", { className: "row" });
  const move = (text, to) => actions.append(button(text, () => attempt(() => ask("POST", `/api/jobs/${job.id}/${to}`))));
  if (job.state === "done" && job.kind !== "tune") actions.append(button("Look", () => attempt(() => openLook(job)), "primary"));
  if (["queued", "running"].includes(job.state)) move("Pause", "pause");
  if (["paused", "failed", "cancelled"].includes(job.state)) move("Go on", "resume");
  if (!OVER.includes(job.state)) move("Cancel", "cancel");
  const log = make("details", {}, make("summary", {}, "Log"), make("pre"));
  log.ontoggle = () => log.open && attempt(async () => { log.lastChild.textContent = (await ask("GET", `/api/jobs/${job.id}/log`)).log; });
  actions.append(button("Rename", () => rename(job, item)));
  if (job.state !== "running") actions.append(button("Delete", () => remove(job), "danger"));
  item.append(actions, log);
  return item;
}

function rename(job, item) {
  const name = make("input", { value: job.name, maxLength: 200, ariaLabel: "New name" });
  const form = make("form", { className: "row" }, name, make("button", {}, "Save"));
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(() => ask("PATCH", `/api/jobs/${job.id}`, { name: name.value }));
  };
  item.firstChild.replaceWith(form);
  name.focus();
}

async function remove(job) {
  if (await sure(`Delete ${job.name} and all that it made?`)) await attempt(() => ask("DELETE", `/api/jobs/${job.id}`));
}

function lasts(seconds) {
  if (seconds === null) return "";
  const minutes = Math.round(seconds / 60);
  return minutes >= 90 ? `, about ${Math.round(minutes / 60)} h left` : minutes >= 2 ? `, about ${minutes} min left` : `, about ${Math.ceil(seconds)} s left`;
}

export function showProgress(told) {
  for (const [id, each] of Object.entries(told)) {
    progress.set(id, each);
    const bar = by(`progress-${id}`), text = by(`told-${id}`);
    if (bar) bar.value = each.overall;
    if (text) text.textContent = `${each.phase}, ${each.done} of ${each.total}${lasts(each.left)}`;
  }
}

// What is asked for

function fill(select, options) {
  const kept = select.value;
  select.replaceChildren(...options.map(([value, text]) => make("option", { value }, text)));
  if (options.some(([value]) => value === kept)) select.value = kept;
}

export function fillChoices(library) {
  const ready = library.clips.filter((clip) => clip.prepared);
  const name = (clip) => [clip.id, `${clip.name} (${clip.prepared.frames} frames)`];
  fill(by("source"), ready.filter((clip) => clip.role === "source").map(name));
  fill(by("reference"), ready.filter((clip) => clip.role !== "source").map(name));
  fill(by("person"), library.jobs.filter((job) => job.tuned).map((job) => [job.id, job.name]));
  fill(by("offer"), Object.keys(library.offers).map((offer) => [offer, offer]));
}

function showFields() {
  for (const field of document.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(by("kind").value);
}

by("kind").onchange = showFields;
showFields();
by("ask").onsubmit = (event) => {
  event.preventDefault();
  const asked = { kind: by("kind").value, prompt: by("prompt").value };
  if (by("frames").value) asked.frames = by("frames").valueAsNumber;
  for (const id of ["source", "person", "reference", "offer"]) {
    if (!by(id).closest("[data-for]").hidden) asked[id] = by(id).value;
  }
  attempt(async () => {
    by("asked").textContent = "";
    await ask("POST", "/api/jobs", asked);
    by("asked").textContent = "It waits for its turn.";
  });
};

// Side by side

const FINE = 600;
let looked, wiped;
const player = new Player("look-", () => { drawRows(); });

function framesOf(job, row) {
  return new Frames((index) => `/api/jobs/${job.id}/frames/${row}/${index}.jpg`, job.frames);
}

async function openLook(job) {
  const whole = await ask("GET", `/api/jobs/${job.id}`);
  const skeletons = await ask("GET", `/api/jobs/${job.id}/keypoints/edited`);
  looked = { ...whole, skeletons, rows: Object.fromEntries(["source", "reference", "edited"].map((row) => [row, framesOf(job, row)])) };
  by("look-title").textContent = job.name;
  by("look-warnings").replaceChildren(...(whole.warnings ?? []).map((warning) => make("li", {}, warning)));
  const names = ["source", "reference", "skeleton", "edited"];
  by("rows").replaceChildren(...names.map((name) => make("figure", {}, make("figcaption", {}, name), make("canvas", { id: `row-${name}`, role: "img", ariaLabel: name }))));
  by("downloads").replaceChildren(...whole.results.map((name) => make("a", { href: `/api/jobs/${job.id}/files/${name}`, download: name }, name)));
  const others = jobs.filter((other) => other.state === "done" && other.kind !== "tune" && other.id !== job.id);
  fill(by("against"), [["source", "its source"], ...others.map((other) => [other.id, other.name])]);
  against();
  drawCurve(by("losses"), whole.losses ?? [], Math.max(...(whole.losses ?? []), 1e-9));
  by("losses").closest("figure").hidden = !whole.losses?.length;
  show("look");
  player.start(skeletons.frames.length, 8);
}

export function closeLook() {
  player.play(false);
}

export function lookKey(event) {
  return player.key(event);
}

function against() {
  const other = jobs.find((job) => job.id === by("against").value);
  wiped = other ? framesOf(other, "edited") : looked.rows.source;
  drawRows();
}

function put(canvas, picture) {
  canvas.width = picture.naturalWidth;
  canvas.height = picture.naturalHeight;
  canvas.getContext("2d").drawImage(picture, 0, 0);
  return canvas.getContext("2d");
}

async function drawRows() {
  const index = player.frame;
  const at = (frames) => frames.get(Math.min(index, frames.pictures.length - 1));
  const pictures = await attempt(() => Promise.all([at(looked.rows.source), at(looked.rows.reference), at(looked.rows.edited), at(wiped)]));
  if (!pictures || index !== player.frame) return;
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
}

by("against").onchange = against;
by("wipe").oninput = () => { drawRows(); };
