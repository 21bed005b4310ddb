// A clip's frames with what was found in them, to be put right by mouse, finger or keyboard; saved at once.

import { attempt, by, drawCurve, latest, make, Player } from "./dom.js";
import { ask, Frames, insist } from "./server.js";
import { Warnings } from "./warnings.js";
import { drawSkeleton, isThere, JOINTS, meanConfidence, spread, swapSides } from "./skeleton.js";

const FINE = 900;
const FINEST = 1280;
const STEP = 1;
const FAR = 10;
const KEPT = 96;
const AHEAD = 12;
const TINT = "rgb(224 32 138 / 43%)";

let zoom = 1, clip, frames, rows, corrected, masks, overlays, done, undone, held, chosen = "nose", tool = "joints", cursor = [0, 0], seen, saving = Promise.resolve(), unsaved = 0;
const player = new Player("", () => {
  warned.stand();
  draw();
});
const warned = new Warnings(by("warnings"), by("confidence"), by("here"), player);
const canvas = by("canvas");
const context = canvas.getContext("2d");
const words = (joint) => joint.replace("_", " ");
by("joint").append(...JOINTS.map((joint) => make("option", { value: joint }, words(joint))));

// Whether a clip could be opened; an error says why not.
export async function openEditor(id) {
  const opened = await ask("GET", `/api/clips/${id}`); // corrections may have changed what is wrong with it
  if (!opened.prepared) throw new Error("The person was not found in this clip yet.");
  clip = opened;
  const { width, height, frames: count, fps } = clip.prepared;
  const content = await ask("GET", `/api/clips/${clip.id}/keypoints`);
  rows = content.frames.map((row) => ({ ...row, body: Object.fromEntries(Object.entries(row.body ?? {}).filter(([, point]) => point)) }));
  corrected = content.corrected;
  seen = { version: content.version, masks: content.masks }; // which of them all changes are made to
  masks = new Map();
  done = [];
  undone = [];
  zoom = Math.min(Math.max(1, FINE / width), FINEST / Math.max(width, height)); // fine lines over small pictures, no more than a screen shows
  canvas.width = Math.round(width * zoom);
  canvas.height = Math.round(height * zoom);
  frames = new Frames((index) => `/api/clips/${opened.id}/frames/${index}.jpg`, count, zoom < 1 && [canvas.width, canvas.height]);
  const shown = [Math.min(width, canvas.width), Math.min(height, canvas.height)];
  overlays = new Frames((index) => `/api/clips/${opened.id}/overlays/${index}.png`, count, shown, tint);
  canvas.parentElement.style.setProperty("--shape", width / height);
  cursor = [width / 2, height / 2];
  by("editor-title").textContent = clip.name;
  by("swap-from").max = by("swap-to").max = by("swap-to").value = count;
  by("said").textContent = "";
  delete by("said").dataset.saved;
  by("tool-mask").disabled = clip.role !== "source";
  by("tool-mask").title = clip.role === "source" ? "" : "Only the mask of a source plays a part.";
  pick("joints");
  curve();
  player.start(count, fps);
  warn(clip.prepared);
  return true;
}

function warn(about) {
  warned.tell(about);
  by("next-warning").hidden = !warned.some;
}

export function closeEditor() {
  player.play(false);
}

function curve() {
  drawCurve(by("confidence"), rows.map(meanConfidence), 1);
  warned.stand();
}

// The mask of a frame as a canvas that can be painted on: white where the person is, nothing elsewhere.
function maskOf(index) {
  const known = masks.get(index);
  if (known) return known;
  const { width, height } = clip.prepared, { id } = clip;
  const coming = saving.then(async () => { // after what is being saved, which may be this one
    const picture = await new Frames((frame) => `/api/clips/${id}/overlays/${frame}.png`, index + 1).get(index);
    const mask = make("canvas", { width, height });
    mask.getContext("2d").drawImage(picture, 0, 0);
    return mask;
  });
  coming.catch(() => masks.delete(index));
  keepMask(index, coming);
  return coming;
}

// A canvas for each frame of a long clip would fill the memory: the oldest are drawn anew when they are wanted.
function keepMask(index, mask) {
  masks.delete(index);
  masks.set(index, mask);
  if (masks.size > KEPT) masks.delete(masks.keys().next().value);
}

// What is laid over a frame: its mask in colour, as it is painted now or else as the server has it.
const overlayOf = (index) => (masks.has(index) ? masks.get(index).then(tint) : overlays.get(index));

function fetchAhead(index) {
  for (let ahead = 1; ahead <= AHEAD; ahead++) {
    const next = (index + ahead) % player.count;
    frames.get(next).catch(() => {});
    if (by("show-mask").checked) overlayOf(next).catch(() => {});
  }
}

const draw = latest(async () => {
  const index = player.frame, opened = clip;
  const shown = await attempt(() => Promise.all([frames.get(index), by("show-mask").checked ? overlayOf(index) : null]));
  if (!shown || opened !== clip) return;
  const [picture, overlay] = shown;
  context.globalAlpha = 1;
  context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  if (overlay) context.drawImage(overlay, 0, 0, canvas.width, canvas.height);
  if (by("show-skeleton").checked) {
    const here = new Set(Object.keys(corrected).filter((joint) => corrected[joint].includes(index)));
    drawSkeleton(context, rows[index].body, zoom, tool === "joints" ? chosen : null, here);
  }
  if (tool === "mask") {
    if (held?.points) {
      context.save();
      context.scale(zoom, zoom);
      context.globalAlpha = 0.4;
      stroke(context, held.points);
      context.restore();
    }
    context.strokeStyle = "#fff";
    context.lineWidth = 1.5;
    context.beginPath();
    context.arc(cursor[0] * zoom, cursor[1] * zoom, (by("brush").value / 2) * zoom, 0, 2 * Math.PI);
    context.stroke();
  }
  if (index === player.frame) fetchAhead(index);
});

// The person of a mask in colour, no finer than it is shown.
function tint(mask) {
  const width = Math.min(mask.width, canvas.width), height = Math.min(mask.height, canvas.height);
  const tinted = make("canvas", { width, height }), paint = tinted.getContext("2d");
  paint.drawImage(mask, 0, 0, width, height);
  paint.globalCompositeOperation = "source-in";
  paint.fillStyle = TINT;
  paint.fillRect(0, 0, width, height);
  return tinted;
}

// Changes that are done, undone and done again: each knows what was before and what is after.

function commit(change) {
  done.push(change);
  undone = [];
  save(change.after);
}

function step(from, to, which) {
  const change = from.pop();
  if (!change) return;
  to.push(change);
  restore(change[which]);
  by("said").textContent = which === "before" ? "Undone." : "Done again.";
}

function restore(state) {
  for (const [index, row] of state.rows ?? []) rows[index] = row;
  if (state.corrected) corrected = state.corrected;
  save(state);
}

// One after the other, so that the last word is the last that the server hears.
function save(state) {
  by("undo").disabled = !done.length;
  by("redo").disabled = !undone.length;
  const id = clip.id, known = seen, changes = done.length;
  unsaved++;
  saving = saving.then(() => attempt(() => send(state, id, known, changes))).finally(() => { unsaved--; });
  for (const [index, picture] of state.masks ?? []) {
    keepMask(index, Promise.resolve(copyOf(picture)));
    overlays.forget(index);
  }
  curve();
  draw();
}

// When all changes are saved or refused.
export const settled = () => saving;

// A change that is refused, because somebody else made another or the disk is full, goes from the page too, with those after it.
async function send(state, id, known, changes) {
  if (known.refused) return;
  try {
    if (state.rows) {
      const about = await insist("PATCH", `/api/clips/${id}/keypoints`, { frames: Object.fromEntries(state.rows), corrected: state.corrected, version: known.version });
      known.version = about.version;
      if (about.warnings && clip.id === id) warn(about);
    }
    for (const [index, picture] of state.masks ?? []) {
      const blob = await new Promise((resolve) => onBlack(picture).toBlob(resolve, "image/png"));
      known.masks[index] = (await insist("PUT", `/api/clips/${id}/masks/${index}.png?version=${known.masks[index]}`, blob, "image/png")).version;
    }
    by("said").dataset.saved = changes;
  } catch (error) {
    known.refused = true;
    if (seen === known) {
      const frame = player.frame;
      await openEditor(id);
      player.go(frame);
    }
    throw error;
  }
}

addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });

function list(indices) {
  const sorted = [...indices].sort((one, other) => one - other);
  return sorted.length === 1 ? `frame ${sorted[0] + 1}` : `frames ${sorted[0] + 1} to ${sorted.at(-1) + 1}`;
}

// Joints

function moveJoint(joint, from, to) {
  const index = player.frame;
  const others = (corrected[joint] ?? []).filter((other) => other !== index);
  const weights = spread(index, rows.length, others, Number(by("reach").value));
  const before = [], after = [];
  for (const [other, weight] of weights) {
    const row = other === index ? { ...rows[other], body: { ...rows[other].body, [joint]: [...from] } } : rows[other];
    if (!isThere(row.body, joint)) continue;
    const [x, y, confidence] = row.body[joint];
    const moved = [x + (to[0] - from[0]) * weight, y + (to[1] - from[1]) * weight, other === index ? 1 : confidence];
    before.push([other, row]);
    after.push([other, { ...row, body: { ...row.body, [joint]: moved } }]);
  }
  const marks = { ...corrected, [joint]: [...others, index] };
  const change = { before: { rows: before, corrected }, after: { rows: after, corrected: marks } };
  for (const [other, row] of after) rows[other] = row;
  corrected = marks;
  const followed = after.map(([other]) => other).filter((other) => other !== index);
  by("said").textContent = `${words(joint)} put right in frame ${index + 1}${followed.length ? `; followed in ${list(followed)}` : ""}.`;
  commit(change);
}

function hideJoint() {
  const index = player.frame;
  const row = rows[index];
  const body = { ...row.body };
  const there = isThere(body, chosen);
  if (there) delete body[chosen];
  else body[chosen] = [clip.prepared.width / 2, clip.prepared.height / 2, 1];
  const marks = { ...corrected, [chosen]: [...new Set([...(corrected[chosen] ?? []), index])] };
  changeRows([[index, { ...row, body }]], marks);
  by("said").textContent = `${words(chosen)} ${there ? "hidden" : "shown in the middle"} in frame ${index + 1}.`;
}

function swapRange() {
  const from = Number(by("swap-from").value) - 1, to = Number(by("swap-to").value) - 1;
  const range = rows.map((_, index) => index).filter((index) => index >= from && index <= to);
  if (!range.length) return;
  changeRows(range.map((index) => [index, swapSides(rows[index])]), corrected);
  by("said").textContent = `Left and right swapped in ${list(range)}.`;
}

function changeRows(after, marks) {
  const change = { before: { rows: after.map(([index]) => [index, rows[index]]), corrected }, after: { rows: after, corrected: marks } };
  for (const [index, row] of after) rows[index] = row;
  corrected = marks;
  commit(change);
}

// The mask

function copyOf(picture) {
  const copy = make("canvas", { width: picture.width, height: picture.height });
  copy.getContext("2d").drawImage(picture, 0, 0);
  return copy;
}

// A mask as it is kept: black where nobody is.
function onBlack(mask) {
  const whole = make("canvas", { width: mask.width, height: mask.height }), paint = whole.getContext("2d");
  paint.fillRect(0, 0, mask.width, mask.height);
  paint.drawImage(mask, 0, 0);
  return whole;
}

function stroke(paint, points) {
  paint.strokeStyle = by("erase").checked ? "#000" : "#fff";
  paint.lineWidth = by("brush").value;
  paint.lineCap = paint.lineJoin = "round";
  paint.beginPath();
  paint.moveTo(...points[0]);
  for (const point of points) paint.lineTo(...point);
  paint.stroke();
  paint.fillStyle = paint.strokeStyle;
  paint.beginPath(); // a stroke of no length draws nothing
  paint.arc(...points[0], by("brush").value / 2, 0, 2 * Math.PI);
  paint.fill();
}

async function paintStroke(points, index) {
  const last = Math.min(index + Number(by("carry").value), rows.length - 1);
  const before = [], after = [];
  for (let frame = index; frame <= last; frame++) {
    const was = copyOf(await maskOf(frame));
    const now = copyOf(was);
    const paint = now.getContext("2d");
    if (by("erase").checked) paint.globalCompositeOperation = "destination-out";
    stroke(paint, points);
    before.push([frame, was]);
    after.push([frame, now]);
  }
  by("said").textContent = `Mask ${by("erase").checked ? "erased" : "painted"} in ${list(after.map(([frame]) => frame))}.`;
  commit({ before: { masks: before }, after: { masks: after } });
}

// Mouse and finger

function placeOf(event) {
  const box = canvas.getBoundingClientRect();
  const { width, height } = clip.prepared;
  const within = (value, most) => Math.min(Math.max(value, 0), most);
  return [within(((event.clientX - box.left) / box.width) * width, width), within(((event.clientY - box.top) / box.height) * height, height)];
}

function nearest(place) {
  const body = rows[player.frame].body;
  const distance = (joint) => Math.hypot(body[joint][0] - place[0], body[joint][1] - place[1]);
  const near = JOINTS.filter((joint) => isThere(body, joint)).sort((one, other) => distance(one) - distance(other));
  const close = (24 * clip.prepared.width) / canvas.getBoundingClientRect().width;
  return near.length && distance(near[0]) < close ? near[0] : null;
}

canvas.onpointerdown = (event) => {
  player.play(false);
  canvas.setPointerCapture(event.pointerId);
  const place = placeOf(event);
  if (tool === "mask") {
    held = { points: [place] };
    cursor = place;
  } else {
    const joint = nearest(place);
    if (!joint) return;
    choose(joint);
    held = { joint, from: rows[player.frame].body[joint], frame: player.frame };
  }
  draw();
};

canvas.onpointermove = (event) => {
  const place = placeOf(event);
  if (tool === "mask") {
    cursor = place;
    held?.points.push(place);
  } else if (held) {
    const row = rows[player.frame];
    rows[player.frame] = { ...row, body: { ...row.body, [held.joint]: [...place, 1] } };
  }
  if (held || tool === "mask") draw();
};

canvas.onpointerup = canvas.onpointercancel = (event) => {
  if (!held) return;
  const was = held;
  held = null;
  if (was.points) attempt(() => paintStroke(was.points, player.frame));
  else {
    const row = rows[was.frame];
    const to = placeOf(event);
    rows[was.frame] = { ...row, body: { ...row.body, [was.joint]: was.from } };
    if (Math.hypot(to[0] - was.from[0], to[1] - was.from[1]) > 0.5) moveJoint(was.joint, was.from, to);
    else draw();
  }
};

// Keyboard and tools

function choose(joint) {
  chosen = joint;
  by("joint").value = joint;
  draw();
}

function pick(name) {
  tool = name;
  by("joint-tools").hidden = tool !== "joints";
  by("mask-tools").hidden = tool !== "mask";
  by("tool-joints").setAttribute("aria-pressed", tool === "joints");
  by("tool-mask").setAttribute("aria-pressed", tool === "mask");
  if (tool === "mask") by("show-mask").checked = true;
  if (frames) draw();
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export function editorKey(event) {
  if (event.ctrlKey) {
    if (event.key === "z") return step(done, undone, "before"), true;
    if (event.key === "y") return step(undone, done, "after"), true;
    return false;
  }
  if (player.key(event) || warned.key(event)) return true;
  const arrow = event.target === canvas && ARROWS[event.key];
  if (arrow) {
    const by_ = arrow.map((each) => each * (event.shiftKey ? FAR : STEP));
    if (tool === "mask") {
      cursor = [cursor[0] + by_[0], cursor[1] + by_[1]];
      draw();
    } else {
      const point = rows[player.frame].body[chosen];
      if (isThere(rows[player.frame].body, chosen)) moveJoint(chosen, point, [point[0] + by_[0], point[1] + by_[1]]);
    }
    return true;
  }
  if (event.target === canvas && event.key === "Enter" && tool === "mask") return attempt(() => paintStroke([cursor], player.frame)), true;
  const does = {
    j: () => pick("joints"), m: () => by("tool-mask").click(), h: hideJoint, x: swapRange,
    e: () => by("erase").click(),
    n: () => choose(JOINTS[(JOINTS.indexOf(chosen) + 1) % JOINTS.length]),
  }[event.key.toLowerCase()];
  does?.();
  return Boolean(does);
}

by("joint").onchange = () => choose(by("joint").value);
by("tool-joints").onclick = () => pick("joints");
by("tool-mask").onclick = () => pick("mask");
by("hide").onclick = hideJoint;
by("next-warning").onclick = () => warned.next();
by("swap").onclick = swapRange;
by("undo").onclick = () => step(done, undone, "before");
by("redo").onclick = () => step(undone, done, "after");
by("show-skeleton").onchange = by("show-mask").onchange = () => draw();
by("brush").oninput = () => { by("brush-size").textContent = `${by("brush").value} px`; draw(); };
by("brush-size").textContent = `${by("brush").value} px`;
