// The live stream: <body data-live="/api/v1/live"> opens it. Numbers move in place:
//   [data-total=NAME] of Totals; [data-session=ID] … [data-power] [data-energy] [data-soc] progress[data-soc-bar]
//   [data-station=ID] … [data-power]; [data-station=ID] [data-at="EVSE.CONNECTOR"] … [data-power]
//   [data-refresh="/ui/…"][data-watch="STATION"|"*"|"rows"]   asked for anew when a state changes: of that station, of
//     any, of one that has a [data-station] in it; [data-select="#id"] takes that part of the answer
// Others hear `live:update` (detail: LiveUpdate) on the document. `patch` brings pieces of a page by their ids.
"use strict";

const live = { stations: new Map(), sessions: new Map(), stream: null, retry: 0 };
const shown = { power_w: kw, energy_today_wh: kwh };

function totals(given) {
  shell.skew = Date.parse(given.time) - Date.now();
  for (const place of $$("[data-total]")) {
    const name = place.dataset.total;
    if (given[name] === undefined) continue;
    put(place, place.matches(".count") && !given[name] ? "" : (shown[name] ?? ((value) => value.toLocaleString(lang)))(given[name]));
  }
  const load = $("[data-load]");
  if (load) load.value = given.power_w;
}

function showSession(one) {
  for (const box of $$(`[data-session="${CSS.escape(one.id)}"]`)) {
    put($("[data-power]", box), kw(one.power_w));
    put($("[data-energy]", box), kwh(one.energy_wh));
    if (one.soc_percent !== null) {
      put($("[data-soc]", box), one.soc_percent.toFixed(0));
      const bar = $("[data-soc-bar]", box);
      if (bar) bar.value = one.soc_percent;
    }
  }
  for (const spark of $$(`[data-spark="${CSS.escape(one.id)}"]`)) point(spark, Date.parse(one.updated_at), one.power_w);
}
function showStation(one) {
  for (const box of $$(`[data-station="${CSS.escape(one.id)}"]`)) {
    put($("[data-station-power]", box), kw(one.power_w));
    for (const at of one.connectors) put($(`[data-at="${at.evse}.${at.connector}"] [data-power]`, box), kw(at.power_w));
  }
}

// <svg data-spark=SESSION>: the session's power, read once, then as it comes.
const sparks = new WeakMap();
async function spark(svg) {
  if (sparks.has(svg)) return;
  const line = [];
  sparks.set(svg, line);
  const answer = await fetch(`/api/v1/sessions/${encodeURIComponent(svg.dataset.spark)}/curve?points=120`).catch(() => null);
  if (!answer?.ok) { sparks.delete(svg); return; }
  line.unshift(...(await answer.json()).points.map((one) => [Date.parse(one.time), one.power_w]));
  point(svg);
}
function point(svg, time, power) {
  const line = sparks.get(svg);
  if (!line) return;
  if (time > (line.at(-1)?.[0] ?? 0)) line.push([time, power]);
  if (line.length > 400) line.splice(0, 200, ...line.slice(0, 200).filter((_, index) => index % 2));
  if (line.length < 2) return;
  const [start, end] = [line[0][0], Math.max(line.at(-1)[0], line[0][0] + 120000)];
  const top = Math.max(...line.map((one) => one[1]), 100) * 1.06;
  const path = line.map(([at, watts]) => `${((at - start) / (end - start) * 300).toFixed(1)},${(60 - watts / top * 60).toFixed(1)}`);
  svg.innerHTML = `<polygon points="0,60 ${path.join(" ")} ${path.at(-1).split(",")[0]},60"/><polyline points="${path.join(" ")}"/>`;
}
const sparkle = (root) => $$("[data-spark]", root).forEach(spark);

/** What a station shows besides its numbers: pieces that watch it are asked for anew when it changes. */
const shape = (one) => JSON.stringify(one, "connected enabled vendor model firmware firmware_status connectors evse connector status error_code session_id".split(" "));
const shapes = new Map();
const dirty = new Set();
let refreshing = 0;
function changed(id) {
  dirty.add(id);
  refreshing ||= setTimeout(refresh, live.stations.size > 500 ? 2000 : 400);
}
const concerns = (place, id) => place.dataset.watch === "*" || place.dataset.watch === id
  || (place.dataset.watch === "rows" && $(`[data-station="${CSS.escape(id)}"]`, place));
function refresh() {
  refreshing = 0;
  const ids = [...dirty];
  dirty.clear();
  for (const place of $$("[data-refresh]")) {
    const wanted = ids.filter((id) => concerns(place, id));
    if (!wanted.length) continue;
    const at = document.activeElement;
    if (place.contains(at) && at.matches("input:not([type=checkbox]), select, textarea") || $(".menu[open]", place)) { changed(wanted[0]); continue; }
    htmx.ajax("GET", place.dataset.refresh, { target: place, swap: "innerMorph", select: place.dataset.select && `${place.dataset.select} > *` });
  }
}
function take(stations, sessions, first) {
  for (const one of stations) {
    const now = shape(one);
    if (!first && shapes.get(one.id) !== now && (shapes.has(one.id) || $("[data-watch=rows]"))) changed(one.id);
    shapes.set(one.id, now);
    live.stations.set(one.id, one);
    showStation(one);
  }
  for (const one of sessions) {
    const known = live.sessions.get(one.id);
    if (!first && (!known || one.status !== "active" || known.charging_state !== one.charging_state)) changed(one.station_id);
    if (one.status === "active") live.sessions.set(one.id, one);
    else live.sessions.delete(one.id);
    showSession(one);
  }
}

const countsOf = (given) => JSON.stringify(given, "stations stations_online connectors connectors_faulted sessions_active".split(" "));
let known = false;
function snapshot(picture) {
  const before = [...live.stations.keys()];
  live.stations.clear();
  live.sessions.clear();
  take(picture.stations, picture.sessions, !known);
  for (const id of before) if (!live.stations.has(id)) changed(id);
  if (known) changed("*"); // something may have been missed
  known = true;
  totals(picture.totals);
  live.counts = countsOf(picture.totals);
  tell();
}
function update(change) {
  take(change.stations, change.sessions, false);
  for (const id of change.removed) { live.stations.delete(id); shapes.delete(id); changed(id); }
  const before = live.counts;
  live.counts = countsOf(change.totals);
  if (live.counts !== before || change.events.length) changed("*"); // these tell of what is new to the page
  totals(change.totals);
  document.dispatchEvent(new CustomEvent("live:update", { detail: change }));
}

function patch(pieces) {
  for (const id in pieces) $$("#" + id).forEach((place) => { place.innerHTML = pieces[id]; });
  tell();
}
function job(one) {
  if (one.ended_at) live.stream.close();
  changed("*");
}

function link(name) {
  const place = $("#link");
  place.hidden = false;
  place.dataset.state = name;
  put($("#link-text"), place.dataset[name]);
  reachable(name === "live");
}
function connect() {
  clearTimeout(live.retry);
  live.stream?.close();
  const stream = live.stream = new EventSource(document.body.dataset.live);
  stream.addEventListener("open", () => link("live"));
  for (const [name, hear] of Object.entries({ snapshot, update, job, patch })) stream.addEventListener(name, (event) => hear(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    link("lost");
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    live.retry = setTimeout(async () => {
      const answer = await fetch("/api/v1/me").catch(() => null);
      if (answer?.status === 401) location.reload(); // the login is over
      else connect();
    }, 3000);
  });
}
document.addEventListener("htmx:after:swap", () => sparkle(document));
sparkle(document);
if (document.body.dataset.live) connect();
addEventListener("visibilitychange", () => { // nobody looks: nothing is sent
  if (document.hidden) live.stream?.close();
  else if (live.stream?.readyState === 2) connect();
});
