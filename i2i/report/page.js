"use strict";
// The view is kept in the URL, so that it survives a reload and can be shared:
// #step=4000&smooth=0.6&off=generator/l1&log=generator&linear=discriminator&follow=1
// `names` are the runs of a comparison, where `off` holds names; `samples` holds the steps of the slider, and in a run's own report the files.
const { charts, samples, warnings, running, names = [] } = JSON.parse(document.getElementById("run").textContent);
const find = (id) => document.getElementById(id);
const mostPoints = Math.max(0, ...charts.flatMap((chart) => Object.values(chart.curves).map(([steps]) => steps.length)));
const steps = [...charts.flatMap((chart) => Object.values(chart.curves).flatMap(([s]) => [s[0], s.at(-1)]))];
const [FIRST, LAST] = [Math.min(...steps), Math.max(...steps)];
const HEIGHT = 220, LEFT = 50, RIGHT = 12, TOP = 14, BELOW = 24;
const COLOURS = 10;
const view = {};
let hovered = null;  // the step under the pointer
let writtenHash = null;

readView();
window.addEventListener("hashchange", () => { if (location.hash !== writtenHash) { readView(); showAll(); } });

function readView() {
  const params = new URLSearchParams(location.hash.slice(1));
  const smooth = Number(params.get("smooth") ?? NaN);
  const step = parseInt(params.get("step"), 10);
  view.index = Number.isNaN(step) || !samples.length ? samples.length - 1 : nearest(samples.map(([s]) => s), step);
  view.chosen = !Number.isNaN(step);
  view.smooth = smooth >= 0 && smooth <= 0.98 ? smooth : mostPoints > 40 ? 0.6 : 0;
  view.off = new Set(params.getAll("off"));
  view.log = Object.fromEntries(charts.map((chart) => [chart.key, chart.log]));
  for (const key of params.getAll("log")) view.log[key] = true;
  for (const key of params.getAll("linear")) view.log[key] = false;
  view.follow = running && params.has("follow");
}

function saveView() {
  clearTimeout(saveView.timer);
  saveView.timer = setTimeout(() => {
    const params = new URLSearchParams();
    if (view.chosen && view.index < samples.length - 1) params.set("step", samples[view.index][0]);
    params.set("smooth", view.smooth);
    for (const key of view.off) params.append("off", key);
    for (const chart of charts) {
      if (view.log[chart.key] !== chart.log) params.append(view.log[chart.key] ? "log" : "linear", chart.key);
    }
    if (view.follow) params.set("follow", 1);
    writtenHash = "#" + params;
    location.replace(writtenHash);
  }, 200);
}

// Sample grids

const figures = [...document.querySelectorAll("#grids figure")].map((box, run) => {
  const images = [...document.querySelectorAll(`[data-run="${run}"]`)];  // of a comparison: embedded, the last one first
  const embedded = images.map(({ dataset, src }) => [Number(dataset.step), src]).sort(([a], [b]) => a - b);
  return {
    box, image: box.querySelector(".grid"), at: box.querySelector("output"),
    grids: names.length ? embedded : samples, of: names.length ? `${names[run]}: ` : "",
  };
});
if (find("earlier")) find("earlier").hidden = true;  // without the slider, it shows these images

function showGrids() {
  if (!samples.length) return;
  const [step] = samples[view.index];
  find("slider").value = view.index;
  find("slider").setAttribute("aria-valuetext", `step ${step}`);
  document.querySelector(".player span").textContent = `${view.index + 1} of ${samples.length}`;
  for (const figure of figures.filter(({ image }) => image)) showGrid(figure, nearest(figure.grids.map(([s]) => s), step));
}

function showGrid(figure, index) {
  const { image, at, grids } = figure, [step, path] = grids[index], link = image.closest("a");
  figure.shown = index;
  at.textContent = step.toLocaleString("en");
  if (link) link.href = path;
  const next = new Image();
  next.onload = () => {
    if (figure.shown !== index) return;
    Object.assign(image, { src: path, alt: `${figure.of}sample grid of step ${step}`, width: next.naturalWidth, height: next.naturalHeight });
  };
  next.onerror = () => { if (figure.shown === index) at.textContent += ` (${path} is missing)`; };
  next.src = path;
  for (const neighbour of [index - 1, index + 1]) if (grids[neighbour]) new Image().src = grids[neighbour][1];
}

function goTo(index) {
  view.index = Math.max(0, Math.min(samples.length - 1, index));
  view.chosen = true;
  showGrids();
  charts.forEach(drawMarks);
  saveView();
}

function play() {
  const playing = play.timer !== undefined;
  clearInterval(play.timer);
  play.timer = undefined;
  find("play").textContent = playing ? "▶" : "❚❚";
  find("play").setAttribute("aria-label", playing ? "play" : "pause");
  if (playing) return;
  if (view.index === samples.length - 1) goTo(0);
  play.timer = setInterval(() => {
    if (view.index < samples.length - 1) goTo(view.index + 1);
    if (view.index === samples.length - 1) play();
  }, Math.max(120, Math.min(700, 12000 / samples.length)));
}

if (samples.length) {
  find("slider").addEventListener("input", (event) => goTo(Number(event.target.value)));
  find("play").addEventListener("click", play);
  document.addEventListener("keydown", (event) => {
    const direction = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const handledElsewhere = event.target.closest("input, summary, pre") || event.altKey || event.ctrlKey || event.metaKey;
    if (direction && !handledElsewhere) { goTo(view.index + direction); event.preventDefault(); }
  });
}

// Curves

function element(name, attributes, ...children) {
  const svg = ["svg", "path", "line", "circle", "text", "clipPath", "rect", "g"].includes(name);
  const created = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) created.setAttribute(key, value);
  created.append(...children);
  return created;
}

// Binary search: the index of the number nearest to the target, in rising numbers.
function nearest(numbers, target) {
  let low = 0, high = numbers.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (numbers[middle] <= target) low = middle; else high = middle;
  }
  return target - numbers[low] <= numbers[high] - target ? low : high;
}

// An exponential moving average with bias correction.
function smoothed(values, decay) {
  let mean = 0, total = 0;
  return values.map((value) => {
    mean = decay * mean + (1 - decay) * value;
    total = decay * total + (1 - decay);
    return mean / total;
  });
}

function ticks(low, high, log, most) {
  if (log && high / low >= 10) {
    const values = [], from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
    const within = to - from <= 2 ? [1, 2, 5] : [1], skip = Math.ceil((to - from - 1) / (most + 1));
    for (let power = from; power <= to; power += skip) for (const lead of within) values.push(lead * 10 ** power);
    return values.filter((value) => value >= low && value <= high);
  }
  const rough = (high - low) / most, size = 10 ** Math.floor(Math.log10(rough));
  const every = [1, 2, 5, 10].map((lead) => lead * size).find((width) => width >= rough * 0.8);
  const values = [];
  for (let i = Math.ceil(low / every - 1e-9); i * every <= high * (1 + 1e-12) + every * 1e-9; i++) values.push(i * every);
  return values;
}

function formatted(value, kind) {
  if (kind === "share") return `${(100 * value).toFixed(0)} %`;
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e");
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
}

const shortStep = (step) => step >= 1e6 ? `${+(step / 1e6).toFixed(2)}M` : step >= 1e4 ? `${+(step / 1e3).toFixed(1)}k` : step.toLocaleString("en");
const colour = (index) => `c${index % COLOURS}`;
// A run is shown or hidden in all charts at once, a term in its own.
const keyOf = (chart, name) => names.length ? name : `${chart.key}/${name}`;
const isOff = (chart, name) => view.off.has(keyOf(chart, name));

function toggle(key, affected) {
  if (!view.off.delete(key)) view.off.add(key);
  affected.forEach(draw);
  showRuns();
  saveView();
}

const toggles = names.map((name, run) => {
  const button = element("button", { type: "button", class: colour(run), title: "show or hide this run" }, name);
  button.addEventListener("click", () => toggle(name, charts));
  return button;
});
if (toggles.length) find("runs").replaceWith(element("div", { class: "legend", id: "runs", role: "group", "aria-label": "Runs" }, ...toggles));

function showRuns() {
  for (const [run, name] of names.entries()) {
    toggles[run].setAttribute("aria-pressed", !view.off.has(name));
    if (figures[run]) figures[run].box.hidden = view.off.has(name);
  }
}

function setUp(chart, index) {
  chart.box = find(`chart${index}`);
  const heading = chart.box.querySelector("h3");
  if (chart.canLog) {
    chart.button = element("button", { type: "button" }, "log");
    chart.button.addEventListener("click", () => { view.log[chart.key] = !view.log[chart.key]; draw(chart); saveView(); });
    heading.append(chart.button);
  }
  chart.at = element("span", { class: "at" });
  chart.legend = element("div", { class: "legend" });
  chart.names = Object.keys(chart.curves).map((name, i) => {
    const value = element("b", {});
    const own = colour(names.length ? names.indexOf(name) : i);
    const button = element("button", { type: "button", class: own }, `${name} `, value);
    button.addEventListener("click", () => toggle(keyOf(chart, name), names.length ? charts : [chart]));
    chart.legend.append(button);
    return { name, value, button, colour: own };
  });
  chart.legend.append(chart.at);
  chart.svg = element("svg", { role: "img", "aria-label": `${chart.title}, by step; the legend gives values` });
  chart.box.append(chart.svg, chart.legend);
  const stepAt = (event) => {
    const box = chart.svg.getBoundingClientRect();
    return chart.toStep((event.clientX - box.left) * chart.width / box.width);
  };
  chart.svg.addEventListener("pointermove", (event) => { hovered = stepAt(event); charts.forEach(drawMarks); });
  chart.svg.addEventListener("pointerleave", () => { hovered = null; charts.forEach(drawMarks); });
  chart.svg.addEventListener("click", (event) => {
    if (samples.length) goTo(nearest(samples.map(([s]) => s), stepAt(event)));
  });
  new ResizeObserver(() => { if (chart.box.clientWidth !== chart.width) draw(chart); }).observe(chart.box);
}

function range(chart, lines, log) {
  if (chart.kind === "share") return [0, 1];
  const drawn = lines.flatMap((line) => [...line.smooth, ...(line.band ? [...line.band[1], ...line.band[2]] : [])]);
  const raw = lines.flatMap((line) => line.values).sort((a, b) => a - b);
  const inner = (share) => raw[Math.round(share * (raw.length - 1))];
  let low = Math.min(...drawn, inner(0.01)), high = Math.max(...drawn, inner(0.99));
  if (log) return [low / 1.15, high * 1.15];
  const isFlat = high - low <= 1e-6 * Math.abs(high);  // up to rounding
  const margin = isFlat ? Math.abs(high) * 0.1 || 1 : (high - low) * 0.06;
  const fromZero = low >= 0 && (["rate", "speed"].includes(chart.kind) || low - margin < 0 || (chart.kind === "losses" && low < high / 2));
  return [fromZero ? 0 : low - margin, high + margin];
}

function draw(chart) {
  const log = chart.canLog && view.log[chart.key];
  const decay = ["losses", "share", "speed"].includes(chart.kind) ? view.smooth : 0;
  chart.button?.setAttribute("aria-pressed", log);
  if (chart.button) chart.button.textContent = log ? "log ✓" : "log";
  for (const { name, button } of chart.names) button.setAttribute("aria-pressed", !isOff(chart, name));
  chart.lines = chart.names.filter(({ name }) => !isOff(chart, name)).map(({ name, colour }) => {
    const [at, values] = chart.curves[name];
    return { name, colour, at, values, smooth: decay ? smoothed(values, decay) : values, band: chart.bands[name] };
  });
  const width = chart.width = chart.box.clientWidth, floor = HEIGHT - BELOW, end = width - RIGHT;
  const [low, high] = chart.lines.length ? range(chart, chart.lines, log) : [log ? 0.1 : 0, 1];
  const scale = log ? Math.log : (value) => value;
  const [bottom, top] = [scale(low), scale(high)];
  const x = (step) => LEFT + (step - FIRST) / (LAST - FIRST || 1) * (end - LEFT);
  const y = (value) => floor - (scale(value) - bottom) / (top - bottom) * (floor - TOP);
  chart.toStep = (left) => FIRST + (left - LEFT) / (end - LEFT) * (LAST - FIRST);
  Object.assign(chart, { x, y, floor, end });
  const grid = element("g", {});
  for (const value of ticks(low, high, log, 4)) {
    grid.append(element("line", { class: "guide", x1: LEFT, x2: end, y1: y(value), y2: y(value) }));
    grid.append(element("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, formatted(value, chart.kind)));
  }
  for (const step of ticks(FIRST, LAST || 1, false, width < 420 ? 3 : 5)) {
    grid.append(element("line", { class: "axis", x1: x(step), x2: x(step), y1: floor, y2: floor + 4 }));
    const anchor = x(step) > end - 14 ? "end" : "middle";
    grid.append(element("text", { x: x(step), y: floor + 17, "text-anchor": anchor }, shortStep(step)));
  }
  grid.append(element("line", { class: "axis", x1: LEFT, x2: end, y1: floor, y2: floor }));
  const frame = element("clipPath", { id: `clip-${chart.box.id}` });
  frame.append(element("rect", { x: LEFT - 2, y: TOP - 6, width: Math.max(0, end - LEFT + 4), height: floor - TOP + 8 }));
  const curves = element("g", { "clip-path": `url(#clip-${chart.box.id})` });
  const path = (at, values) => "M" + at.map((step, i) => `${x(step).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("L");
  for (const { colour, band } of chart.lines) if (band) {
    const [at, lows, highs] = band;
    const outline = path([...at, ...at.toReversed()], [...lows, ...highs.toReversed()]);
    curves.append(element("path", { class: `band ${colour}`, d: `${outline}Z` }));
  }
  for (const { colour, at, values } of decay ? chart.lines : []) {
    curves.append(element("path", { class: `curve raw ${colour}`, d: path(at, values) }));
  }
  for (const { colour, at, smooth } of chart.lines) {
    curves.append(element("path", { class: `curve ${colour}`, d: path(at, smooth) }));
    if (at.length < 30) for (const [i, step] of at.entries()) {
      curves.append(element("circle", { class: `dot ${colour}`, cx: x(step), cy: y(smooth[i]), r: 3 }));
    }
  }
  const marks = element("g", {});
  if (chart.best !== null) {
    const at = x(chart.best), right = at > width / 2;
    marks.append(element("line", { class: "best", x1: at, x2: at, y1: TOP, y2: floor }));
    const text = { class: "good", x: at + (right ? -5 : 5), y: TOP - 3, "text-anchor": right ? "end" : "start" };
    marks.append(element("text", text, `best, step ${chart.best.toLocaleString("en")}`));
  }
  if (chart.kind === "losses") for (const step of warnings) {
    const mark = element("path", { class: "warned", d: `M${x(step) - 4} ${floor}h8l-4 -7z` });
    mark.append(document.createElementNS("http://www.w3.org/2000/svg", "title"));
    mark.firstChild.textContent = `warning at step ${step}`;
    marks.append(mark);
  }
  chart.marks = element("g", {});
  chart.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
  chart.svg.replaceChildren(frame, grid, curves, marks, chart.marks);
  drawMarks(chart);
}

// The line at the pointer and that of the sample grid shown; the legend's values at the pointer, or the last ones.
function drawMarks(chart) {
  const { x, y, floor, end } = chart, parts = [];
  const step = hovered === null ? null : Math.max(FIRST, Math.min(LAST, hovered));
  const line = (kind, at) => element("line", { class: kind, x1: x(at), x2: x(at), y1: TOP, y2: floor });
  const grid = samples[view.index]?.[0];
  if (view.chosen && grid >= FIRST && grid <= LAST) parts.push(line("now", grid));
  let at = null;
  for (const { name, value } of chart.names) value.textContent = isOff(chart, name) ? "" : value.textContent;
  for (const { name, colour, at: steps, smooth, band } of chart.lines) {
    const i = step === null ? steps.length - 1 : nearest(steps, step), inBand = band ? band[0].indexOf(steps[i]) : -1;
    const interval = inBand < 0 ? "" : ` (${[1, 2].map((side) => formatted(band[side][inBand], chart.kind)).join(" to ")})`;
    chart.names.find((entry) => entry.name === name).value.textContent = formatted(smooth[i], chart.kind) + interval;
    at = Math.max(at ?? 0, steps[i]);
    if (step !== null && x(steps[i]) <= end + 1) {
      parts.push(element("circle", { class: `dot ${colour}`, cx: x(steps[i]), cy: Math.max(TOP - 4, y(smooth[i])), r: 4 }));
    }
  }
  if (step !== null && at !== null) parts.unshift(line("hover", at));
  chart.at.textContent = at === null ? "" : `step ${at.toLocaleString("en")}`;
  chart.marks.replaceChildren(...parts);
}

charts.forEach(setUp);
find("smooth")?.addEventListener("input", (event) => {
  view.smooth = Number(event.target.value);
  charts.forEach(draw);
  saveView();
});

// Copy buttons, times, and the reload of a running run

for (const button of document.querySelectorAll(".copy")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}

for (const time of document.querySelectorAll("time")) {
  const moment = new Date(time.dateTime), minutes = Math.round((Date.now() - moment) / 60000);
  const ago = minutes < 1 ? "just now" : minutes < 60 ? `${minutes} min ago` : minutes < 2880 ? `${Math.round(minutes / 60)} h ago` : null;
  time.textContent = ago ?? moment.toLocaleDateString(undefined, { dateStyle: "medium" });
  time.title = moment.toLocaleString();
}

function follow() {
  clearTimeout(follow.timer);
  if (view.follow) follow.timer = setTimeout(() => location.reload(), 60000);
}
if (running) {
  find("follow").hidden = false;
  find("follow").firstChild.addEventListener("change", (event) => {
    view.follow = event.target.checked;
    follow();
    saveView();
  });
}

function showAll() {
  if (find("smooth")) find("smooth").value = view.smooth;
  if (running) find("follow").firstChild.checked = view.follow;
  charts.forEach(draw);
  showRuns();
  showGrids();
  follow();
}
showAll();
