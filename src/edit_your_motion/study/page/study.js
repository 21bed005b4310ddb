/* The page of a participant: consent, comparisons, end. Text from the study reaches the page as text, never as HTML. */

const byId = (id) => document.getElementById(id);
const SECTIONS = ["consent", "task", "end", "problem"];
const KNOWN = "study-token";

/* Four videos that begin together, stay together and begin again together. The reference and the two results set how
   long a round lasts; the source may be of any length and is cut or held. */
class Playback {
  static TOLERANCE = 0.05; // seconds that a video may be off before it is put right

  constructor(videos) {
    this.videos = videos;
    this.paced = videos.filter((video) => video.id !== "source");
    this.running = false;
    this.paused = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.round = 0;
    this.onChange = () => {};
    setInterval(() => this.keepTogether(), 100);
  }

  async load(addresses) {
    this.stop();
    const round = this.round;
    await Promise.all(
      this.videos.map(
        (video) =>
          new Promise((resolve, reject) => {
            video.onloadeddata = resolve;
            video.onerror = () => reject(new Error("A video could not be loaded. Check your connection."));
            video.src = addresses[video.id];
            video.load();
          }),
      ),
    );
    if (round === this.round) await this.begin();
  }

  stop() {
    this.round += 1;
    this.running = false;
    for (const video of this.videos) video.pause();
  }

  async begin() {
    this.stop();
    const round = this.round;
    await Promise.all(this.videos.map(rewind));
    if (round !== this.round || this.paused) return this.onChange();
    try {
      await Promise.all(this.videos.map((video) => video.play()));
    } catch (error) {
      if (round !== this.round) return undefined; // stopped meanwhile, which is no failure
      if (error.name === "NotAllowedError") this.paused = true; // the browser wants to be asked by a tap first
    }
    this.running = round === this.round && !this.paused;
    return this.onChange();
  }

  toggle() {
    this.paused = !this.paused;
    if (this.paused) {
      this.running = false;
      for (const video of this.videos) video.pause();
      this.onChange();
    } else if (this.leader().ended) {
      this.begin();
    } else {
      this.running = true;
      for (const video of this.videos) if (!video.ended) video.play().catch(() => {});
      this.onChange();
    }
  }

  restart() {
    this.paused = false;
    return this.begin();
  }

  setSpeed(speed) {
    for (const video of this.videos) video.defaultPlaybackRate = video.playbackRate = speed;
  }

  leader() {
    return this.paced.reduce((longest, video) => (video.duration > longest.duration ? video : longest));
  }

  keepTogether() {
    if (!this.running) return;
    const leader = this.leader();
    if (leader.ended) {
      this.begin();
      return;
    }
    const now = leader.currentTime;
    for (const video of this.videos) {
      if (video === leader || video.seeking || now > video.duration - 2 * Playback.TOLERANCE) continue;
      if (Math.abs(video.currentTime - now) > Playback.TOLERANCE) video.currentTime = now;
      if (video.paused && !video.ended) video.play().catch(() => {});
    }
  }
}

function rewind(video) {
  if (video.currentTime === 0 && !video.ended) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => resolve(clearTimeout(late));
    const late = setTimeout(done, 2000); // some browsers report no seek of a clip of one frame
    video.addEventListener("seeked", done, { once: true });
    video.currentTime = 0;
  });
}

/* Answers on their way to the server; what does not get through is tried again until it does. */
class Outbox {
  constructor(token) {
    this.token = token;
    this.waiting = new Map();
    this.sending = false;
    this.onEmpty = () => {};
  }

  put(answer) {
    this.waiting.set(`${answer.position} ${answer.question}`, answer);
    this.send();
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    let pause = 1000;
    while (this.waiting.size) {
      const [key, answer] = this.waiting.entries().next().value;
      try {
        await ask("PUT", `/api/participants/${this.token}/answers`, answer);
        if (this.waiting.get(key) === answer) this.waiting.delete(key);
        pause = 1000;
      } catch (error) {
        if (error.status >= 400 && error.status < 500) {
          fail(error.message);
          break;
        }
        show("Not saved yet: no connection. Trying again …", true);
        await new Promise((resolve) => setTimeout(resolve, pause));
        pause = Math.min(2 * pause, 15000);
      }
    }
    this.sending = false;
    if (this.waiting.size) return;
    show("Saved");
    this.onEmpty();
  }
}

/* Seconds that a comparison has been in view; a hidden tab does not count. */
class Stopwatch {
  constructor() {
    this.reset();
    document.addEventListener("visibilitychange", () => this.turn());
  }

  reset() {
    this.sum = 0;
    this.since = document.hidden ? null : performance.now();
  }

  turn() {
    this.sum = this.seconds() * 1000;
    this.since = document.hidden ? null : performance.now();
  }

  seconds() {
    return (this.sum + (this.since === null ? 0 : performance.now() - this.since)) / 1000;
  }
}

async function ask(method, address, content) {
  const options = { method, headers: {}, cache: "no-store" };
  if (content !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(content);
  }
  const reply = await fetch(address, options);
  const body = await reply.json().catch(() => ({}));
  if (!reply.ok) throw Object.assign(new Error(body.error || "The server could not answer."), { status: reply.status });
  return body;
}

function open(name) {
  for (const section of SECTIONS) byId(section).hidden = section !== name;
  byId("progress").hidden = name !== "task";
}

function show(message, failing = false) {
  byId("saved").textContent = message;
  byId("saved").classList.toggle("failing", failing);
}

function fail(message) {
  byId("problem").textContent = message;
  byId("problem").hidden = false;
}

function remember(token) {
  try {
    if (token) localStorage.setItem(KNOWN, token);
    else localStorage.removeItem(KNOWN);
  } catch {
    return; // a browser that keeps nothing: the private link still works
  }
}

function recall() {
  try {
    return localStorage.getItem(KNOWN);
  } catch {
    return null;
  }
}

async function welcome() {
  const study = await ask("GET", "/api/study");
  document.title = byId("title").textContent = study.title;
  for (const paragraph of study.consent.split(/\n\s*\n/)) {
    const line = document.createElement("p");
    line.textContent = paragraph;
    byId("consent-text").append(line);
  }
  byId("amount").textContent = study.comparisons === 1 ? "1 comparison" : `${study.comparisons} comparisons`;
  const known = recall();
  if (known) {
    byId("known-link").href = `/p/${encodeURIComponent(known)}`;
    byId("known").hidden = false;
  }
  byId("agree").addEventListener("change", () => (byId("begin").disabled = !byId("agree").checked));
  byId("begin").disabled = !byId("agree").checked;
  byId("begin").addEventListener("click", async () => {
    byId("begin").disabled = true;
    try {
      const code = new URLSearchParams(location.search).get("code");
      const { token } = await ask("POST", "/api/participants", { agreed: byId("agree").checked, code });
      remember(token);
      location.assign(`/p/${token}`);
    } catch (error) {
      byId("begin").disabled = false;
      fail(error.message);
    }
  });
  open("consent");
}

class Task {
  constructor(token, state) {
    this.token = token;
    this.state = state;
    this.comparisons = state.comparisons;
    this.outbox = new Outbox(token);
    this.stopwatch = new Stopwatch();
    this.playback = new Playback(["source", "reference", "left", "right"].map(byId));
    this.playback.onChange = () => (byId("play").querySelector("span").textContent = this.playback.paused ? "Play" : "Pause");
    this.position = 0;
    this.active = 0;
    this.ready = false;
    byId("reference-title").textContent = state.reference_title;
    byId("link").value = location.href;
    this.connect();
  }

  connect() {
    byId("play").addEventListener("click", () => this.playback.toggle());
    byId("restart").addEventListener("click", () => this.playback.restart());
    byId("speed").addEventListener("change", (event) => this.playback.setSpeed(Number(event.target.value)));
    byId("back").addEventListener("click", () => this.turn(this.position - 1));
    byId("next").addEventListener("click", () => this.goOn());
    byId("again").addEventListener("click", () => this.turn(0));
    byId("copy").addEventListener("click", () => this.copyLink());
    byId("withdraw").addEventListener("click", () => byId("sure").showModal());
    byId("stay").addEventListener("click", () => byId("sure").close());
    byId("leave").addEventListener("click", () => this.withdraw());
    byId("keys").addEventListener("change", (event) => document.body.classList.toggle("keyless", !event.target.checked));
    byId("questions").addEventListener("submit", (event) => event.preventDefault());
    document.addEventListener("keydown", (event) => this.press(event));
    addEventListener("beforeunload", (event) => {
      if (this.outbox.waiting.size) event.preventDefault();
    });
  }

  get comparison() {
    return this.comparisons[this.position];
  }

  isAnswered(comparison) {
    return comparison.asked.every((name) => comparison.answers[name]);
  }

  start() {
    const first = this.comparisons.findIndex((comparison) => !this.isAnswered(comparison));
    if (first < 0) this.finish();
    else this.turn(first);
  }

  async turn(position) {
    if (position < 0 || position >= this.comparisons.length) return;
    this.position = position;
    this.ready = false;
    this.outbox.onEmpty = () => {};
    open("task");
    const { comparison } = this;
    byId("prompt").hidden = !comparison.asked.some((name) => this.state.questions[name].about === "prompt");
    byId("prompt-text").textContent = comparison.prompt || "";
    byId("back").disabled = position === 0;
    show("");
    this.layQuestions();
    this.countUp();
    scrollTo(0, 0);
    byId("loading").textContent = "Loading the videos …";
    try {
      await this.playback.load(comparison.clips);
    } catch (error) {
      if (position !== this.position) return;
      byId("loading").textContent = `${error.message} Then reload the page: your answers are saved.`;
      return;
    }
    if (position !== this.position) return;
    byId("loading").textContent = "";
    this.ready = true;
    this.stopwatch.reset();
    this.markActive();
    this.preload(this.comparisons[position + 1]);
  }

  layQuestions() {
    const { comparison } = this;
    byId("questions").replaceChildren();
    comparison.asked.forEach((name, index) => {
      const field = byId("question").content.firstElementChild.cloneNode(true);
      field.querySelector("legend").textContent = this.state.questions[name].text;
      for (const radio of field.querySelectorAll("input")) {
        radio.name = name;
        radio.checked = comparison.answers[name] === radio.value;
        radio.addEventListener("change", () => this.answer(index, radio.value));
        radio.addEventListener("focus", () => this.activate(index));
      }
      byId("questions").append(field);
    });
    this.active = Math.max(0, comparison.asked.findIndex((name) => !comparison.answers[name]));
    this.markActive();
  }

  countUp() {
    const done = this.comparisons.filter((comparison) => this.isAnswered(comparison)).length;
    byId("bar").max = this.comparisons.length;
    byId("bar").value = done;
    byId("count").textContent = `${this.position + 1} of ${this.comparisons.length}`;
  }

  activate(index) {
    this.active = (index + this.comparison.asked.length) % this.comparison.asked.length;
    this.markActive();
  }

  markActive() {
    const fields = byId("questions").querySelectorAll("fieldset");
    fields.forEach((field, index) => {
      field.classList.toggle("active", index === this.active);
      field.disabled = !this.ready;
    });
    byId("next").disabled = !this.isAnswered(this.comparison);
    byId("next").querySelector("span").textContent = this.position + 1 < this.comparisons.length ? "Next" : "Finish";
  }

  answer(index, choice) {
    if (!this.ready) return;
    const { comparison } = this;
    const question = comparison.asked[index];
    comparison.answers[question] = choice;
    byId("questions").querySelectorAll("fieldset")[index].querySelector(`[value=${choice}]`).checked = true;
    show("Saving …");
    this.outbox.put({ position: this.position, question, choice, seconds: this.stopwatch.seconds() });
    const open = comparison.asked.findIndex((name) => !comparison.answers[name]);
    this.active = open < 0 ? index : open;
    this.countUp();
    this.markActive();
  }

  goOn() {
    if (!this.isAnswered(this.comparison)) return;
    if (this.position + 1 < this.comparisons.length) this.turn(this.position + 1);
    else if (this.outbox.waiting.size) this.outbox.onEmpty = () => this.start(); // thanks come when all is saved
    else this.start(); // whatever was passed over comes first
  }

  press(event) {
    const wanted = byId("keys").checked && !byId("task").hidden && !byId("sure").open;
    if (!wanted || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const on = event.target;
    if (on.matches("select, #link, summary, a")) return;
    if (on.matches("button, [type=checkbox]") && [" ", "Enter"].includes(event.key)) return;
    const actions = {
      a: () => this.answer(this.active, "left"),
      ArrowLeft: () => this.answer(this.active, "left"),
      b: () => this.answer(this.active, "right"),
      ArrowRight: () => this.answer(this.active, "right"),
      ArrowUp: () => this.activate(this.active - 1),
      ArrowDown: () => this.activate(this.active + 1),
      Enter: () => this.goOn(),
      p: () => this.turn(this.position - 1),
      r: () => this.playback.restart(),
      " ": () => this.playback.toggle(),
    };
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action || (on.matches("[type=radio]") && event.key === " ")) return;
    event.preventDefault();
    action();
  }

  preload(comparison) {
    if (!comparison) return;
    this.coming = Object.values(comparison.clips).map((address) => {
      const video = document.createElement("video");
      video.muted = true;
      video.preload = "auto";
      video.src = address;
      return video;
    });
  }

  async copyLink() {
    byId("link").select();
    try {
      await navigator.clipboard.writeText(location.href);
      byId("copy").textContent = "Copied";
    } catch {
      byId("copy").textContent = "Press Ctrl+C"; // browsers give the clipboard to https only; the link is selected
    }
  }

  async withdraw() {
    byId("sure").close();
    try {
      await ask("DELETE", `/api/participants/${this.token}`);
    } catch (error) {
      fail(error.message);
      return;
    }
    this.outbox.waiting.clear();
    this.playback.stop();
    remember(null);
    leave();
  }

  finish() {
    this.playback.stop();
    end("Thank you", this.state.thanks);
    byId("again").hidden = false;
  }
}

function end(title, text) {
  byId("end-title").textContent = title;
  byId("end-text").textContent = text;
  byId("again").hidden = true;
  open("end");
  byId("end-title").focus();
}

function leave() {
  end("You have withdrawn", "Your answers are deleted. You can close this page.");
}

async function main() {
  const [, token] = location.pathname.match(/^\/p\/([\w-]+)$/) || [];
  try {
    if (!token) {
      await welcome();
      return;
    }
    const state = await ask("GET", `/api/participants/${token}`);
    document.title = byId("title").textContent = state.title;
    if (state.withdrawn) {
      leave();
      return;
    }
    remember(token);
    new Task(token, state).start();
  } catch (error) {
    open("problem");
    fail(error.message);
  }
}

main();
