"use strict";
(() => {
const of = id => document.getElementById(id);
const data = JSON.parse(of("data").textContent);
const audio = of("audio"), plot = of("plot"), view = plot.parentElement, cursor = of("cursor");
const RADIUS = 100, LEAST_SHOWN_DEG = 1, STEPS_S = [0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const MOST_ZOOM = Math.max(1, data.seconds / 4);               // a screen then shows four seconds
let zoom = 1, shown = "", ticking = false, wanted = null;

// ------------------------------------------------------------------------------------------------------------- sound
const inside = of("sound");
if (inside) {
  const text = atob(inside.textContent), bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  inside.remove();
  audio.src = URL.createObjectURL(new Blob([bytes], {type: inside.dataset.type}));
}
audio.addEventListener("error", () => {
  of("problem").textContent = inside ? "This browser cannot play the recording; all else on this page works."
    : `The sound is not found: ${audio.dataset.name} must lie beside this page.`;
});

const now_s = () => wanted ?? Math.min(audio.currentTime, data.seconds);
function seek(time_s) {
  wanted = Math.min(Math.max(time_s, 0), data.seconds);        // until the sound is there
  if (audio.readyState) audio.currentTime = wanted;
  draw();
  keepInView(true);
}
audio.addEventListener("loadedmetadata", () => { if (wanted !== null) audio.currentTime = wanted; });
audio.addEventListener("seeked", () => { wanted = null; draw(); tell(); });
function play(from_s) {
  if (from_s !== undefined) seek(from_s);
  else if (now_s() >= data.seconds - 0.05) seek(0);
  audio.play().catch(() => {});                                // an error event says why
}
const toggle = () => audio.paused ? play() : audio.pause();

// --------------------------------------------------------------------------------------------------------------- now
const rowAt = time_s => Math.min(Math.max(Math.round((time_s - data.first_s) / data.hop_s), 0), data.rows - 1);
const inWords = (azimuth, half) => {
  const degrees = Math.round(Math.abs(azimuth));
  return (degrees ? `${degrees}° ${azimuth > 0 ? "right" : "left"}` : "in front, 0°")
    + (half === null ? "" : half < 0.5 ? " ± <1°" : ` ± ${Math.min(Math.max(Math.round(half), 1), 90)}°`);
};
const clock = (time_s, digits = 1) => {
  const unit = 10 ** digits, whole = Math.round(time_s * unit), minutes = Math.floor(whole / (60 * unit));
  const seconds = (whole / unit - 60 * minutes).toFixed(digits).padStart(digits ? 3 + digits : 2, "0");
  return minutes < 60 ? `${minutes}:${seconds}`
    : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${seconds}`;
};
const x = (deg, radius) => radius * Math.sin(deg * Math.PI / 180), y = (deg, radius) => -radius * Math.cos(deg * Math.PI / 180);
const point = (deg, radius) => `${x(deg, radius).toFixed(1)} ${y(deg, radius).toFixed(1)}`;

function heardAt(time_s) {
  return data.sources.map(source => {
    const row = rowAt(time_s) - source.from_row;
    return {source, azimuth: source.azimuth_deg[row] ?? null, half: source.half_width_deg[row] ?? null};
  });
}
function wordsAt(time_s) {
  const heard = heardAt(time_s).filter(each => each.azimuth !== null);
  return heard.length ? heard.map(each => (each.source.number ? `source ${each.source.number}: ` : "")
                                  + inWords(each.azimuth, each.half)).join("; ") : "nothing heard";
}

function draw() {
  const time_s = now_s(), percent = `${(100 * time_s / data.seconds).toFixed(4)}%`;
  cursor.setAttribute("x1", percent);
  cursor.setAttribute("x2", percent);
  of("clock").textContent = `${clock(time_s)} / ${clock(data.seconds)}`;
  const parts = [];
  heardAt(time_s).forEach(({source, azimuth, half}, at) => {
    const group = of(`source-${at}`);
    group.classList.toggle("silent", azimuth === null);        // what was there fades where it was
    if (azimuth === null) return;
    const [low, high] = [-1, 1].map(sign => Math.min(Math.max(azimuth + sign * Math.max(half, LEAST_SHOWN_DEG), -90), 90));
    group.querySelector(".wedge").setAttribute(
      "d", `M0 0 L${point(low, RADIUS)} A${RADIUS} ${RADIUS} 0 0 1 ${point(high, RADIUS)} Z`);
    group.querySelector(".ray").setAttribute("d", `M0 0 L${point(azimuth, RADIUS)}`);
    group.querySelector(".at").setAttribute("transform", `translate(${point(azimuth, RADIUS)})`);
    parts.push([source, inWords(azimuth, half)]);
  });
  const text = JSON.stringify(parts.map(([source, words]) => [source.number, words]));
  if (text !== shown) {                                        // the page changes only where something did
    shown = text;
    of("now").replaceChildren(...(parts.length ? parts.map(([source, words]) => {
      const span = document.createElement("span"), number = document.createElement("b");
      number.textContent = source.number;
      number.className = `c${source.color}`;
      span.append(...(source.number ? [number, ": "] : []), words, " ");
      return span;
    }) : ["nothing heard"]));
  }
  let first = null;
  for (const row of rows) {
    const is = time_s >= row.start && time_s < row.end;
    if (is !== row.element.hasAttribute("aria-current")) {
      if (is) row.element.setAttribute("aria-current", "true"); else row.element.removeAttribute("aria-current");
      if (is) first ??= row.element;
    }
  }
  const list = of("list");                                     // which scrolls by itself on a wide screen alone
  if (first && list.scrollHeight > list.clientHeight)
    list.scrollTop += first.getBoundingClientRect().top - list.getBoundingClientRect().top - list.clientHeight / 3;
}
function tell() {                                              // to a screen reader: when the listener moved, not always
  const time_s = now_s(), words = wordsAt(time_s);
  plot.setAttribute("aria-valuenow", time_s.toFixed(1));
  plot.setAttribute("aria-valuetext", `${clock(time_s)} of ${clock(data.seconds)}: ${words}`);
  if (audio.paused && document.activeElement !== plot) of("status").textContent = `${clock(time_s)}: ${words}`;
}
function run() {
  draw();
  keepInView(false);
  ticking = !audio.paused;
  if (ticking) requestAnimationFrame(run);
}
function state() {
  document.body.classList.toggle("playing", !audio.paused);
  of("play").setAttribute("aria-label", audio.paused ? "Play" : "Pause");
  if (!audio.paused && !ticking) run();
  tell();
}
["play", "pause", "ended"].forEach(name => audio.addEventListener(name, state));

// --------------------------------------------------------------------------------------------------- list, buttons, keys
const rows = [...document.querySelectorAll("#list tbody tr")].map(element => ({
  element, start: Number(element.dataset.start), end: Number(element.dataset.end)}));
rows.forEach(row => row.element.addEventListener("click", () => play(row.start)));
function step(by) {                                            // to what is heard before or after
  const time_s = now_s(), starts = rows.map(row => row.start);
  const to = by > 0 ? starts.find(start => start > time_s + 0.05) : starts.filter(start => start < time_s - 1).pop();
  if (to !== undefined || by < 0) seek(to ?? 0);
}
of("play").addEventListener("click", toggle);
of("before").addEventListener("click", () => step(-1));
of("after").addEventListener("click", () => step(1));
plot.addEventListener("click", event => {
  const box = plot.getBoundingClientRect();
  play((event.clientX - box.left) / box.width * data.seconds);
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const onPlot = event.target === plot, sign = {ArrowLeft: -1, ArrowRight: 1}[event.key];
  if (event.key === " " && !event.target.closest("button,a,summary")) toggle();
  else if (sign && event.shiftKey) step(sign);
  else if (sign) seek(now_s() + sign);
  else if (onPlot && event.key === "Home") seek(0);
  else if (onPlot && event.key === "End") seek(data.seconds);
  else if (onPlot && event.key === "PageUp") seek(now_s() - 10);
  else if (onPlot && event.key === "PageDown") seek(now_s() + 10);
  else return;
  event.preventDefault();
});

// -------------------------------------------------------------------------------------------------------------- time
function keepInView(always) {
  if (zoom === 1) return;
  const at = now_s() / data.seconds * plot.clientWidth - view.scrollLeft;
  if (at > 0.9 * view.clientWidth || (always && at < 0)) view.scrollLeft += at - 0.1 * view.clientWidth;
}
function scale(to) {
  zoom = Math.min(Math.max(to, 1), MOST_ZOOM);
  plot.style.width = `${100 * zoom}%`;
  of("closer").disabled = zoom >= MOST_ZOOM;
  of("wider").disabled = zoom <= 1;
  ticks();
  keepInView(true);
}
function ticks() {
  const px_per_s = plot.clientWidth / data.seconds;
  const step_s = STEPS_S.find(each => each * px_per_s >= 64) ?? STEPS_S.at(-1);
  const marks = [];
  for (let time_s = 0; time_s <= data.seconds; time_s += step_s) {
    const percent = `${100 * time_s / data.seconds}%`, line = made("line", {x1: percent, x2: percent, y1: 0, y2: 6});
    const room = (data.seconds - time_s) * px_per_s;
    const anchor = time_s === 0 ? "start" : room < 20 ? "end" : "middle";
    const text = made("text", {x: percent, y: 20, "text-anchor": anchor});
    text.textContent = clock(time_s, step_s < 1 ? 1 : 0);
    marks.push(line, text);
  }
  of("ticks").replaceChildren(...marks);
  const placed = [];                                           // of numbers that cover each other the first is shown
  for (const name of plot.querySelectorAll(".name")) {
    const at = [parseFloat(name.getAttribute("x")) / 100 * plot.clientWidth,
                parseFloat(name.getAttribute("y")) / 100 * of("tracks").clientHeight];
    const fits = placed.every(other => Math.abs(other[0] - at[0]) > 28 || Math.abs(other[1] - at[1]) > 18);
    name.setAttribute("visibility", fits ? "visible" : "hidden");
    if (fits) placed.push(at);
  }
}
function made(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}
of("closer").addEventListener("click", () => scale(2 * zoom));
of("wider").addEventListener("click", () => scale(zoom / 2));
addEventListener("resize", ticks);
scale(1);
draw();
tell();
})();
