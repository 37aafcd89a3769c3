// A session's page, a module: curves that share time axis, cursor and zoom, marks of what happened.

const root = $("[data-session-page]");
const id = root.dataset.sessionPage;
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const hour = new Intl.DateTimeFormat(lang, minutes);
const SCALE = { W: [1000, "kW", 1], Wh: [1000, "kWh", 2], "%": [1, "%", 0], A: [1, "A", 1], V: [1, "V", 0] };
const LINES = { "": "--charging", L1: "--charging", L2: "--busy", L3: "--reserved" };
const plots = new Map(); // section → uPlot
let given = [];
let lit = null; // the time of the event that is pointed at

const marks = () => $$("[data-mark]", root).map((one) => [Date.parse(one.dateTime) / 1000, one.dataset.mark]);

/** Vertical lines where something happened; dashed, and solid for the one that is pointed at. */
function drawMarks(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  for (const [at, level] of marks()) {
    const x = Math.round(plot.valToPos(at, "x", true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour({ bad: "--fault", warn: "--busy", good: "--free" }[level] ?? "--off");
    ctx.globalAlpha = at === lit ? 1 : 0.45;
    ctx.lineWidth = devicePixelRatio * (at === lit ? 2 : 1);
    ctx.setLineDash(at === lit ? [] : [3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

const offered = (one) => one.kind.endsWith("offered");
const shown = (value, unit) => (value == null ? "–" : `${fixed(value, SCALE[unit][2])} ${SCALE[unit][1]}`);

/** The values under the cursor, else the newest. */
function legend(section, plot, chosen) {
  const index = plot.cursor.idx;
  $("[data-values]", section).replaceChildren(...chosen.map((one, place) => {
    const values = plot.data[place + 1];
    const at = index ?? values.findLastIndex((value) => value != null);
    const text = document.createElement("span");
    text.textContent = `${one.phase} ${offered(one) ? "≤ " : ""}${shown(values[at], one.unit)}`.trim();
    if (chosen.length > 1) text.className = `line-${offered(one) ? "offered" : one.phase}`;
    return text;
  }));
}

function draw(section) {
  const kinds = section.dataset.kinds.split(" ");
  const chosen = given.filter((one) => kinds.includes(one.kind) && one.times.length > (one.kind === "energy" ? 1 : 0));
  plots.get(section)?.destroy();
  plots.delete(section);
  section.hidden = !chosen.length;
  if (!chosen.length) return;
  const body = $(".plot-body", section);
  const [divisor, unit] = SCALE[chosen[0].unit];
  const data = uPlot.join(chosen.map((one) => [one.times.map((ms) => ms / 1000), one.values.map((value) => value / divisor)]));
  const line = { stroke: colour("--line"), width: 1 };
  const axis = { stroke: colour("--soft"), grid: line, ticks: { show: false }, font: "11px system-ui, sans-serif" };
  const plot = new uPlot({
    width: Math.max(120, body.clientWidth),
    height: Math.max(90, body.clientHeight),
    padding: [8, 18, 0, 0],
    legend: { show: false },
    cursor: { sync: { key: "session", setSeries: false }, y: false, points: { size: 6 }, drag: { x: true, y: false } },
    scales: {
      x: { time: true },
      y: { range: (_, low, high) => unit === "V" && high ? [Math.floor(low * 0.98), Math.ceil(high * 1.02)] : [0, unit === "%" ? 100 : Math.max(high || 0, 0.5) * 1.08] },
    },
    axes: [
      { ...axis, size: 26, space: 64, values: (_, ticks) => ticks.map((at) => (ticks[1] - ticks[0] < 60 ? clocks.clock : hour).format(at * 1000)) },
      { ...axis, size: 58, space: 20, values: (_, ticks) => ticks.map((value) => `${value.toLocaleString(lang)} ${unit}`) },
    ],
    series: [{}, ...chosen.map((one) => ({
      stroke: colour(offered(one) ? "--soft" : LINES[one.phase] ?? "--charging"),
      width: offered(one) ? 1.2 : 1.7,
      dash: offered(one) ? [5, 4] : undefined,
      fill: chosen.length === 1 || one.kind === "power" ? colour("--charging-soft") : undefined,
      paths: offered(one) ? uPlot.paths.stepped({ align: 1 }) : uPlot.paths.linear(),
      points: { show: one.times.length === 1, size: 6 },
      spanGaps: true,
    }))],
    hooks: { draw: [drawMarks], setCursor: [(drawn) => legend(section, drawn, chosen)] },
  }, data, body);
  plots.set(section, plot);
  const values = chosen[0].values;
  body.setAttribute("aria-label", `${$("h3", section).textContent}: ${shown(Math.min(...values) / divisor, chosen[0].unit)} – ${shown(Math.max(...values) / divisor, chosen[0].unit)}`);
  legend(section, plot, chosen);
}

const redraw = () => $$("[data-kinds]", root).forEach(draw);

async function curves() {
  const state = $("[data-plots]", root);
  try {
    const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(id)}/curves?points=500`);
    if (!answer.ok) throw new Error(`curves: HTTP ${answer.status}`);
    given = (await answer.json()).series;
    redraw();
    state.dataset.plots = given.length ? "drawn" : "empty";
  } catch {
    state.dataset.plots = "failed";
  }
}

// --- the table of meter values and the timeline point into the curves
function point(event) {
  const item = event.target.closest?.("[data-event]");
  const at = item && event.type !== "mouseout" ? Date.parse($("time", item).dateTime) / 1000 : null;
  if (at === lit) return;
  lit = at;
  for (const plot of plots.values()) plot.redraw(false, false);
}
for (const kind of ["mouseover", "mouseout", "focusin"]) root.addEventListener(kind, point);

// --- live: the numbers are moved by live.js
let drawnAt = 0;
document.addEventListener("live:update", ({ detail }) => {
  const session = detail.sessions.find((one) => one.id === id);
  if (session && session.status !== "active") location.reload();
  else if (session && Date.now() - drawnAt > 2000) { drawnAt = Date.now(); curves(); }
  if (session || detail.events.length) $("#timeline").dispatchEvent(new Event("news"));
});

let width = 0;
new ResizeObserver(([entry]) => {
  if (entry.contentRect.width === width) return;
  width = entry.contentRect.width;
  for (const [section, plot] of plots) plot.setSize({ width: $(".plot-body", section).clientWidth, height: $(".plot-body", section).clientHeight });
}).observe($("[data-plots]", root));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
document.addEventListener("htmx:after:swap", () => plots.forEach((plot) => plot.redraw(false, false)));
curves();
