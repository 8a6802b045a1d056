// The tab "Edit": strokes on a photograph, and the images of a generator that fit them.

import { base64, fetchJson, oneAtATime, say } from "./api.js";
import { levels, points, smoothLine } from "./strokes.js";

const one = (query) => document.querySelector(query);
const canvas = one("#strokes"), paint = canvas.getContext("2d"), SIDE = 512, FRAMES = 16, LONGEST = 1200;
const brushes = [...document.querySelectorAll("[data-brush]")];
let model, brush = "colour", photo = null, seed = 0, strokes = [], line = null, candidate = 0, answer = null;

export function useModel(chosen) {
  if (model === chosen) return;
  model = chosen;
  canvas.width = canvas.height = SIDE;
  begin(null);
}

function begin(file, nextSeed = 0) {
  [photo, seed, strokes, candidate] = [file, nextSeed, [], 0];
  one("#outcome-kind").value = photo ? "transfer" : "image";
  for (const option of one("#outcome-kind").options) option.disabled = option.value !== "image" && !photo;
  compute();
}

function choose(name) {
  brush = name;
  brushes.forEach((button) => button.setAttribute("aria-pressed", button.dataset.brush === name));
}

// A photograph with sides of at most LONGEST pixels: an edit of a larger one takes long, and shows no more.
async function smaller(file) {
  const image = await createImageBitmap(file), scale = LONGEST / Math.max(image.width, image.height);
  if (scale >= 1) return file;
  const sheet = document.createElement("canvas");
  [sheet.width, sheet.height] = [image.width, image.height].map((side) => Math.round(side * scale));
  sheet.getContext("2d").drawImage(image, 0, 0, sheet.width, sheet.height);
  return new Promise((done) => sheet.toBlob(done));
}

const ask = oneAtATime(async () => {
  one("#edit-time").textContent = "Computing …";
  try {
    const asked = { model: model.name, photo, seed, strokes: strokes.map(described), candidate, morph: FRAMES };
    answer = await fetchJson("/v1/edit", asked);
    one("#edit-time").textContent = `${answer.milliseconds} ms`;
    showAnswer();
    say("");
  } catch (error) {
    one("#edit-time").textContent = "";
    say(error.message);
  }
});

function compute() {
  paintStrokes();
  ask();
}

function showAnswer() {
  const focused = one("#candidates").contains(document.activeElement);
  one("#edited").src = answer.image;
  one("#morph").value = FRAMES - 1;
  one("#candidates").replaceChildren(...answer.candidates.map(({ image, cost }, at) => {
    const button = document.createElement("button");
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", at === candidate);
    button.title = `Cost ${cost.toFixed(2)}`;
    button.append(Object.assign(document.createElement("img"), { src: image, alt: `Candidate ${at + 1}` }));
    button.addEventListener("click", () => { candidate = at; compute(); });
    return button;
  }));
  if (focused) one("#candidates").children[candidate]?.focus();
  showOutcome();
}

function showOutcome() {
  const at = one("#morph").valueAsNumber;
  const shown = at < FRAMES - 1 ? answer.morph[at] : answer[one("#outcome-kind").value] || answer.image;
  one("#outcome").src = one("#save-outcome").href = shown;
}

// A stroke as the server takes it: with points from [0, 0], the top left corner, to [1, 1].
function described({ brush: kind, colour, width, points: through }) {
  const shares = through.map((point) => point.map((value) => value / SIDE));
  if (kind === "warp") return { brush: kind, start: shares[0], end: shares.at(-1), radius: width };
  if (kind === "sketch") return { brush: kind, points: shares, width };
  return { brush: kind, points: shares, width, colour: levels(colour) };
}

function paintStrokes() {
  paint.clearRect(0, 0, SIDE, SIDE);
  paint.globalAlpha = 0.6; // the image shows through
  paint.lineCap = paint.lineJoin = "round";
  for (const { brush: kind, colour, width, points: through } of line ? [...strokes, line] : strokes) {
    paint.lineWidth = kind === "warp" ? 2 : width * SIDE;
    paint.strokeStyle = kind === "colour" ? colour : "#ffffff";
    if (kind === "warp") {
      paint.beginPath();
      paint.arc(...through[0], width * SIDE, 0, 2 * Math.PI);
      paint.stroke();
    }
    smoothLine(paint, kind === "warp" ? [through[0], through.at(-1)] : through);
  }
}

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 0 || !event.isPrimary) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  const share = one("#stroke-width").valueAsNumber / 100;
  const width = { colour: share, sketch: share / 3, warp: Math.max(share, 0.08) }[brush];
  line = { brush, colour: one("#stroke-colour").value, width, points: points(event, canvas) };
  paintStrokes();
});
canvas.addEventListener("pointermove", (event) => {
  if (!line || !event.isPrimary) return;
  line.points.push(...points(event, canvas));
  paintStrokes();
});
canvas.addEventListener("pointerup", () => {
  if (!line) return;
  strokes.push(line);
  [line, candidate] = [null, 0];
  compute();
});
canvas.addEventListener("pointercancel", () => { line = null; paintStrokes(); });

brushes.forEach((button) => button.addEventListener("click", () => choose(button.dataset.brush)));
one("#photo").addEventListener("change", async ({ target }) => {
  const [file] = target.files;
  if (!file) return;
  try {
    begin(await base64(await smaller(file)));
  } catch {
    say(`${file.name} can't be read as an image.`);
  }
  target.value = "";
});
one("#sample").addEventListener("click", () => begin(null, photo === null ? seed + 1 : 0));
const undo = () => { strokes.pop(); candidate = 0; compute(); };
one("#undo-stroke").addEventListener("click", undo);
document.addEventListener("keydown", (event) => {
  if (one("#edit").hidden || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
  event.preventDefault();
  undo();
});
one("#no-strokes").addEventListener("click", () => { strokes = []; candidate = 0; compute(); });
one("#outcome-kind").addEventListener("change", showOutcome);
one("#morph").addEventListener("input", showOutcome);
choose("colour");
