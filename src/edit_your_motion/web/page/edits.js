// The queue, and how what is in it goes.

import { attempt, by, button, complain, drawCurve, lasts, make, sure, svg } from "./dom.js";
import { openLook } from "./look.js";
import { ask } from "./server.js";

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
  if (job.state === "done" && job.kind !== "tune") actions.append(button("Look", () => attempt(() => openLook(job, jobs)), "primary"));
  if (["queued", "running"].includes(job.state)) move("Pause", "pause");
  if (["paused", "failed", "cancelled"].includes(job.state)) move("Go on", "resume");
  if (!OVER.includes(job.state)) move("Cancel", "cancel");
  const log = make("details", {}, make("summary", {}, "Log"), make("pre"));
  log.ontoggle = () => log.open && attempt(async () => { log.lastChild.textContent = (await ask("GET", `/api/jobs/${job.id}/log`)).log; });
  if (["queued", "running", "paused"].includes(job.state)) item.append(live(job));
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

export function showProgress(told) {
  for (const [id, each] of Object.entries(told)) {
    progress.set(id, each);
    const bar = by(`progress-${id}`), text = by(`told-${id}`);
    if (bar) bar.value = each.overall;
    refreshLive(id);
    if (text) text.textContent = `${each.phase}, ${each.done} of ${each.total}${each.left === null ? "" : `, about ${lasts(each.left)} left`}`;
  }
}

// What is known of a job on its way: loss, phases, and the motion as it is put on the person.

const LIVE = 3000;
const watched = new Map();

function live(job) {
  const curve = svg("losses", "Loss by step of tuning");
  const told = make("p", { className: "soft" }), phases = make("ul", { className: "phases" }), film = make("div");
  const panel = make("details", {}, make("summary", {}, "How it goes"), told, phases, curve, film);
  let last = 0;
  const read = async () => {
    if (!panel.open || Date.now() - last < LIVE) return;
    last = Date.now();
    const whole = await ask("GET", `/api/jobs/${job.id}`);
    const losses = whole.losses;
    curve.toggleAttribute("hidden", !losses.length);
    if (losses.length) drawCurve(curve, losses, Math.max(...losses));
    told.textContent = losses.length ? `Loss ${losses.at(-1).toPrecision(3)} after ${losses.length} steps of tuning` : "Nothing is tuned yet.";
    if (whole.outlook) phases.replaceChildren(...sharesOf(whole.outlook));
    const seen = whole.results.find((name) => name === "aligned.mp4");
    if (seen && !film.firstChild) {
      const video = make("video", { src: `/api/jobs/${job.id}/files/${seen}`, controls: true, muted: true, loop: true, ariaLabel: "The motion as it is put on the person" });
      film.append(make("p", { className: "soft" }, "The motion as it is put on the person"), video);
    }
  };
  panel.ontoggle = () => attempt(read);
  watched.set(job.id, read);
  return panel;
}

function refreshLive(id) {
  const read = watched.get(id);
  read?.().catch(complain); // what somebody did wrong stays on the page meanwhile
}

export function sharesOf(outlook) {
  const all = Object.values(outlook.seconds).reduce((sum, each) => sum + each, 0);
  return Object.entries(outlook.seconds).filter(([, seconds]) => seconds >= 0.005 * all).map(([name, seconds]) => {
    const share = Math.round((100 * seconds) / all);
    return make("li", {}, make("span", {}, `${name}: ${lasts(seconds)}, ${share} %`), make("meter", { min: 0, max: 100, value: share, ariaLabel: `${name}, share of the time` }));
  });
}
