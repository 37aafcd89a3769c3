// A drawing: zoom and move by mouse, touch, keys and buttons; tiles of a configured server below it. In the editor of a
// plan, [data-place] and [data-shape] show what the fields of the row with that id say.
"use strict";

let view = null;
const sheet = () => $("#drawing");
const whole = () => sheet().dataset.whole.split(" ").map(Number);
function show(box) {
  view = box;
  sheet().setAttribute("viewBox", box.map((one) => one.toFixed(2)).join(" "));
  tiles();
}
function zoom(by, at) {
  const full = whole();
  const [left, top, width, height] = view ?? full;
  const wide = Math.min(full[2] * 4, Math.max(full[2] / 200, width / by));
  const { x, y } = at ?? { x: left + width / 2, y: top + height / 2 };
  const share = wide / width;
  show(by ? [x - (x - left) * share, y - (y - top) * share, wide, height * share] : full);
}
function move(x, y) {
  const [left, top, width, height] = view ?? whole();
  show([left + x, top + y, width, height]);
}
/** Images of the server that the operator chose, where they lie in the drawing. */
function tiles() {
  const svg = sheet();
  if (!svg.dataset.tiles) return;
  const [left, top, unit] = svg.dataset.geo.split(" ").map(Number);
  const [x, y, width, height] = view ?? whole();
  const level = Math.max(0, Math.min(18, Math.round(Math.log2(svg.clientWidth / 256 / (width * unit)))));
  const many = 2 ** level;
  const at = (value, start) => Math.max(0, Math.min(many - 1, Math.floor((start + value * unit) * many)));
  const size = 1 / many / unit;
  const images = [];
  for (let i = at(x, left); i <= at(x + width, left); i++) {
    for (let j = at(y, top); j <= at(y + height, top) && images.length < 60; j++) {
      const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
      const values = { href: svg.dataset.tiles.replace("{z}", level).replace("{x}", i).replace("{y}", j), x: i * size - left / unit, y: j * size - top / unit, width: size * 1.002, height: size * 1.002 };
      for (const name in values) image.setAttribute(name, values[name]);
      images.push(image);
    }
  }
  $(".tiles", svg).replaceChildren(...images);
}

// --- the editor
const field = (id, name) => $(`#${id} [name=${name}]`);
const unit = () => Number(sheet().dataset.unit);
const spot = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(sheet().getScreenCTM().inverse());
const metres = (value) => Math.round(value / unit() * 10) / 10;
function stand(mark, x, y) {
  const [, , wide, high] = whole();
  field(mark.dataset.place, "x").value = metres(Math.min(wide, Math.max(0, x)));
  field(mark.dataset.place, "y").value = metres(Math.min(high, Math.max(0, y)));
  draw(mark.dataset.place);
}
function draw(row) {
  const numbers = (name) => (field(row, name)?.value.match(/-?[\d.]+/g) ?? []).map((one) => one * unit() || 0);
  const [mark, shape] = [$(`[data-place=${row}]`), $(`[data-shape=${row}]`)];
  mark?.setAttribute("transform", `translate(${numbers("x")[0] ?? -100} ${numbers("y")[0] ?? -100})`);
  shape?.setAttribute("points", numbers("points").join(" "));
}
$("#plan")?.addEventListener("input", ({ target }) => { if (target.closest("tr")) draw(target.closest("tr").id); });

document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const row = at("#plan tr")?.id;
  const pen = $("[data-draw][aria-pressed=true]");
  if (at("[data-zoom]")) zoom(Number(at("[data-zoom]").dataset.zoom));
  else if (at("[data-put]")) {
    const mark = $(`[data-place=${row}]`);
    stand(mark, whole()[2] / 2, whole()[3] / 2);
    mark.focus();
  } else if (at("[data-away]")) {
    field(row, "x").value = "";
    draw(row);
  } else if (at("[data-draw]")) {
    pen?.setAttribute("aria-pressed", "false");
    at("[data-draw]").setAttribute("aria-pressed", String(pen !== at("[data-draw]")));
  } else if (pen && at("#drawing")) {
    const { x, y } = spot(event);
    field(pen.closest("tr").id, "points").value += ` ${metres(x)},${metres(y)}`;
    draw(pen.closest("tr").id);
  }
});
document.addEventListener("wheel", (event) => {
  const svg = event.target.closest?.("#drawing");
  if (!svg || !(event.ctrlKey || document.activeElement === svg)) return; // else the page scrolls
  event.preventDefault();
  zoom(event.deltaY < 0 ? 1.2 : 1 / 1.2, spot(event));
}, { passive: false });
document.addEventListener("keydown", (event) => {
  const { target, key, shiftKey } = event;
  const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  if (!target.closest?.("#drawing")) return;
  const mark = target.closest("[data-place]");
  const by = mark ? unit() * (shiftKey ? 5 : 0.5) : (view ?? whole())[2] / 10;
  if (step && mark) {
    const { e, f } = mark.transform.baseVal[0].matrix;
    stand(mark, e + step[0] * by, f + step[1] * by);
  } else if (step) move(step[0] * by, step[1] * by);
  else if ("+-0".includes(key)) zoom({ "+": 1.4, "-": 1 / 1.4, 0: 0 }[key]);
  else return;
  event.preventDefault();
});
let held = null;
document.addEventListener("pointerdown", (event) => {
  const at = event.target;
  if (at.closest?.("#drawing") && !at.closest("a")) held = { at: spot(event), mark: at.closest("[data-place]") };
});
document.addEventListener("pointermove", (event) => {
  if (!held) return;
  const { x, y } = spot(event);
  if (held.mark) stand(held.mark, x, y);
  else move(held.at.x - x, held.at.y - y);
});
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { held = null; });
document.addEventListener("htmx:after:swap", () => { if (view && sheet()) show(view); });
if (sheet()) tiles();
