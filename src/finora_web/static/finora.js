// The dashboard's own part: files that are dropped or chosen, the picture, and focus.
"use strict";

(() => {
  const said = document.getElementById("said");
  const say = (text) => {
    said.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => { said.textContent = ""; }, 8000);
  };

  // --- the picture of the cash flow ---

  const KINDS = [["income", "In"], ["expense", "Out"], ["net", "Left"]];
  let drawn = null;

  function draw() {
    const place = document.querySelector("[data-chart]");
    if (!place || !window.uPlot) return;
    if (drawn) drawn.watch.disconnect();
    place.replaceChildren();
    const said = JSON.parse(place.dataset.chart);
    const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    // Numbers serve the picture alone; what is read is the server's text.
    const series = KINDS.map(([kind]) => said.values[kind].map(Number));
    const places = said.labels.map((_, index) => index);
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false }, font: "12px system-ui, sans-serif" };
    const bars = (align) => window.uPlot.paths.bars({ size: [0.36, 28], align, radius: 0.12 });
    const tone = { income: colour("--in"), expense: colour("--out"), net: colour("--accent") };
    const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
    const legend = document.querySelector(".legend");
    const moved = places.filter((at) => series[0][at] || series[1][at]);
    const tell = (index) => {
      const at = index ?? moved.at(-1) ?? places.at(-1);
      const parts = [Object.assign(document.createElement("strong"), { textContent: said.labels[at] })];
      for (const [kind, name] of KINDS) {
        parts.push(Object.assign(document.createElement("span"),
          { className: `key ${kind}`, textContent: `${name} ${said.shown[kind][at]}` }));
      }
      legend.replaceChildren(...parts);
    };
    const plot = new window.uPlot({
      width: place.clientWidth, height: place.clientHeight,
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
      hooks: { setCursor: [(u) => tell(u.cursor.idx)] },
      scales: {
        x: { time: false, range: () => [-0.6, places.length - 0.4] },
        y: { range: (u, low, high) => {
          const [least, most] = [Math.min(low ?? 0, 0), Math.max(high ?? 0, 0)];
          const air = (most - least || 1) * 0.06;
          return [least < 0 ? least - air : 0, most > 0 ? most + air : 0];
        } },
      },
      axes: [
        { ...axis, grid: { show: false }, space: 62,
          incrs: [1, 2, 3, 6, 12, 24, 60, 120, 240],
          values: (u, at) => at.map((index) => said.labels[index] ?? "") },
        { ...axis, size: 52, values: (u, at) => at.map((value) => short.format(value)) },
      ],
      series: [{},
        { fill: tone.income, stroke: tone.income, width: 0, paths: bars(-1), points: { show: false } },
        { fill: tone.expense, stroke: tone.expense, width: 0, paths: bars(1), points: { show: false } },
        { stroke: tone.net, width: 2, points: { show: places.length < 40, size: 6, fill: tone.net } }],
    }, [places, ...series], place);
    tell(null);
    const watch = new ResizeObserver(() => {
      if (place.clientWidth && place.clientWidth !== plot.width) {
        plot.setSize({ width: place.clientWidth, height: place.clientHeight });
      }
    });
    watch.observe(place);
    drawn = { plot, watch };
  }

  // --- importing ---

  const list = document.getElementById("imports");
  const held = new WeakMap(); // of each line of the list: its file, and how it was sent
  const waiting = [];
  let busy = false;

  function take(files) {
    for (const file of files) add(file, {});
    next();
  }

  function add(file, asked, line = document.createElement("li")) {
    line.replaceChildren(document.getElementById("upload").content.cloneNode(true));
    line.querySelector("strong").textContent = file.name;
    line.querySelector("progress").setAttribute("aria-label", file.name);
    if (!line.isConnected) list.prepend(line);
    held.set(line, { file, asked });
    waiting.push(line);
    return line;
  }

  // One after the other: two files of one new account must not both open it.
  async function next() {
    if (busy) return;
    busy = true;
    while (waiting.length) {
      const line = waiting.shift();
      if (!line.isConnected) continue;
      try {
        await send(line);
      } catch (problem) {
        failed(line, problem);
      }
    }
    busy = false;
  }

  function send(line) {
    const { file, asked, job, key = fresh() } = held.get(line);
    held.set(line, { file, asked, job, key });
    const address = new URL("/api/v1/imports", location.origin);
    address.searchParams.set("name", file.name || "statement");
    for (const [name, value] of Object.entries(asked)) {
      address.searchParams.set(name, name === "answers" ? JSON.stringify(value) : value);
    }
    const body = new FormData();
    body.append("file", file);
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("Idempotency-Key", key);
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      const bar = line.querySelector("progress");
      if (!bar || !event.lengthComputable) return;
      bar.value = 100 * event.loaded / event.total;
      line.querySelector(".state").textContent = event.loaded < event.total ? "is sent" : "is kept";
    });
    return new Promise((done, fail) => {
      request.addEventListener("error", () => fail({ code: "NO_ANSWER", message: "The server did not answer" }));
      request.addEventListener("load", () => {
        const answer = request.response;
        if (request.status !== 202) {
          fail(answer?.error ?? { code: String(request.status), message: "The server refused the file" });
          return;
        }
        // The question of the job before is answered.
        if (job) fetch(`/parts/jobs/${job}/dismiss`, { method: "POST" });
        watch(line, answer.data.job_id, file.name).then(done);
      });
      request.send(body);
    });
  }

  // The server's own line takes over, and asks again until the job is over.
  function watch(line, job, name) {
    const kept = held.get(line);
    held.set(line, { file: kept.file, asked: kept.asked });
    const over = new Promise((done) => {
      line.addEventListener("finora:over", done, { once: true });
      setTimeout(done, 15000);
    });
    window.htmx.ajax("GET", `/parts/jobs/${job}?held=1&name=${encodeURIComponent(name)}`,
      { target: line, swap: "innerHTML" });
    return over;
  }

  function failed(line, problem) {
    const card = document.createElement("div");
    card.className = "job";
    const put = (tag, className, ...content) => {
      const made = document.createElement(tag);
      made.className = className;
      made.append(...content);
      card.append(made);
      return made;
    };
    const name = Object.assign(document.createElement("strong"), { textContent: held.get(line).file.name });
    const state = Object.assign(document.createElement("span"), { className: "state bad", textContent: "not sent" });
    const code = Object.assign(document.createElement("code"), { textContent: problem.code });
    put("p", "", name, " ", state);
    put("p", "", `${problem.message}. `, code);
    for (const { path, msg } of problem.details ?? []) put("p", "hint", `${path}: ${msg}`);
    const actions = put("p", "actions");
    for (const [label, act] of [
      ["Try again", () => { const kept = held.get(line); add(kept.file, kept.asked, line); held.set(line, kept); next(); }],
      ["Dismiss", () => line.remove()],
    ]) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: label });
      button.addEventListener("click", act);
      actions.append(button, " ");
    }
    line.replaceChildren(card);
    say(`${held.get(line).file.name}: ${problem.message}`);
  }

  const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

  function answer(event) {
    const form = event.target.closest("form[data-again]");
    if (!form) return;
    event.preventDefault();
    const line = form.closest("li");
    const { file, asked } = held.get(line) ?? {};
    if (!file) return;
    const said = { ...asked };
    for (const [name, value] of new FormData(form)) {
      if (name === "answers") said.answers = { ...asked.answers, ...JSON.parse(value) };
      else if (value.trim()) said[name] = value.trim();
      else delete said[name];
    }
    const job = form.closest("[data-job]").dataset.job;
    add(file, said, line);
    held.set(line, { file, asked: said, job });
    next();
  }

  if (list) {
    const chooser = document.getElementById("files");
    chooser.addEventListener("change", () => { take(chooser.files); chooser.value = ""; });
    let depth = 0;
    const brings = (event) => event.dataTransfer?.types.includes("Files");
    const lit = (on) => document.body.classList.toggle("dragging", on);
    document.addEventListener("dragenter", (event) => { if (brings(event)) { depth += 1; lit(true); } });
    document.addEventListener("dragleave", (event) => { if (brings(event)) { depth -= 1; lit(depth > 0); } });
    document.addEventListener("dragover", (event) => { if (brings(event)) event.preventDefault(); });
    document.addEventListener("drop", (event) => {
      if (!brings(event)) return;
      event.preventDefault();
      depth = 0;
      lit(false);
      take(event.dataTransfer.files);
    });
    list.addEventListener("submit", answer);
  }

  // --- after a part was renewed ---

  document.addEventListener("htmx:after:swap", () => {
    const chart = document.querySelector("[data-chart]");
    if (chart && !chart.firstChild) draw();
    for (const card of document.querySelectorAll("#imports [data-over]:not([data-told])")) {
      card.dataset.told = "";
      say(card.querySelector("p").textContent.replace(/\s+/g, " ").trim());
      card.closest("li").dispatchEvent(new Event("finora:over"));
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    event.target.closest?.("form")?.querySelector("[data-cancel]")?.click();
  });
  document.addEventListener("htmx:response:error", (event) => {
    const status = event.detail.ctx.response.status;
    if (status >= 500) say(`The server could not do that now (${status}). Try again.`);
  });
  document.addEventListener("htmx:error", () => say("The server did not answer. Try again."));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
