// What keeps people out of the page as it is shown, in words; run by accessible.py.
() => {
  const shown = (e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  const name = (e) => (e.getAttribute("aria-label") ?? "").trim() ||
    (e.getAttribute("aria-labelledby") ?? "").split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "").join("").trim() ||
    [...(e.labels ?? [])].map((label) => label.textContent).join("").trim() || e.textContent.trim();
  const brief = (e) => e.outerHTML.slice(0, 120);
  const problems = [];
  const say = (what, e) => problems.push(`${what}: ${brief(e)}`);

  for (const e of all("button, a[href], input, select, textarea, progress, meter, canvas[tabindex], summary, [role=img], video")) if (!name(e)) say("no name", e);
  for (const e of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
    for (const id of (e.getAttribute("aria-labelledby") ?? e.getAttribute("aria-describedby")).split(/\s+/)) if (!document.getElementById(id)) say("names nothing", e);
  }
  for (const e of all("img")) if (!e.hasAttribute("alt")) say("a picture without words", e);
  for (const e of all("[tabindex]")) if (e.tabIndex > 0) say("an order of its own", e);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((each) => each === id).length > 1) problems.push(`twice: #${id}`);
  for (const e of all("button, select, summary, input:not([type=range])")) {
    const box = e.getBoundingClientRect();
    if (Math.min(box.height, box.width) < 18 || (box.height < 24 && !e.closest("label"))) say("too small to hit", e);
  }
  if (!document.documentElement.lang) problems.push("no language");
  if (all("h1").length !== 1 || !all("main").length) problems.push("no one heading, or no main part");

  const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const read = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    return [...parts.slice(0, 3), parts[3] ?? 1];
  };
  const over = ([r, g, b, a], below) => [r, g, b].map((value, at) => value * a + below[at] * (1 - a));
  const ground = (e) => {
    const below = e.parentElement ? ground(e.parentElement) : read(getComputedStyle(document.documentElement).colorScheme.startsWith("dark") ? "rgb(0,0,0)" : "rgb(255,255,255)").slice(0, 3);
    return over(read(getComputedStyle(e).backgroundColor), below);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !shown(e) || e.closest(".people, script, style, noscript, :disabled, option")) continue;
    const style = getComputedStyle(e), behind = ground(e);
    const [one, other] = [light(over(read(style.color), behind)), light(behind)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (other + 0.05);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    if (ratio < (large ? 3 : 4.5)) say(`contrast of ${ratio.toFixed(1)}`, e);
  }
  return problems;
}
