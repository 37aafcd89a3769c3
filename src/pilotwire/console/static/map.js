// The drawing of the overview: zoom and move by mouse, touch, keys and buttons; tiles of a configured server below it.
"use strict";

const drawing = { box: null };
const svgOf = () => $("#drawing");
function apply(svg) {
  const { box } = drawing;
  if (!box) return;
  svg.setAttribute("viewBox", box.map((one) => one.toFixed(2)).join(" "));
  tiles(svg);
}
const whole = (svg) => svg.dataset.whole.split(" ").map(Number);
function zoom(svg, by, x = 0.5, y = 0.5) {
  const full = whole(svg);
  const [left, top, width, height] = drawing.box ?? full;
  const wide = Math.min(full[2] * 4, Math.max(full[2] / 200, width / by));
  const high = wide / width * height;
  drawing.box = by ? [left + (width - wide) * x, top + (height - high) * y, wide, high] : full;
  apply(svg);
}
function move(svg, x, y) {
  const box = drawing.box ?? whole(svg);
  drawing.box = [box[0] + x * box[2], box[1] + y * box[3], box[2], box[3]];
  apply(svg);
}
/** Images of the server that the operator chose, where they lie in the drawing. */
function tiles(svg) {
  if (!svg.dataset.tiles) return;
  const [left, top, unit] = svg.dataset.geo.split(" ").map(Number);
  const [x, y, width, height] = drawing.box ?? whole(svg);
  const level = Math.max(0, Math.min(18, Math.round(Math.log2(svg.clientWidth / 256 / (width * unit)))));
  const side = 1 / 2 ** level;
  const place = $(".tiles", svg);
  const at = (value, start) => Math.floor((start + value * unit) / side);
  const images = [];
  for (let i = at(x, left); i <= at(x + width, left); i++) {
    for (let j = at(y, top); j <= at(y + height, top); j++) {
      if (i < 0 || j < 0 || i >= 2 ** level || j >= 2 ** level || images.length > 60) continue;
      const image = document.createElementNS("http://www.w3.org/2000/svg", "image");
      const size = side / unit;
      const values = { href: svg.dataset.tiles.replace("{z}", level).replace("{x}", i).replace("{y}", j), x: (i * side - left) / unit, y: (j * side - top) / unit, width: size * 1.002, height: size * 1.002 };
      for (const [name, value] of Object.entries(values)) image.setAttribute(name, value);
      images.push(image);
    }
  }
  place.replaceChildren(...images);
}
document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-zoom]");
  if (button) zoom(svgOf(), Number(button.dataset.zoom));
});
document.addEventListener("wheel", (event) => {
  const svg = event.target.closest?.("#drawing");
  if (!svg || !(event.ctrlKey || document.activeElement === svg)) return; // else the page scrolls
  event.preventDefault();
  const frame = svg.getBoundingClientRect();
  zoom(svg, event.deltaY < 0 ? 1.2 : 1 / 1.2, (event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height);
}, { passive: false });
document.addEventListener("keydown", (event) => {
  const svg = event.target.closest?.("#drawing");
  const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
  if (!svg) return;
  if (step) move(svg, ...step);
  else if ("+-0".includes(event.key)) zoom(svg, { "+": 1.4, "-": 1 / 1.4, 0: 0 }[event.key]);
  else return;
  event.preventDefault();
});
let held = null;
document.addEventListener("pointerdown", (event) => { const svg = event.target.closest?.("#drawing"); if (svg && !event.target.closest("a")) held = { svg, x: event.clientX, y: event.clientY }; });
document.addEventListener("pointermove", (event) => {
  if (!held) return;
  const frame = held.svg.getBoundingClientRect();
  move(held.svg, (held.x - event.clientX) / frame.width, (held.y - event.clientY) / frame.height);
  held = { ...held, x: event.clientX, y: event.clientY };
});
for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { held = null; });
document.addEventListener("htmx:after:swap", () => { if (svgOf()) apply(svgOf()); });
if (svgOf()) tiles(svgOf());
