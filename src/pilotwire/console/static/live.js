// The live page. Numbers move in place; what changes its shape (a status, a session that begins or ends) is drawn anew by
// the server, many cards with one request.
"use strict";

const state = { stations: new Map(), sessions: new Map(), filter: "all", search: "", detail: null };
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const kw = (watts) => (Math.round(watts / 100) / 10).toFixed(1);
const kwh = (wh) => wh < 100000 ? (Math.round(wh / 10) / 100).toFixed(2)
  : (Math.round(wh / 100) / 10).toLocaleString("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const put = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };

// --- time -----------------------------------------------------------------------------------------------------------
function span(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60000));
  if (minutes < 1) return "< 1 min";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor(minutes % 1440 / 60)} h`;
}
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const whole = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
let skew = 0; // the server's clock minus this browser's

function tell(root) {
  const now = Date.now() + skew;
  for (const time of $$("time", root)) {
    const at = new Date(time.dateTime);
    if ("since" in time.dataset || "for" in time.dataset) put(time, span(now - at));
    else if ("ago" in time.dataset) put(time, `${span(now - at)} ago`);
    else if ("clock" in time.dataset) put(time, clock.format(at));
    else if ("when" in time.dataset) put(time, whole.format(at));
    if (time.title || "ago" in time.dataset) time.title = at.toLocaleString();
  }
}

// --- cards ----------------------------------------------------------------------------------------------------------
const cards = new Map($$(".card").map((card) => [card.dataset.station, card]));

/** As `key_of` in view.py: what a card shows besides its moving numbers. */
function cardKey(station) {
  const parts = [+station.connected, +station.enabled, station.ocpp_version ?? "", station.vendor, station.model];
  for (const connector of station.connectors) {
    const session = state.sessions.get(connector.session_id ?? "");
    parts.push(connector.evse, connector.connector, connector.status, connector.error_code);
    if (session) parts.push(session.id, session.token, session.charging_state, +(session.soc_percent !== null));
  }
  return parts.join("|");
}

const stale = new Set();
let drawing = false;

async function drawStale() {
  if (drawing || !stale.size) return;
  drawing = true;
  await new Promise((done) => setTimeout(done, 120)); // what changes together is drawn together
  const ids = [...stale].slice(0, 60);
  for (const id of ids) stale.delete(id);
  try {
    const query = new URLSearchParams(ids.map((id) => ["id", id]));
    const answer = await fetch(`/ui/cards?${query}`);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const card of $$(".card", page)) place(document.importNode(card, true));
    for (const id of ids) if (state.stations.has(id)) numbers(state.stations.get(id));
    sift();
    if (ids.includes(state.detail)) await refreshPanel();
  } catch {
    setTimeout(() => { for (const id of ids) stale.add(id); drawStale(); }, 3000);
  }
  drawing = false;
  if (stale.size) drawStale();
}

function place(card) {
  const id = card.dataset.station;
  const old = cards.get(id);
  const focused = old?.contains(document.activeElement);
  if (old) {
    curves.release(old);
    old.replaceWith(card);
  } else {
    const after = [...cards].filter(([other]) => other > id).sort(([a], [b]) => (a < b ? -1 : 1))[0];
    $("#cards").insertBefore(card, after ? after[1] : null);
  }
  cards.set(id, card);
  window.htmx?.process(card);
  curves.adopt(card);
  tell(card);
  if (focused) $(".open", card).focus();
}

function drop(id) {
  const card = cards.get(id);
  if (!card) return;
  curves.release(card);
  card.remove();
  cards.delete(id);
}

/** The moving numbers of a station's card. */
function numbers(station) {
  const card = cards.get(station.id);
  if (!card) return;
  for (const connector of station.connectors) {
    const tile = $(`.tile[data-evse="${connector.evse}"][data-connector="${connector.connector}"]`, card);
    put(tile && $("[data-power]", tile), kw(connector.power_w));
  }
}

function check(station) {
  const card = cards.get(station.id);
  if (!card || card.dataset.key !== cardKey(station)) stale.add(station.id);
  else numbers(station);
}

function session(one) {
  curves.point(one);
  for (const box of $$(`[data-session="${CSS.escape(one.id)}"]`)) {
    put($("[data-energy]", box), kwh(one.energy_wh));
    if (one.soc_percent !== null) {
      put($("[data-soc]", box), one.soc_percent.toFixed(0));
      const bar = $("[data-soc-bar]", box);
      if (bar) bar.value = one.soc_percent;
    }
  }
  const id = CSS.escape(one.id);
  put($(`[data-detail-power="${id}"]`), kw(one.power_w));
  put($(`[data-detail-energy="${id}"]`), kwh(one.energy_wh));
  if (one.soc_percent !== null) put($(`[data-detail-soc="${id}"]`), one.soc_percent.toFixed(0));
}

// --- totals, news, filter -------------------------------------------------------------------------------------------
function totals(given) {
  skew = Date.parse(given.time) - Date.now();
  const text = { power_w: kw, energy_today_wh: kwh };
  for (const place of $$("[data-total]")) {
    const name = place.dataset.total;
    put(place, (text[name] ?? String)(given[name]));
  }
}

const NEWS = 40;
function news(lines, anew = false) {
  const list = $("#news");
  if (anew) list.replaceChildren();
  const known = new Set($$("li", list).map((line) => line.dataset.line));
  for (const line of anew ? lines : [...lines].reverse()) {
    const key = `${line.seq} ${line.type} ${line.summary}`;
    if (known.has(key)) continue;
    const item = document.createElement("li");
    item.className = line.level;
    item.dataset.line = key;
    const time = document.createElement("time");
    time.dateTime = line.time;
    time.dataset.clock = "";
    const who = document.createElement("b");
    who.textContent = line.station_id;
    item.append(time, " ", who, ` ${line.summary}`);
    if (anew) list.append(item);
    else list.prepend(item);
  }
  while (list.children.length > NEWS) list.lastElementChild.remove();
  $("#no-news").hidden = list.children.length > 0;
  tell(list);
}

function sift() {
  let seen = 0;
  for (const card of cards.values()) {
    const fits = (!state.search || card.dataset.search.includes(state.search))
      && (state.filter === "all"
        || (state.filter === "charging" && $(".tile.charging", card))
        || (state.filter === "trouble" && (card.classList.contains("away") || $(".tile.fault, .tile.off", card))));
    card.hidden = !fits;
    if (fits) seen += 1;
  }
  $("#nothing").hidden = seen > 0 || cards.size === 0;
  $("#empty").hidden = cards.size > 0;
}

$("#search").addEventListener("input", (event) => { state.search = event.target.value.trim().toLowerCase(); sift(); });
for (const button of $$("[data-filter]")) {
  button.addEventListener("click", () => {
    state.filter = button.dataset.filter;
    for (const other of $$("[data-filter]")) other.setAttribute("aria-pressed", String(other === button));
    sift();
  });
}

// --- the stream -----------------------------------------------------------------------------------------------------
function snapshot(picture) {
  state.stations = new Map(picture.stations.map((one) => [one.id, one]));
  state.sessions = new Map(picture.sessions.map((one) => [one.id, one]));
  for (const id of [...cards.keys()]) if (!state.stations.has(id)) drop(id);
  picture.stations.forEach(check);
  picture.sessions.forEach(session);
  totals(picture.totals);
  news(picture.events, true);
  tell(document); // the server's clock is known now
  drawStale();
  sift();
}

function update(change) {
  for (const one of change.sessions) {
    if (one.status === "active") state.sessions.set(one.id, one);
    else state.sessions.delete(one.id);
  }
  const touched = new Set(change.stations.map((one) => one.id));
  for (const one of change.stations) state.stations.set(one.id, one);
  for (const one of change.sessions) {
    session(one);
    if (state.stations.has(one.station_id)) touched.add(one.station_id);
  }
  for (const id of change.removed) { state.stations.delete(id); drop(id); }
  for (const id of touched) check(state.stations.get(id));
  totals(change.totals);
  news(change.events);
  drawStale();
}

let stream = null;
let trouble = 0;
let retry = 0;

function link(name, text) {
  $("#link").dataset.state = name;
  put($("#link-text"), text);
}

function lost() {
  link("lost", "not connected");
  if (!trouble) trouble = setTimeout(() => { $("#banner").hidden = false; }, 1500);
}

function connect() {
  clearTimeout(retry);
  stream?.close();
  stream = new EventSource("/api/v1/live");
  stream.addEventListener("open", () => {
    clearTimeout(trouble);
    trouble = 0;
    $("#banner").hidden = true;
    link("live", "live");
  });
  stream.addEventListener("snapshot", (event) => snapshot(JSON.parse(event.data)));
  stream.addEventListener("update", (event) => update(JSON.parse(event.data)));
  stream.addEventListener("error", () => {
    lost();
    if (stream.readyState !== EventSource.CLOSED) return; // the browser tries again by itself
    retry = setTimeout(async () => {
      const answer = await fetch("/api/v1/me").catch(() => null);
      if (answer?.status === 401) location.reload(); // the login is over
      else connect();
    }, 3000);
  });
}

// --- the panel ------------------------------------------------------------------------------------------------------
const panel = $("#detail");

/** The station in the panel has changed its shape: show it, but keep the last answer and whatever is being typed. */
async function refreshPanel() {
  const body = $("#detail-body");
  const focused = document.activeElement;
  if (!panel.open || $(".htmx-request", body)) return;
  if (body.contains(focused) && focused.matches("input, select")) return;
  const answer = await fetch(`/ui/stations/${encodeURIComponent(state.detail)}`);
  if (!answer.ok || !panel.open) return;
  const said = [...($("#answer")?.childNodes ?? [])];
  const token = $("[name=token]", body)?.value ?? "";
  curves.release(panel);
  body.innerHTML = await answer.text();
  $("#answer")?.replaceChildren(...said);
  const field = $("[name=token]", body);
  if (field) field.value = token;
  window.htmx?.process(body);
  curves.adopt(panel);
  tell(panel);
  if (!focused?.isConnected) $(".close", panel).focus();
}

document.addEventListener("click", (event) => {
  const opener = event.target.closest?.("[data-open]");
  if (opener) {
    state.detail = opener.closest(".card").dataset.station;
    curves.release(panel);
    $("#detail-body").innerHTML = '<p class="wait">Loading …</p>';
    panel.showModal();
  } else if (event.target === panel) {
    panel.close(); // a click beside the panel
  }
}, { capture: true });
panel.addEventListener("close", () => { state.detail = null; curves.release(panel); $("#detail-body").replaceChildren(); });
document.addEventListener("htmx:after:swap", () => {
  if (!panel.open) return;
  curves.adopt(panel);
  tell(panel);
});

tell(document);
curves.adopt(document);
setInterval(() => tell(document), 10000);
connect();
