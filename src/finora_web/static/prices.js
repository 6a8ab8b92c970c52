// The picture of a price: a line that breaks where nobody said one.
"use strict";

(() => {
  const place = document.querySelector("[data-price]");
  if (!place || !window.uPlot) return;
  const said = JSON.parse(place.dataset.price);
  const legend = document.querySelector(".legend.course");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Numbers serve the picture alone; what is read is the server's text.
  const values = said.values.map((value) => value === null ? null : Number(value));
  const last = values.findLastIndex((value) => value !== null);
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
  const tell = (index) => {
    const at = index ?? last;
    legend.replaceChildren(
      Object.assign(document.createElement("strong"), { textContent: said.labels[at] }),
      Object.assign(document.createElement("span"), { className: "key net", textContent: said.shown[at] }),
    );
  };
  // A band over each run of days without a price.
  const shade = (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.globalAlpha = 0.18;
    ctx.fillStyle = colour("--bad");
    const half = 43200;
    for (let at = 0; at < values.length; at += 1) {
      if (values[at] !== null) continue;
      const from = at;
      while (at + 1 < values.length && values[at + 1] === null) at += 1;
      const left = Math.max(u.valToPos(said.days[from] - half, "x", true), bbox.left);
      const right = Math.min(u.valToPos(said.days[at] + half, "x", true), bbox.left + bbox.width);
      ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
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
      cursor: { y: false, drag: { x: false, y: false } },
      hooks: { setCursor: [(u) => tell(u.cursor.idx)], drawClear: [shade] },
      axes: [{ ...axis, grid: { show: false } },
        { ...axis, size: 56, values: (u, at) => at.map((value) => short.format(value)) }],
      series: [{}, { stroke: colour("--accent"), width: 2, spanGaps: false }],
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
