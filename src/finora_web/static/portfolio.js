// The picture of the portfolio: its value at the end of each day, over how much of that is known.
"use strict";

(() => {
  const place = document.querySelector("[data-course]");
  if (!place || !window.uPlot) return;
  const said = JSON.parse(place.dataset.course);
  const legend = document.querySelector(".legend.course");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Numbers serve the picture alone; what is read is the server's text.
  const values = said.values.map(Number);
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
  const tell = (index) => {
    const at = index ?? values.length - 1;
    legend.replaceChildren(
      Object.assign(document.createElement("strong"), { textContent: said.labels[at] }),
      Object.assign(document.createElement("span"), { className: "key net", textContent: said.shown[at] }),
    );
  };
  // One band for days in a row that are known alike; where all is, there is none.
  const shade = (u) => {
    const tones = { partial: colour("--c5"), estimated: colour("--out"), unknown: colour("--bad") };
    const { ctx, bbox } = u;
    ctx.save();
    ctx.globalAlpha = 0.18;
    let from = 0;
    for (let at = 1; at <= said.coverage.length; at += 1) {
      if (said.coverage[at] === said.coverage[from]) continue;
      const tone = tones[said.coverage[from]];
      if (tone) {
        const left = Math.max(u.valToPos(said.days[from], "x", true), bbox.left);
        const next = said.days[Math.min(at, said.days.length - 1)];
        const right = Math.min(u.valToPos(next, "x", true), bbox.left + bbox.width);
        ctx.fillStyle = tone;
        ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
      }
      from = at;
    }
    ctx.restore();
  };
  let plot = null;
  const draw = () => {
    plot?.destroy();
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false }, font: "12px system-ui, sans-serif" };
    plot = new window.uPlot({
      width: place.clientWidth, height: place.clientHeight,
      tzDate: (stamp) => window.uPlot.tzDate(new Date(stamp * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: values.length < 2 } },
      hooks: { setCursor: [(u) => tell(u.cursor.idx)], drawClear: [shade] },
      scales: { y: { range: (u, low, high) => [Math.min(low ?? 0, 0), (high || 1) * 1.06] } },
      axes: [{ ...axis, grid: { show: false } },
        { ...axis, size: 52, values: (u, at) => at.map((value) => short.format(value)) }],
      series: [{}, { stroke: colour("--accent"), width: 2, points: { show: values.length < 2 } }],
    }, [said.days, values], place);
    tell(null);
  };
  draw();
  new ResizeObserver(() => {
    if (place.clientWidth && place.clientWidth !== plot.width) {
      plot.setSize({ width: place.clientWidth, height: place.clientHeight });
    }
  }).observe(place);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
