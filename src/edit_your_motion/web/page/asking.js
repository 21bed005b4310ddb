// What is asked for: an edit, a person, a motion, or a grid of edits; and what that would take.

import { attempt, by, fill, lasts, make } from "./dom.js";
import { alignment, showAlignment } from "./align.js";
import { settled } from "./editor.js";
import { sharesOf } from "./edits.js";
import { ask } from "./server.js";

const ROWS = [0, 1];
const PREVIEW = "sampling.preview_every";
let defaults = {};

export function fillChoices(library) {
  const ready = library.clips.filter((clip) => clip.prepared);
  const name = (clip) => [clip.id, `${clip.name} (${clip.prepared.frames} frames)`];
  fill(by("source"), ready.filter((clip) => clip.role === "source").map(name));
  fill(by("reference"), ready.filter((clip) => clip.role !== "source").map(name));
  fill(by("truth"), [["", "there is none"], ...ready.map(name)]);
  fill(by("person"), library.jobs.filter((job) => job.tuned || (job.kind === "tune" && !["failed", "cancelled"].includes(job.state))).map((job) => [job.id, job.name]));
  fill(by("offer"), Object.keys(library.offers).map((offer) => [offer, offer]));
  fill(by("preset"), [["", "as base or person have it"], ...library.presets.map((preset) => [preset, preset])]);
  const lacks = [["source", by("source")], ["reference", by("reference")]].filter(([, choice]) => !choice.length).map(([role]) => role);
  by("lacking").hidden = !lacks.length;
  by("lacking").textContent = `No ${lacks.join(" and no ")} is ready yet: bring one under Clips and find the person in it.`;
  if (!Object.keys(defaults).length) {
    defaults = library.settings;
    by("preview").value = defaults[PREVIEW];
    for (const row of ROWS) fill(by(`setting-${row}`), [["", "none"], ...Object.keys(defaults).map((each) => [each, each])]);
    takeUpDraft();
  }
  showAlignment();
}

// What somebody has filled in is there again after a reload.
const DRAFT = "draft of an edit";
const fields = () => by("ask").querySelectorAll("input[id], select[id]");

addEventListener("pagehide", () => {
  if (Object.keys(defaults).length) sessionStorage.setItem(DRAFT, JSON.stringify([...fields()].map((each) => [each.id, each.type === "checkbox" ? each.checked : each.value])));
});

function takeUpDraft() {
  for (const [id, value] of JSON.parse(sessionStorage.getItem(DRAFT) ?? "[]")) {
    const field = by(id);
    if (field?.type === "checkbox") field.checked = value;
    else if (field && (!field.options || [...field.options].some((option) => option.value === value))) field.value = value;
  }
  showFields();
}

function showFields() {
  for (const field of document.querySelectorAll("[data-for]")) field.hidden = !field.dataset.for.split(" ").includes(by("kind").value);
  showAlignment();
}

for (const id of ["source", "person", "reference"]) by(id).addEventListener("change", showAlignment);
by("kind").onchange = showFields;
by("alignment").ontoggle = showAlignment;
showFields();

for (const row of ROWS) {
  by(`setting-${row}`).onchange = () => {
    const name = by(`setting-${row}`).value;
    by(`values-${row}`).placeholder = name ? `${JSON.stringify(defaults[name])}, or several` : "";
  };
}

// A value as it is written: a number, true, false, null, or else a word.
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function varied() {
  const chosen = ROWS.map((row) => [by(`setting-${row}`).value, by(`values-${row}`).value]).filter(([name, text]) => name && text.trim());
  return Object.fromEntries(chosen.map(([name, text]) => [name, text.split(",").map((each) => each.trim()).filter(Boolean).map(read)]));
}

// The request of the form; settings of one value each are the edit's own, several make a grid.
function request() {
  const asked = { kind: by("kind").value, prompt: by("prompt").value, settings: {}, force: by("force").checked };
  if (by("frames").value) asked.frames = by("frames").valueAsNumber;
  if (by("preset").value) asked.preset = by("preset").value;
  if (asked.kind !== "tune" && by("truth").value) asked.truth = by("truth").value;
  for (const id of ["source", "person", "reference", "offer"]) {
    if (!by(id).closest("[data-for]").hidden) asked[id] = by(id).value;
  }
  const put = alignment();
  if (asked.kind !== "tune" && Object.keys(put).length) asked.settings.alignment = put;
  const every = by("preview").valueAsNumber;
  if (asked.kind !== "tune" && Number.isInteger(every) && every !== defaults[PREVIEW]) asked.settings.sampling = { preview_every: every };
  const vary = varied();
  const several = Object.values(vary).some((values) => values.length > 1);
  if (several) return { ...asked, vary };
  for (const [name, [value]] of Object.entries(vary)) {
    const path = name.split(".");
    const last = path.pop();
    const part = path.reduce((above, each) => (above[each] ??= {}), asked.settings);
    part[last] = value;
  }
  return asked;
}

by("ask").onsubmit = (event) => {
  event.preventDefault();
  attempt(async () => {
    by("asked").textContent = "";
    const asked = request();
    await settled(); // what was corrected a moment ago is the edit's too
    const made = await ask("POST", asked.vary ? "/api/grids" : "/api/jobs", asked);
    by("asked").textContent = asked.vary ? `${made.jobs.length} jobs wait for their turn.` : "It waits for its turn.";
  });
};

by("foresee").onclick = () => attempt(async () => {
  const { vary, ...asked } = request();
  by("foreseen").replaceChildren(make("p", {}, "Steps are being timed …"));
  await settled();
  try {
    const { estimate } = await ask("POST", "/api/estimate", asked);
    by("foreseen").replaceChildren(...describe(estimate, vary));
  } catch (error) {
    by("foreseen").replaceChildren();
    throw error;
  }
});

function describe(estimate, vary) {
  if (!estimate) return [make("p", {}, "Nothing of it takes long.")];
  const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  const all = Object.values(estimate.seconds).reduce((sum, each) => sum + each, 0);
  const [width, height] = estimate.size;
  const each = vary ? "Each edit of the grid, tuned by itself" : "All of it";
  const text = `${each}: about ${lasts(all)}, ${gigabytes(estimate.memory)} of memory, ${gigabytes(estimate.disk)} of disk; ${estimate.frames || estimate.source} frames of ${width}×${height}.`;
  return [make("p", {}, text), make("ul", { className: "phases" }, ...sharesOf(estimate))];
}
