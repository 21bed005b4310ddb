// The page: which part of it is shown, the library's clips, and news from the server.

import { attempt, by, button, make, show, sure } from "./dom.js";
import { openEditor, closeEditor, editorKey } from "./editor.js";
import { alignKey } from "./align.js";
import { fillChoices } from "./asking.js";
import { showJobs, showProgress } from "./edits.js";
import { closeLook, lookKey } from "./look.js";
import { ask, listen, send } from "./server.js";

const STATES = { incomplete: "not all of it has come", queued: "waits", running: "is being worked on", known: "choose its frames", paused: "paused", cancelled: "cancelled", failed: "failed", ready: "ready" };

for (const each of document.querySelectorAll("[data-view]")) {
  each.onclick = () => {
    closeEditor();
    closeLook();
    show(each.dataset.view);
  };
}
by("close-editor").onclick = () => { closeEditor(); show("clips"); };
by("close-look").onclick = () => { closeLook(); show("edits"); };

const drawn = new Map();

function showClips(clips) {
  const list = by("clip-list");
  const tiles = clips.map((clip) => {
    const text = JSON.stringify(clip);
    const known = drawn.get(clip.id);
    if (known?.text === text) return known.tile; // what somebody is typing into it stays
    const tile = draw(clip);
    drawn.set(clip.id, { text, tile });
    return tile;
  });
  if (tiles.some((tile, index) => list.children[index] !== tile) || list.children.length !== tiles.length) list.replaceChildren(...tiles);
}

function draw(clip) {
  const tile = make("li", { className: "card" });
  if (clip.facts) tile.append(make("img", { src: `/api/clips/${clip.id}/thumbnail.jpg`, alt: "" }));
  tile.append(make("h3", {}, clip.name));
  tile.append(make("p", { className: "soft" }, `${clip.role}, ${STATES[clip.state]}`));
  if (clip.facts) {
    const { width, height, frames, fps } = clip.facts;
    tile.append(make("p", { className: "soft" }, `${width}×${height}, ${frames ?? "?"} frames at ${fps.toFixed(2)}/s`));
  }
  if (clip.error) tile.append(make("p", { className: "problem" }, clip.error));
  if (clip.state === "running" || clip.state === "queued") tile.append(make("progress", { id: `progress-${clip.job}`, ariaLabel: `progress of ${clip.name}` }));
  const actions = make("div", { className: "row" });
  if (clip.prepared) actions.append(button("See and correct", () => attempt(() => edit(clip)), "primary"));
  actions.append(button("Delete", () => remove(clip), "danger"));
  if (clip.facts && !["running", "queued"].includes(clip.state)) tile.append(choose(clip));
  tile.append(actions);
  return tile;
}

// Which frames are taken, and whom of several people.
function choose(clip) {
  const { frames, fps } = clip.facts;
  const field = (text, value, properties) => {
    const input = make("input", { type: "number", value, ...properties });
    return [make("label", {}, text, input), input];
  };
  const seconds = frames ? frames / fps : 3600;
  const [startLabel, start] = field("from second", 0, { min: 0, max: seconds, step: 0.01 });
  const [countLabel, count] = field("frames", Math.min(frames ?? 16, 16), { min: 1, max: 600 });
  const [rateLabel, rate] = field("at frames/s", "", { min: 0.1, max: 240, step: "any", placeholder: fps.toFixed(1) });
  const [personLabel, person] = field("person from left", "", { min: 1, max: 100, placeholder: "largest" });
  const pace = () => rate.valueAsNumber || fps;
  const go = async () => {
    if (clip.prepared && !(await sure("Find the person anew? Corrections of this clip are lost.", "Find anew"))) return;
    const asked = { start: start.valueAsNumber || 0, frames: count.valueAsNumber };
    if (rate.value) asked.fps = rate.valueAsNumber;
    if (person.value) asked.person = person.valueAsNumber;
    await attempt(() => ask("POST", `/api/clips/${clip.id}/preparation`, asked));
  };
  const form = make("details", { open: !clip.prepared }, make("summary", {}, "Frames and person"));
  if (frames) form.append(timeline(clip, seconds, start, count, pace, rate));
  if (clip.prepared?.people) form.append(crowd(clip, person));
  form.append(make("div", { className: "choose" }, startLabel, countLabel, rateLabel, personLabel, button("Find the person", go)));
  return form;
}

// Pictures from all over a clip with a start and an end, dragged or moved by keys; the numbers below follow, and lead.
function timeline(clip, seconds, start, count, pace, rate) {
  const picture = make("img", { src: `/api/clips/${clip.id}/strip.jpg`, alt: "", draggable: false });
  const [before, after] = [make("div"), make("div")];
  const strip = make("div", { className: "strip" }, picture, before, after);
  const handle = (text) => make("input", { type: "range", min: 0, max: seconds, step: 0.01, ariaLabel: `${text} of ${clip.name}, seconds` });
  const from = handle("start"), to = handle("end");
  const said = make("output");
  const show = () => {
    before.style.width = `${(100 * from.value) / seconds}%`;
    after.style.width = `${100 - (100 * to.value) / seconds}%`;
    said.textContent = `${from.valueAsNumber.toFixed(2)} s to ${to.valueAsNumber.toFixed(2)} s`;
    for (const each of [from, to]) each.setAttribute("aria-valuetext", said.textContent);
  };
  const follow = () => {
    from.value = start.valueAsNumber || 0;
    to.value = from.valueAsNumber + (count.valueAsNumber || 1) / pace();
    show();
  };
  const lead = (moved) => {
    const least = 1 / pace(), most = Math.min(600, count.max) / pace();
    if (moved === from) to.value = Math.min(Math.max(to.valueAsNumber, from.valueAsNumber + least), from.valueAsNumber + most);
    else from.value = Math.max(Math.min(from.valueAsNumber, to.valueAsNumber - least), to.valueAsNumber - most);
    start.value = from.valueAsNumber.toFixed(2);
    count.value = Math.max(1, Math.round((to.valueAsNumber - from.valueAsNumber) * pace()));
    show();
  };
  for (const each of [from, to]) each.oninput = () => lead(each);
  for (const each of [start, count, rate]) each.oninput = follow;
  let held;
  const put = (event) => {
    const box = strip.getBoundingClientRect();
    const at = (seconds * (event.clientX - box.left)) / box.width;
    held ??= Math.abs(at - from.value) < Math.abs(at - to.value) ? from : to;
    held.value = at;
    lead(held);
  };
  strip.onpointerdown = (event) => { strip.setPointerCapture(event.pointerId); put(event); };
  strip.onpointermove = (event) => { if (held) put(event); };
  strip.onpointerup = strip.onpointercancel = () => { held = undefined; };
  follow();
  return make("div", { className: "timeline" }, strip, from, to, said);
}

// The people in a clip, to be chosen by clicking.
function crowd(clip, person) {
  const boxes = Object.entries(clip.prepared.people).map(([number, [left, top, right, bottom]]) => {
    const box = button(number, () => { person.value = number; mark(); });
    box.ariaLabel = `person ${number} of ${clip.name}`;
    Object.assign(box.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * (right - left)}%`, height: `${100 * (bottom - top)}%` });
    return box;
  });
  const mark = () => { for (const box of boxes) box.setAttribute("aria-pressed", box.textContent === person.value); };
  person.oninput = mark;
  mark();
  return make("div", { className: "people" }, make("img", { src: `/api/clips/${clip.id}/people.jpg?${clip.job}`, alt: "" }), ...boxes);
}

async function edit(clip) {
  await openEditor(clip);
  show("editor");
  by("canvas").focus();
}

async function remove(clip) {
  if (await sure(`Delete ${clip.name}? Edits that were made of it stay.`)) await attempt(() => ask("DELETE", `/api/clips/${clip.id}`));
}

async function bring(files) {
  for (const file of files) {
    const note = (share) => { by("bringing").textContent = `${file.name}: ${Math.round(100 * share)} %`; };
    note(0);
    await attempt(() => send(file, by("role").value, note));
  }
  by("bringing").textContent = "";
  by("files").value = "";
}

by("bring").onsubmit = (event) => event.preventDefault();
by("files").onchange = () => bring(by("files").files);
for (const [name, over] of [["dragover", true], ["dragleave", false], ["drop", false]]) {
  by("drop").addEventListener(name, (event) => {
    event.preventDefault();
    by("drop").classList.toggle("over", over);
    if (name === "drop") bring(event.dataTransfer.files);
  });
}

document.addEventListener("keydown", (event) => {
  const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select, textarea, dialog *");
  if (typing || event.altKey || event.metaKey) return;
  if (event.key === " " && event.target.matches("button, summary, [type=checkbox]")) return;
  const taken = !by("editor").hidden ? editorKey(event) : !by("look").hidden ? lookKey(event) : alignKey(event);
  if (taken) event.preventDefault();
});

async function refresh() {
  await attempt(async () => {
    const library = await ask("GET", "/api/library");
    showClips(library.clips);
    showJobs(library.jobs);
    fillChoices(library);
    by("disk").textContent = `${(library.used / 1e6).toFixed(0)} MB of disk`;
  });
}

let waiting = false;
listen(() => {
  if (waiting) return;
  waiting = true;
  setTimeout(() => { waiting = false; refresh(); }, 100);
}, showProgress);
