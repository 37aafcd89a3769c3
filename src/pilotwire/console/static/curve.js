// Power curves: history from the API once, new points as they come, one small uPlot per session that is on the screen.
"use strict";

const curves = (() => {
  const shown = new Map(); // element → {id, plot, times, powers}
  const hour = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  const WINDOW = 240; // seconds that a curve shows at least: a young one grows into its frame
  const KEEP = 600; // points of one curve; older ones are thinned by two

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function options(element, large) {
    const line = colour("--charging");
    const grid = { stroke: colour("--line"), width: 1 };
    const axis = { stroke: colour("--soft"), grid, ticks: { show: false }, font: "11px system-ui, sans-serif" };
    return {
      width: Math.max(40, element.clientWidth),
      height: Math.max(30, element.clientHeight),
      padding: large ? [8, 8, 0, 0] : [3, 0, 1, 0],
      legend: { show: false },
      cursor: large ? { y: false } : { show: false },
      select: { show: false },
      scales: { x: { time: true, range: (_, low, high) => [low, Math.max(high, low + WINDOW)] }, y: { range: (_, low, high) => [0, Math.max(high || 0, 0.5) * 1.08] } },
      axes: large
        ? [{ ...axis, size: 26, space: 64, values: (_, ticks) => ticks.map((v) => hour.format(v * 1000)) }, { ...axis, size: 54, values: (_, ticks) => ticks.map((v) => `${v} kW`) }]
        : [{ show: false }, { show: false }],
      series: [{}, {
        stroke: line,
        width: 1.6,
        fill: colour("--charging-soft"),
        points: { show: false },
        paths: uPlot.paths.linear(),
      }],
    };
  }

  function draw(element, curve) {
    curve.plot = new uPlot(options(element, curve.large), [curve.times, curve.powers], element);
  }

  async function start(element) {
    if (shown.has(element) || typeof uPlot === "undefined") return;
    const curve = { id: element.dataset.curve, large: "large" in element.dataset, times: [], powers: [], plot: null };
    shown.set(element, curve);
    try {
      const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(curve.id)}/curve?points=${curve.large ? 400 : 160}`);
      if (!answer.ok) throw new Error(`curve: HTTP ${answer.status}`);
      const history = (await answer.json()).points;
      const later = curve.times.map((time, index) => [time, curve.powers[index]]);
      const last = history.length ? Date.parse(history.at(-1).time) / 1000 : 0;
      curve.times = history.map((point) => Date.parse(point.time) / 1000);
      curve.powers = history.map((point) => point.power_w / 1000);
      for (const [time, power] of later) if (time > last) { curve.times.push(time); curve.powers.push(power); }
    } catch (error) {
      shown.delete(element); // the next look at it tries again
      return;
    }
    if (element.isConnected) draw(element, curve);
    else shown.delete(element);
  }

  function stop(element) {
    shown.get(element)?.plot?.destroy();
    shown.delete(element);
  }

  function add(curve, time, power) {
    const last = curve.times.at(-1);
    if (last !== undefined && time <= last) return;
    curve.times.push(time);
    curve.powers.push(power);
    if (curve.times.length > KEEP) {
      const keep = (_, index) => index % 2 === 0 || index > KEEP / 2;
      curve.times = curve.times.filter(keep);
      curve.powers = curve.powers.filter(keep);
    }
    curve.plot?.setData([curve.times, curve.powers]);
  }

  const watcher = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) start(entry.target);
  }, { rootMargin: "200px" });

  const sizer = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = shown.get(target)?.plot;
      if (plot && target.clientWidth) plot.setSize({ width: target.clientWidth, height: target.clientHeight });
    }
  });

  function redraw() {
    for (const [element, curve] of shown) {
      curve.plot?.destroy();
      draw(element, curve);
    }
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  return {
    /** Look after every curve below `root`. */
    adopt(root) {
      for (const element of root.querySelectorAll("[data-curve]")) {
        watcher.observe(element);
        sizer.observe(element);
      }
    },
    /** `root` is about to go. */
    release(root) {
      for (const element of root.querySelectorAll("[data-curve]")) {
        watcher.unobserve(element);
        sizer.unobserve(element);
        stop(element);
      }
    },
    /** A session's newest power. */
    point(session) {
      const time = Date.parse(session.updated_at) / 1000;
      if (!Number.isFinite(time)) return;
      for (const curve of shown.values()) if (curve.id === session.id) add(curve, time, session.power_w / 1000);
    },
  };
})();
