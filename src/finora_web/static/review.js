// The review by keys: one line at a time has the focus; a key presses the button that says the same.
"use strict";

(() => {
  const queue = document.getElementById("queue");
  if (!queue) return;
  const lines = () => [...queue.children];
  const here = () => document.activeElement.closest?.("#queue > li");
  const waits = (line) => line.querySelector(".waiting");
  let last = null; // that something was said of

  function go(line) {
    if (!line) return;
    line.focus();
    line.scrollIntoView({ block: "nearest" });
  }

  function step(by) {
    const all = lines();
    const at = all.indexOf(here());
    go(at < 0 ? all[0] : all[Math.min(Math.max(at + by, 0), all.length - 1)]);
  }

  const press = (line, key) => {
    const found = line?.querySelector(`[data-key="${key}"]`);
    if (found instanceof HTMLInputElement) found.focus();
    else found?.click();
    return Boolean(found);
  };

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches?.("input:not([type=checkbox]), select, textarea");
    if (event.key === "Escape" && typing && here()) {
      go(here());
      return;
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const line = here() ?? lines().find(waits);
    switch (event.key) {
      case "j": step(1); break;
      case "k": step(-1); break;
      case "a": case "o": press(line, event.key); break;
      case "r": case "u": press(line, event.key) || press(last, event.key); break;
      case "x": line?.querySelector(".tick input")?.click(); break;
      case "?": {
        const keys = document.getElementById("keys");
        keys.open = !keys.open;
        if (keys.open) keys.querySelector("summary").focus();
        break;
      }
      default: return;
    }
    event.preventDefault();
  });

  // What was said is told, and the next line that waits has the focus; a refusal keeps it here.
  document.addEventListener("htmx:after:swap", (event) => {
    const line = (event.detail?.ctx?.target ?? event.target)?.closest?.("#queue > li");
    if (!line) return;
    const back = line.querySelector("[data-back]");
    if (back) document.getElementById("said").textContent = back.textContent;
    if (waits(line)) {
      go(line);
      return;
    }
    last = line;
    document.getElementById("said").textContent = line.querySelector("p").textContent.replace(/\s+/g, " ").trim();
    const all = lines();
    const next = all.slice(all.indexOf(line)).find(waits) ?? all.find(waits);
    if (next) go(next);
    else document.getElementById("more").focus();
  });
})();
