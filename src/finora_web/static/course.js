// A figure over days: a line that breaks where there is none, over bands of how much is known.
"use strict";

const course = (place) => {
  const said = JSON.parse(place.dataset.course);
  const legend = place.nextElementSibling;
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Numbers serve the picture alone; what is read is the server's text.
  const values = said.values.map((value) => value === null ? null : Number(value));
  const last = values.findLastIndex((value) => value !== null);
  const lone = values.filter((value) => value !== null).length < 2;
  const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 4 });
  const tell = (index) => {
    const at = index ?? last;
    legend.replaceChildren(
      Object.assign(document.createElement("strong"), { textContent: said.labels[at] }),
      Object.assign(document.createElement("span"), { className: "key net", textContent: said.shown[at] }),
    );
  };
  // One band for days in a row that are known alike; where all is, there is none. A day reaches
  // half the way to the next.
  const shade = (u) => {
    const tones = { partial: colour("--c5"), estimated: colour("--out"), unknown: colour("--bad") };
    const { ctx, bbox } = u;
    const edge = (at) => {
      const [a, b] = [said.days[at - 1] ?? said.days[at], said.days[at] ?? said.days[at - 1]];
      return Math.min(Math.max(u.valToPos((a + b) / 2, "x", true), bbox.left), bbox.left + bbox.width);
    };
    ctx.save();
    ctx.globalAlpha = 0.18;
    let from = 0;
    for (let at = 1; at <= said.known.length; at += 1) {
      if (said.known[at] === said.known[from]) continue;
      const tone = tones[said.known[from]];
      if (tone) {
        ctx.fillStyle = tone;
        ctx.fillRect(edge(from), bbox.top, Math.max(edge(at) - edge(from), 2), bbox.height);
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
    const range = (u, low, high) => [Math.min(low ?? 0, 0), (high || 1) * 1.06];
    plot = new window.uPlot({
      width: place.clientWidth, height: place.clientHeight,
      tzDate: (stamp) => window.uPlot.tzDate(new Date(stamp * 1000), "UTC"),
      legend: { show: false },
      cursor: { y: false, drag: { x: false, y: false }, points: { show: lone } },
      hooks: { setCursor: [(u) => tell(u.cursor.idx)], drawClear: [shade] },
      scales: said.from_zero ? { y: { range } } : {},
      axes: [{ ...axis, grid: { show: false } },
        { ...axis, size: 56, values: (u, at) => at.map((value) => short.format(value)) }],
      series: [{}, { stroke: colour("--accent"), width: 2, spanGaps: false, points: { show: lone } }],
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
};

if (window.uPlot) document.querySelectorAll("[data-course]").forEach(course);
