// The tab "Draw": a canvas whose translation follows the pen.

import { oneAtATime, say, translate } from "./api.js";
import { levels, points, smoothLine } from "./strokes.js";

const one = (query) => document.querySelector(query);
const canvas = one("#canvas"), paint = canvas.getContext("2d", { willReadFrequently: true });
const tools = [...document.querySelectorAll("[data-tool]")], width = one("#width"), palette = one("#palette");
const STEPS = 60; // of undo
const PLAIN = { white: "#ffffff", black: "#000000", grey: "#808080" };
let model, tool = "pen", colour = "#000000", paper = "#ffffff", undone = [], past = [], stroke = null;

export function useModel(chosen) {
  if (model === chosen) return;
  model = chosen;
  if (canvas.width === model.image_size && canvas.height === model.image_size) {
    remember(); // the other model's drawing, which undo brings back
  } else {
    canvas.width = canvas.height = model.image_size;
    [past, undone] = [[], []];
  }
  const colours = Object.entries(Object.keys(model.palette).length ? model.palette : PLAIN);
  paper = colours[0][1];
  palette.replaceChildren(...colours.map(([name, value]) => swatch(name, value)), ownColour());
  palette.querySelectorAll("input[type=radio]")[colours.length > 1 ? 1 : 0].click();
  width.max = Math.round(model.image_size / 6);
  one("#load-example").hidden = model.examples.length === 0;
  empty();
}

function swatch(name, value) {
  const label = document.createElement("label"), input = document.createElement("input");
  Object.assign(input, { type: "radio", name: "colour", value });
  input.addEventListener("change", () => { colour = value; if (tool === "eraser") choose("pen"); });
  const square = document.createElement("canvas"); // painted, since the page allows no style attributes
  [square.width, square.height, square.className] = [16, 16, "swatch"];
  const inside = square.getContext("2d");
  inside.fillStyle = value;
  inside.fillRect(0, 0, 16, 16);
  label.append(input, square, name);
  return label;
}

function ownColour() {
  const input = Object.assign(document.createElement("input"), { type: "color", title: "Another colour" });
  input.setAttribute("aria-label", "Another colour");
  input.addEventListener("input", () => {
    colour = input.value;
    palette.querySelectorAll(":checked").forEach((radio) => { radio.checked = false; });
  });
  return input;
}

function choose(name) {
  tool = name;
  tools.forEach((button) => button.setAttribute("aria-pressed", button.dataset.tool === name));
}

const all = () => paint.getImageData(0, 0, canvas.width, canvas.height);

function remember() {
  past = [...past.slice(1 - STEPS), all()];
  undone = [];
}

function step(from, to) {
  if (!from.length) return;
  to.push(all());
  paint.putImageData(from.pop(), 0, 0);
  redraw();
}

function empty() {
  paint.fillStyle = paper;
  paint.fillRect(0, 0, canvas.width, canvas.height);
  redraw();
}

function fill([x, y]) {
  const image = all(), pixels = new Uint32Array(image.data.buffer), side = canvas.width;
  const start = Math.floor(y) * side + Math.floor(x), old = pixels[start];
  paint.fillStyle = colour;
  const [r, g, b] = levels(paint.fillStyle);
  const fresh = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  if (old === fresh) return;
  const waiting = [start];
  while (waiting.length) {
    const at = waiting.pop();
    if (pixels[at] !== old) continue;
    pixels[at] = fresh;
    if (at % side > 0) waiting.push(at - 1);
    if (at % side < side - 1) waiting.push(at + 1);
    if (at >= side) waiting.push(at - side);
    if (at < pixels.length - side) waiting.push(at + side);
  }
  paint.putImageData(image, 0, 0);
}

function paintStroke() {
  const [first] = stroke.points, last = stroke.points.at(-1);
  paint.putImageData(stroke.before, 0, 0);
  paint.fillStyle = paint.strokeStyle = tool === "eraser" ? paper : colour;
  paint.lineWidth = width.valueAsNumber;
  paint.lineCap = paint.lineJoin = "round";
  if (tool === "box") {
    paint.fillRect(Math.round(first[0]), Math.round(first[1]), Math.round(last[0] - first[0]), Math.round(last[1] - first[1]));
  } else {
    smoothLine(paint, tool === "line" ? [first, last] : stroke.points);
  }
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 0 || !event.isPrimary) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  remember();
  const [at] = points(event, canvas);
  if (tool === "fill") {
    fill(at);
  } else {
    stroke = { points: [at], before: past.at(-1) };
    paintStroke();
  }
  redraw();
});
canvas.addEventListener("pointermove", (event) => {
  if (!stroke || !event.isPrimary) return;
  stroke.points.push(...points(event, canvas));
  paintStroke();
  redraw();
});
for (const kind of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(kind, (event) => { if (event.isPrimary) stroke = null; });
}

// Translate the canvas whenever it has changed.
const redraw = oneAtATime(async () => {
  const asked = model, blob = await new Promise((done) => canvas.toBlob(done));
  try {
    const output = await translate(blob, { model: asked.name, to: asked.directions[0].target });
    if (asked !== model) return;
    for (const [link, data] of [["#save-drawing", blob], ["#save-drawn", output.blob]]) {
      URL.revokeObjectURL(one(link).href);
      one(link).href = URL.createObjectURL(data);
    }
    one("#drawn").src = one("#save-drawn").href;
    one("#latency").textContent = `${Math.round(output.took)} ms, of which ${Math.round(output.computed)} ms computing`;
    say("");
  } catch (error) {
    say(error.message);
  }
});

async function put(image) {
  remember();
  paint.drawImage(image, 0, 0, canvas.width, canvas.height);
  redraw();
}

tools.forEach((button) => button.addEventListener("click", () => choose(button.dataset.tool)));
width.addEventListener("input", () => { width.nextElementSibling.value = width.value; });
one("#undo").addEventListener("click", () => step(past, undone));
one("#redo").addEventListener("click", () => step(undone, past));
one("#empty").addEventListener("click", () => { remember(); empty(); });
let example = 0;
one("#load-example").addEventListener("click", async () => {
  const url = model.examples[example++ % model.examples.length];
  put(await createImageBitmap(await (await fetch(url)).blob()));
});

const traced = one("#traced"), opacity = one("#trace-opacity");
one("#trace").addEventListener("change", ({ target }) => {
  if (!target.files.length) return;
  URL.revokeObjectURL(traced.src);
  traced.src = URL.createObjectURL(target.files[0]);
  target.value = "";
  traced.style.opacity = opacity.querySelector("input").value / 100;
  traced.hidden = opacity.hidden = false;
});
opacity.addEventListener("input", ({ target }) => { traced.style.opacity = target.value / 100; });

document.addEventListener("keydown", (event) => {
  if (one("#draw").hidden || /^(text|number|password)$/.test(event.target.type ?? "")) return;
  const key = event.key.toLowerCase();
  if ((event.ctrlKey || event.metaKey) && (key === "z" || key === "y")) {
    event.preventDefault();
    if (key === "y" || event.shiftKey) step(undone, past);
    else step(past, undone);
  } else if (!event.ctrlKey && !event.metaKey && !event.altKey) {
    const picked = { b: "pen", l: "line", r: "box", g: "fill", e: "eraser" }[key];
    if (picked) choose(picked);
    if (key === "[" || key === "]") {
      width.stepUp(key === "]" ? 1 : -1);
      width.nextElementSibling.value = width.value;
    }
  }
});
choose("pen");
