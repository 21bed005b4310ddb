// The page: which part of it is shown, the library's clips, and news from the server.

import { attempt, by, button, make, show, sure } from "./dom.js";
import { openEditor, closeEditor, editorKey } from "./editor.js";
import { showJobs, showProgress, fillChoices, closeLook, lookKey } from "./edits.js";
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
  const seconds = frames ? Math.max(0, (frames - 1) / fps) : 3600;
  const [startLabel, start] = field("from second", 0, { min: 0, max: seconds, step: 0.01 });
  const [countLabel, count] = field("frames", Math.min(frames ?? 16, 16), { min: 1, max: 600 });
  const [rateLabel, rate] = field("at frames/s", "", { min: 0.1, max: 240, step: "any", placeholder: fps.toFixed(1) });
  const [personLabel, person] = field("person from left", "", { min: 1, max: 100, placeholder: "largest" });
  const go = async () => {
    if (clip.prepared && !(await sure("Find the person anew? Corrections of this clip are lost."))) return;
    const asked = { start: start.valueAsNumber || 0, frames: count.valueAsNumber };
    if (rate.value) asked.fps = rate.valueAsNumber;
    if (person.value) asked.person = person.valueAsNumber;
    await attempt(() => ask("POST", `/api/clips/${clip.id}/preparation`, asked));
  };
  const form = make("details", { open: !clip.prepared }, make("summary", {}, "Frames and person"));
  form.append(make("div", { className: "choose" }, startLabel, countLabel, rateLabel, personLabel, button("Find the person", go)));
  return form;
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
  const taken = !by("editor").hidden ? editorKey(event) : !by("look").hidden ? lookKey(event) : false;
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
