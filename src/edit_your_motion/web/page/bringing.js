// Files on their way into the library: how far each is, and sent again where it failed.

import { button, by, make } from "./dom.js";
import { send } from "./server.js";

let sending = Promise.resolve();

// One after the other: together they would come no sooner.
export function bring(files, role) {
  for (const file of files) {
    const bar = make("progress", { max: 1, value: 0, ariaLabel: `sending ${file.name}` });
    const said = make("span", { className: "soft" }, "waits");
    const item = make("li", { className: "card" }, make("b", {}, file.name), " ", said, bar);
    by("bringing").append(item);
    const go = () => { sending = sending.then(() => sendOne(file, role, item, bar, said, go)); };
    go();
  }
}

async function sendOne(file, role, item, bar, said, again) {
  const note = (share) => {
    bar.value = share;
    said.textContent = `${Math.round(100 * share)} %`;
  };
  note(0);
  try {
    await send(file, role, note);
    item.remove();
  } catch (error) {
    const close = () => item.remove();
    const retry = () => {
      failed.remove();
      said.textContent = "waits";
      again();
    };
    const failed = make("p", { className: "problem" }, `${error.message} `, button("Send again", retry), " ", button("Close", close));
    item.append(failed);
  }
}
