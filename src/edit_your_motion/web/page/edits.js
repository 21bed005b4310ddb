// The queue, and how what is in it goes.

import { attempt, by, button, complain, drawCurve, go, lasts, make, sure, svg, takes, weigh } from "./dom.js";
import { ask } from "./server.js";

const OVER = ["done", "failed", "cancelled"];
let jobs = [];
const drawn = new Map();
const progress = new Map();

export function showJobs(given) {
  jobs = given;
  const items = [...jobs].reverse().map((job) => {
    const text = JSON.stringify({ ...job, progress: null, disk: null });
    const known = drawn.get(job.id);
    const item = known?.text === text ? known.item : draw(job, known?.item);
    if (job.disk) item.querySelector(".disk").textContent = takes(job.disk);
    drawn.set(job.id, { text, item });
    return item;
  });
  const list = by("job-list");
  if (list.children.length !== items.length || items.some((item, index) => list.children[index] !== item)) list.replaceChildren(...items);
  showProgress(Object.fromEntries(progress));
}

// What was opened of it before stays open.
function draw(job, before) {
  const item = make("li", { className: "card" }, make("h3", {}, job.name));
  item.append(make("p", { className: "soft" }, [KINDS[job.kind], STATES[job.state] ?? job.state, job.frames && `${job.frames} frames`, job.offer].filter(Boolean).join(", ")));
  item.append(make("p", { className: "soft disk" }));
  if (job.error) item.append(make("p", { className: "problem" }, job.error));
  if (job.state === "running") {
    item.append(make("progress", { id: `progress-${job.id}`, ariaLabel: `progress of ${job.name}` }), make("p", { id: `told-${job.id}`, className: "soft" }));
  }
  const actions = make("div", { className: "row" });
  const move = (text, to) => actions.append(button(text, () => attempt(() => ask("POST", `/api/jobs/${job.id}/${to}`))));
  if (job.state === "done" && job.kind !== "tune") actions.append(button("Look", () => go("look", job.id), "primary"));
  if (["queued", "running"].includes(job.state)) move("Pause", "pause");
  if (job.refused) move("Begin all the same", "insist");
  else if (["paused", "failed", "cancelled"].includes(job.state)) move("Go on", "resume");
  if (!OVER.includes(job.state)) move("Cancel", "cancel");
  const log = make("details", { className: "log" }, make("summary", {}, "Log"), make("pre"));
  log.ontoggle = () => log.open && attempt(async () => { log.lastChild.textContent = (await ask("GET", `/api/jobs/${job.id}/log`)).log; });
  const panel = job.state !== "done" && live(job);
  if (panel) item.append(panel);
  actions.append(button("Rename", () => rename(job, item)));
  if (job.state !== "running") actions.append(button("Delete", () => remove(job), "danger"));
  item.append(actions, log);
  if (panel) panel.open = before?.querySelector(".live")?.open ?? (job.state === "running" || job.refused);
  log.open = before?.querySelector(".log")?.open ?? false;
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
  await attempt(async () => {
    const { disk } = await ask("GET", `/api/jobs/${job.id}`);
    const what = job.tuned ? "its tuned person and all else that it made" : "all that it made";
    if (await sure(`Delete ${job.name}, ${what}? That frees ${weigh(disk.frees)}.`)) await ask("DELETE", `/api/jobs/${job.id}`);
  });
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
const KINDS = { edit: "edit", tune: "tuned person", apply: "motion of a tuned person" };
const STATES = { queued: "waits" };
const watched = new Map();

function live(job) {
  const curve = svg("losses", "Loss by step of tuning");
  const told = make("p", { className: "soft" }), phases = make("ul", { className: "phases" }), film = make("div");
  const panel = make("details", { className: "live" }, make("summary", {}, "How it goes"), told, phases, curve, film);
  const picture = make("img", { className: "preview", alt: "The edit so far: its middle frame, with the noise that it still has" });
  const preview = make("figure", { hidden: true }, make("figcaption", {}, "The edit so far: its middle frame"), picture);
  panel.append(preview);
  let last = -LIVE, pictured;
  const see = (stamp) => {
    if (!stamp || stamp === pictured) return;
    pictured = stamp;
    picture.src = `/api/jobs/${job.id}/files/preview.png?${stamp}`; // what is there stays until the next has come
    preview.hidden = false;
  };
  const read = async () => {
    if (!panel.open) return;
    see(progress.get(job.id)?.preview);
    if (performance.now() - last < LIVE) return;
    last = performance.now();
    const whole = await ask("GET", `/api/jobs/${job.id}`);
    const losses = whole.losses;
    curve.toggleAttribute("hidden", !losses.length);
    if (losses.length) drawCurve(curve, losses, Math.max(...losses));
    told.textContent = losses.length ? `Loss ${losses.at(-1).toPrecision(3)} after ${losses.length} steps of tuning` : "Nothing is tuned yet.";
    if (whole.estimate) phases.replaceChildren(...sharesOf(whole.estimate));
    if (whole.results.includes("preview.png")) see(progress.get(job.id)?.preview ?? "now");
    for (const [name, text] of FILMS.filter(([name]) => whole.results.includes(name) && !film.querySelector(`[data-name="${name}"]`))) {
      const video = make("video", { src: `/api/jobs/${job.id}/files/${name}`, controls: true, muted: true, loop: true, ariaLabel: text });
      const figure = make("figure", {}, make("figcaption", {}, text), video);
      figure.dataset.name = name;
      film.append(figure);
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

const FILMS = [["aligned.mp4", "The motion as it is put on the person"], ["overlay.mp4", "What was found in the source"]];

export function sharesOf(estimate) {
  const all = Object.values(estimate.seconds).reduce((sum, each) => sum + each, 0);
  return Object.entries(estimate.seconds).filter(([, seconds]) => seconds >= 0.005 * all).map(([name, seconds]) => {
    const share = Math.round((100 * seconds) / all);
    return make("li", {}, make("span", {}, `${name}: ${lasts(seconds)}, ${share} %`), make("meter", { min: 0, max: 100, value: share, ariaLabel: `${name}, share of the time` }));
  });
}
