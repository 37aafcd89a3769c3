// The frame: times in the viewer's zone, menus and dialogs, command palette, shortcuts, rows and selection, toasts.
// Markup: <time data-when|ago|since|clock>, [data-dialog=ID], [data-copy], tr[data-href], input[data-select].
"use strict";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const lang = document.documentElement.lang || "en";
const put = (element, text) => { if (element && element.textContent !== text) element.textContent = text; };
const fixed = (value, digits) => value.toLocaleString(lang, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const kw = (watts) => fixed(Math.round(watts / 100) / 10, 1);
const kwh = (wh) => wh < 100000 ? fixed(Math.round(wh / 10) / 100, 2) : fixed(Math.round(wh / 100) / 10, 1);

// --- time
const minutes = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const days = { day: "numeric", month: "short", ...minutes };
const clocks = {
  clock: new Intl.DateTimeFormat(lang, { ...minutes, second: "2-digit" }),
  when: new Intl.DateTimeFormat(lang, days),
  year: new Intl.DateTimeFormat(lang, { ...days, year: "numeric" }),
  full: new Intl.DateTimeFormat(lang, { dateStyle: "full", timeStyle: "long" }),
  past: new Intl.RelativeTimeFormat(lang, { style: "short", numeric: "auto" }),
};
const shell = { skew: 0 }; // the server's clock minus this browser's

function span(ms) {
  const minutes = Math.max(0, Math.floor(ms / 60000));
  if (minutes < 1) return "< 1 min";
  if (minutes < 60) return `${minutes} min`;
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return `${Math.floor(minutes / 1440)} d ${Math.floor(minutes % 1440 / 60)} h`;
}
function ago(ms) {
  const s = Math.max(0, ms / 1000);
  for (const [size, unit] of [[86400, "day"], [3600, "hour"], [60, "minute"]]) if (s >= size) return clocks.past.format(-Math.floor(s / size), unit);
  return clocks.past.format(-Math.floor(s / 5) * 5 || 0, "second");
}
/** Show every <time> below `root`. */
function tell(root = document) {
  const now = Date.now() + shell.skew;
  for (const time of $$("time", root)) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(+at)) continue;
    const data = time.dataset;
    if ("since" in data) put(time, span((data.until ? Date.parse(data.until) : now) - at));
    else if ("ago" in data) put(time, ago(now - at));
    else if ("clock" in data) put(time, clocks.clock.format(at));
    else if ("when" in data) put(time, (now - at > 3e10 ? clocks.year : clocks.when).format(at));
    if (!time.title) time.title = clocks.full.format(at);
  }
}

// --- toasts, banner
function toast(level, text) {
  const said = document.createElement("p");
  said.className = `toast ${level}`;
  said.textContent = text;
  $("#toasts").append(said);
  fade(said);
}
const fade = (said) => setTimeout(() => said.remove(), 4000 + said.textContent.length * 60);
let lostTimer = 0;
/** Whether the server can be reached; the banner comes after a moment only. */
function reachable(yes) {
  clearTimeout(lostTimer);
  if (yes) $("#banner").hidden = true;
  else lostTimer = setTimeout(() => { $("#banner").hidden = false; }, 1500);
}
addEventListener("offline", () => reachable(false));
addEventListener("online", () => reachable(true));

// --- dialogs and menus
const open = (id) => { const box = document.getElementById(id); if (box && !box.open) { box.showModal(); box.dispatchEvent(new Event("open")); } };
function side(show) {
  document.body.classList.toggle("menu-open", show);
  $("[data-menu]")?.setAttribute("aria-expanded", String(show));
  if (show) $(".side nav a").focus();
}
document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const opener = at("[data-dialog]");
  if (opener) open(opener.dataset.dialog);
  else if (at("[data-close]")) at("dialog").close();
  else if (at("[data-palette]")) open("palette");
  else if (at("[data-help]")) open("help");
  else if (at("[data-menu]")) side(!document.body.classList.contains("menu-open"));
  else if (document.body.classList.contains("menu-open") && !at(".side")) side(false);
  else if (event.target.matches?.("dialog[open]")) {
    const box = event.target.getBoundingClientRect(); // a click beside it, not in it
    if (event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom) event.target.close();
  }
  const copy = at("[data-copy]");
  if (copy) navigator.clipboard?.writeText(copy.dataset.copy).then(() => { copy.classList.add("good"); $("use", copy)?.setAttribute("href", "#i-tick"); });
  for (const menu of $$("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
  const row = at("tr[data-href]");
  if (row && !at("a, button, input, label, summary, select") && !String(getSelection())) {
    if (event.ctrlKey || event.metaKey) window.open(row.dataset.href); else location.href = row.dataset.href;
  }
});
document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm) return;
  event.preventDefault();
  const box = $("#confirm");
  put($("#confirm-text"), ctx.confirm);
  box.returnValue = "no";
  box.addEventListener("close", () => (box.returnValue === "yes" ? issueRequest() : dropRequest()), { once: true });
  box.showModal();
});

// --- selection: input[data-select] in rows, input[data-select-all], [data-chosen] shows how many
function chosen(box) {
  const table = (box.closest("form") ?? box.closest(".table"));
  const all = $$("input[data-select]", table);
  const picked = all.filter((one) => one.checked).length;
  const head = $("input[data-select-all]", table);
  if (head) { head.checked = picked > 0 && picked === all.length; head.indeterminate = picked > 0 && picked < all.length; }
  const whole = $("[data-select-matching]", table);
  if (whole && picked < all.length) whole.checked = false;
  for (const bar of $$("[data-chosen-bar]", table)) bar.hidden = picked === 0;
  for (const place of $$("[data-chosen]", table)) put(place, whole?.checked ? whole.dataset.selectMatching : String(picked));
}
document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("[data-select-all]")) for (const one of $$("input[data-select]", (box.closest("form") ?? box.closest(".table")))) one.checked = box.checked;
  if (box.matches("[data-select], [data-select-all], [data-select-matching]")) chosen(box);
  if (box.matches("[data-submit]")) box.form.requestSubmit();
});

// --- palette
const options = () => $$("#palette-list [role=option]");
function mark(index) {
  const list = options();
  list.forEach((one, place) => one.setAttribute("aria-selected", String(place === index)));
  $("#palette-input").setAttribute("aria-activedescendant", list[index]?.id ?? "");
  list[index]?.scrollIntoView({ block: "nearest" });
}
$("#palette")?.addEventListener("keydown", (event) => {
  const list = options();
  const now = list.findIndex((one) => one.getAttribute("aria-selected") === "true");
  if (event.key === "ArrowDown") mark((now + 1) % list.length);
  else if (event.key === "ArrowUp") mark((now - 1 + list.length) % list.length);
  else if (event.key === "Enter") list[Math.max(0, now)]?.click();
  else if (event.key === "Escape") $("#palette").close(); // not first to empty the field
  else return;
  event.preventDefault();
});
$("#palette")?.addEventListener("open", () => $("#palette-input").select());

// --- shortcuts
let went = 0;
function step(by) {
  const rows = $$("main tr[data-href]");
  const now = rows.findIndex((row) => row.contains(document.activeElement));
  const row = rows[Math.min(rows.length - 1, Math.max(0, now + by))];
  if (row) { row.tabIndex = -1; row.focus(); row.scrollIntoView({ block: "nearest" }); }
}
document.addEventListener("keydown", (event) => {
  const key = event.key;
  if ((event.ctrlKey || event.metaKey) && key.toLowerCase() === "k") { event.preventDefault(); open("palette"); return; }
  if (key === "Escape") { side(false); for (const menu of $$("details.menu[open]")) { menu.open = false; $("summary", menu).focus(); } return; }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input, select, textarea, [contenteditable]") || $("dialog[open]")) return;
  const row = event.target.closest?.("tr[data-href]");
  const place = event.timeStamp - went < 1200 && $$("[data-go]").find((one) => one.dataset.go === key);
  went = 0;
  if (place) place.click();
  else if (key === "g") { went = event.timeStamp; return; }
  else if (key === "?") open("help");
  else if (key === "/" && $("main input[type=search]")) $("main input[type=search]").focus();
  else if (key === "j" || key === "k") step(key === "j" ? 1 : -1);
  else if (key === "x" && row) $("input[data-select]", row)?.click();
  else if (key === "Enter" && row === event.target) location.href = row.dataset.href;
  else return;
  event.preventDefault();
});

// --- htmx
document.addEventListener("toast", (event) => toast(event.detail.level, event.detail.text));
document.addEventListener("htmx:after:swap", (event) => {
  const at = event.detail.ctx?.target ?? event.target;
  const after = event.detail.ctx?.sourceElement?.dataset?.dialogAfter;
  if (after) open(after);
  tell(document);
  if (at.closest?.("#palette")) mark(0);
  else if (at.closest?.("dialog[open]")) $("[aria-invalid], [autofocus], input:not([type=hidden]), select, textarea", at)?.focus();
});
document.addEventListener("htmx:error", () => reachable(false));
document.addEventListener("htmx:after:request", (event) => {
  const response = event.detail.ctx?.response;
  if (response?.status === 401) location.reload(); // the login is over: the login page comes back here
  else if (response) reachable(true);
});

for (const box of $$("dialog[data-open-now]")) open(box.id);
for (const said of $$(".toast")) fade(said);
for (const key of $$(".find kbd, .keys kbd")) if (/Mac|iP/.test(navigator.platform)) put(key, key.textContent.replace("Ctrl", "⌘"));
tell();
setInterval(tell, 10000);
