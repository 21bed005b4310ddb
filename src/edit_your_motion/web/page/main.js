// The page: which part of it is shown, the library's clips, and news from the server.

import { askWhich, attempt, by, button, fill, go, make, picture, show, sure, takes, weigh } from "./dom.js";
import { openEditor, closeEditor, editorKey } from "./editor.js";
import { alignKey } from "./align.js";
import { fillChoices } from "./asking.js";
import { showJobs, showProgress } from "./edits.js";
import { closeLook, lookKey, openLook } from "./look.js";
import { ask, listen } from "./server.js";
import { bring } from "./bringing.js";

const STATES = { incomplete: "not all of it has come", queued: "waits", running: "is being worked on", known: "choose its frames", paused: "paused", cancelled: "cancelled", failed: "failed", ready: "ready" };

for (const each of document.querySelectorAll("[data-view]")) each.onclick = () => go(each.dataset.view);
by("close-editor").onclick = () => go("clips");
by("close-look").onclick = () => go("edits");

// Where somebody is stands in the address: a reload stays there, and the browser's back and on lead through what was seen.
const OPENS = { editor: openEditor, look: openLook };
let arrivals = 0;

async function arrive() {
  const arrival = ++arrivals;
  const [view, id] = location.hash.slice(1).split("/");
  closeEditor();
  closeLook();
  by("sure").close();
  if (!OPENS[view] || !id) return show(view === "edits" ? "edits" : "clips");
  const opened = await attempt(() => OPENS[view](id));
  if (arrival !== arrivals) return;
  if (opened) return show(view);
  history.replaceState(null, "", view === "look" ? "#edits" : "#clips"); // it is there no more
  arrive();
}
addEventListener("popstate", arrive);
arrive();

const drawn = new Map();

function showClips(clips) {
  const list = by("clip-list");
  by("begin").hidden = clips.length > 0;
  const tiles = clips.map((clip) => {
    const text = JSON.stringify({ ...clip, disk: null, received: clip.complete || clip.received });
    const known = drawn.get(clip.id);
    if (known) known.disk = clip.disk ?? known.disk;
    if (known?.text === text) return sized(known); // what somebody is typing into it stays
    const tile = draw(clip);
    drawn.set(clip.id, { text, tile, disk: clip.disk });
    return sized(drawn.get(clip.id));
  });
  if (tiles.some((tile, index) => list.children[index] !== tile) || list.children.length !== tiles.length) list.replaceChildren(...tiles);
}

function sized({ tile, disk }) {
  const text = disk ? takes(disk) : "";
  const place = tile.querySelector(".disk");
  if (place.textContent !== text) place.textContent = text;
  return tile;
}

const THUMBNAIL = 96; // its longer side here
const STRIP_PICTURES = 12; // side by side, as the server draws them

function draw(clip) {
  const tile = make("li", { className: "card" });
  if (clip.facts) {
    const { width, height } = clip.facts, small = THUMBNAIL / Math.max(width, height);
    tile.append(picture(`/api/clips/${clip.id}/thumbnail.jpg`, small * width, small * height));
  }
  tile.append(make("h3", {}, clip.name));
  tile.append(make("p", { className: "soft" }, `${clip.role}, ${STATES[clip.state]}`));
  if (clip.facts) {
    const { width, height, frames, fps } = clip.facts;
    tile.append(make("p", { className: "soft" }, `${width}×${height}, ${frames ?? "?"} frames at ${fps.toFixed(2)}/s`));
  }
  tile.append(make("p", { className: "soft disk" }));
  if (clip.error) tile.append(make("p", { className: "problem" }, clip.error));
  if (clip.state === "incomplete") tile.append(make("p", {}, `${weigh(clip.received)} of ${weigh(clip.size)} have come. If nobody sends it any more, give the same file again: it goes on from there.`));
  if (clip.state === "running" || clip.state === "queued") tile.append(make("progress", { id: `progress-${clip.job}`, ariaLabel: `progress of ${clip.name}` }));
  const actions = make("div", { className: "row" });
  if (clip.prepared) actions.append(button("See and correct", () => go("editor", clip.id), "primary"));
  if (clip.facts && ["running", "queued"].includes(clip.state)) actions.append(button("Cancel", () => attempt(() => ask("POST", `/api/jobs/${clip.job}/cancel`))));
  actions.append(button("Change", () => change(clip, tile)), button("Delete", () => remove(clip), "danger"));
  if (clip.facts && !["running", "queued"].includes(clip.state)) tile.append(choose(clip));
  tile.append(actions);
  return tile;
}

function change(clip, tile) {
  const name = make("input", { value: clip.name, maxLength: 200, ariaLabel: "New name" });
  const role = make("select", { ariaLabel: "What it is for", disabled: Boolean(clip.prepared) });
  fill(role, ROLES.slice(1));
  role.value = clip.role;
  const form = make("form", { className: "row" }, name, role, make("button", {}, "Save"));
  form.onsubmit = (event) => {
    event.preventDefault();
    attempt(async () => {
      await ask("PATCH", `/api/clips/${clip.id}`, { name: name.value, role: role.value });
      form.replaceWith(make("h3", {}, name.value));
    });
  };
  tile.querySelector("h3")?.replaceWith(form);
  name.focus();
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
  form.append(make("div", { className: "choose" }, startLabel, countLabel, rateLabel, personLabel, button("Find the person", go, clip.prepared ? "" : "primary")));
  return form;
}

// Pictures from all over a clip with a start and an end, dragged or moved by keys; the numbers below follow, and lead.
function timeline(clip, seconds, start, count, pace, rate) {
  const { width, height } = clip.facts;
  const pictures = picture(`/api/clips/${clip.id}/strip.jpg`, STRIP_PICTURES * width, height, { draggable: false });
  const [before, after] = [make("div"), make("div")];
  const strip = make("div", { className: "strip" }, pictures, before, after);
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
  const { width, height } = clip.prepared;
  return make("div", { className: "people" }, picture(`/api/clips/${clip.id}/people.jpg?${clip.job}`, width, height), ...boxes);
}

async function remove(clip) {
  await attempt(async () => {
    const { disk } = await ask("GET", `/api/clips/${clip.id}`);
    if (!(await sure(`Delete ${clip.name}? That frees ${weigh(disk.frees)}. Edits that were made of it stay.`))) return;
    await ask("DELETE", `/api/clips/${clip.id}`);
  });
}

by("bring").onsubmit = (event) => event.preventDefault();
by("files").onchange = () => {
  bring([...by("files").files], by("role").value);
  by("files").value = "";
};

// Files may be dropped or pasted anywhere; where it is not plain what they are for, that is asked.
const isFiles = (data) => data?.types.includes("Files");
const ROLES = [["none", "Nothing"], ["source", "Source: the person to be edited"], ["reference", "Reference: the motion"], ["skeletons", "Reference as skeletons or keypoints"]];

async function take(files, there) {
  by("landing").hidden = true;
  if (!files.length || by("sure").open) return;
  const names = files.length === 1 ? files[0].name : `${files.length} files`;
  const role = there ? by("role").value : await askWhich(`What is ${names} for?`, ROLES);
  if (role === "none") return;
  go("clips");
  bring(files, role);
}

addEventListener("dragover", (event) => {
  if (!isFiles(event.dataTransfer)) return;
  event.preventDefault();
  by("landing").hidden = false;
  by("drop").classList.toggle("over", by("drop").contains(event.target));
});
addEventListener("dragleave", (event) => {
  if (event.relatedTarget) return; // it is still over the page
  by("landing").hidden = true;
  by("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  if (!isFiles(event.dataTransfer)) return;
  event.preventDefault();
  by("drop").classList.remove("over");
  take([...event.dataTransfer.files], by("drop").contains(event.target));
});
addEventListener("paste", (event) => { if (isFiles(event.clipboardData)) take([...event.clipboardData.files], false); });

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
    const sum = (all) => all.reduce((bytes, { disk }) => bytes + (disk?.size ?? 0), 0);
    by("disk").textContent = `${weigh(library.used)} of ${weigh(library.quota.all)} of disk`;
    by("disk").title = `Clips ${weigh(sum(library.clips))}, edits ${weigh(sum(library.jobs))}; what several share counts once in all.`;
    by("clips-size").textContent = library.clips.length ? weigh(sum(library.clips)) : "";
    by("edits-size").textContent = library.jobs.length ? weigh(sum(library.jobs)) : "";
    told = Object.fromEntries(library.jobs.filter((job) => job.progress).map((job) => [job.id, job.progress]));
    title();
  });
}

// The tab says how far it is, also when something else is looked at.
const TITLE = document.title;
let told = {};

function title() {
  const shares = Object.values(told).map((each) => each.overall);
  document.title = shares.length ? `${Math.floor(100 * Math.min(...shares))} % · ${TITLE}` : TITLE;
}

function hear(progress) {
  told = progress;
  title();
  showProgress(progress);
}

let waiting = false;
listen(() => {
  if (waiting) return;
  waiting = true;
  setTimeout(() => { waiting = false; refresh(); }, 100);
}, hear, (lost) => {
  by("lost").hidden = !lost;
  by("lost").textContent = lost;
});
