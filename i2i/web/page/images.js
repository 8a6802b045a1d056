// The tab "Images": translate files that are dropped, pasted, chosen, photographed, or examples.

import { say, translate } from "./api.js";
import { zipSync } from "./vendor/fflate.js";

const one = (query) => document.querySelector(query);
const results = one("#results"), batch = one("#batch"), drop = one("#drop"), files = one("#files");
let model, stop = new AbortController(), total = 0, done = 0, outputs = [], queue = Promise.resolve();

export function useModel(chosen) {
  model = chosen;
  one("#outputs").hidden = !model.samples;
  const directions = one("#directions"), select = directions.querySelector("select");
  directions.hidden = model.directions.length < 2;
  select.replaceChildren(...model.directions.map(({ source, target }) => new Option(`${source} → ${target}`, target)));
  one("#examples").replaceChildren(...model.examples.map((url, at) => {
    const button = document.createElement("button");
    button.title = `Example ${at + 1}`;
    button.append(Object.assign(document.createElement("img"), { src: url, alt: `Example ${at + 1}` }));
    button.addEventListener("click", async () => {
      add([new File([await (await fetch(url)).blob()], url.split("/").pop())]);
    });
    return button;
  }));
}

// Translate files with the chosen model, one after the other; later ones wait for these.
function add(chosen) {
  const outputsOfEach = Math.min(12, Math.max(1, Math.floor(one("#outputs input").valueAsNumber) || 1));
  const seeds = model.samples ? [...Array(outputsOfEach).keys()] : [undefined];
  const settings = { model: model.name, to: one("#directions").hidden ? undefined : one("#directions select").value };
  say("");
  for (const file of chosen) {
    for (const seed of seeds) {
      total += 1;
      const { signal } = stop;
      queue = queue.then(() => signal.aborted || translateOne(file, { ...settings, seed, signal }));
    }
  }
  showProgress();
}

async function translateOne(file, settings) {
  const card = one("#result").content.cloneNode(true).firstElementChild;
  const part = (name) => card.querySelector(name);
  const name = settings.seed === undefined ? file.name : `${file.name}, seed ${settings.seed}`;
  part(".name").textContent = name;
  try {
    const { blob, computed } = await translate(file, settings);
    part(".after").src = URL.createObjectURL(blob);
    part(".time").textContent = `${Math.round(computed)} ms`;
    part(".before").src = URL.createObjectURL(file);
    part(".before").onerror = () => { part(".compare").classList.add("alone"); part(".before").remove(); };
    part("input").addEventListener("input", (event) => {
      part(".compare").style.setProperty("--at", `${event.target.value}%`);
    });
    const saved = `${name.replace(/\.[^.,]*(?=,|$)/, "").replaceAll(", ", "-").replaceAll(" ", "")}-${settings.model}.png`;
    Object.assign(part(".download"), { href: part(".after").src, download: saved });
    outputs.push({ name: saved, blob });
  } catch (error) {
    if (error.name === "AbortError") return;
    card.classList.add("failed");
    part(".compare").remove();
    part(".download").remove();
    part(".time").textContent = error.message;
  }
  results.prepend(card);
  done += 1;
  showProgress();
}

function showProgress() {
  batch.hidden = total === 0;
  const bar = batch.querySelector("progress");
  [bar.max, bar.value] = [total || 1, done];
  batch.querySelector(".count").textContent = `${done} of ${total}`;
  one("#zip").disabled = outputs.length === 0;
  one("#stop").disabled = done >= total;
}

async function download() {
  const entries = {};
  for (const { name, blob } of outputs) {
    let unique = name;
    for (let n = 2; unique in entries; n += 1) unique = name.replace(/(\.png)$/, `-${n}$1`);
    entries[unique] = new Uint8Array(await blob.arrayBuffer());
  }
  const zipped = new Blob([zipSync(entries, { level: 0 })], { type: "application/zip" });
  const href = URL.createObjectURL(zipped);
  Object.assign(document.createElement("a"), { href, download: `${model.name}.zip` }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000); // once it is saved
}

function cancel() {
  stop.abort();
  stop = new AbortController();
  total = done;
  showProgress();
}

drop.addEventListener("click", () => files.click());
drop.addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") { event.preventDefault(); files.click(); }
});
files.addEventListener("click", (event) => event.stopPropagation());
files.addEventListener("change", () => { add([...files.files]); files.value = ""; });
for (const kind of ["dragover", "drop", "dragleave"]) {
  drop.addEventListener(kind, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", kind === "dragover");
  });
}
document.addEventListener("drop", (event) => {
  if (!one("#images").hidden) add([...event.dataTransfer.files]);
});
document.addEventListener("paste", (event) => {
  const pasted = [...(event.clipboardData?.files ?? [])];
  if (pasted.length && !one("#images").hidden) add(pasted);
});
one("#stop").addEventListener("click", cancel);
one("#zip").addEventListener("click", download);
one("#clear").addEventListener("click", () => {
  cancel();
  [total, done, outputs] = [0, 0, []];
  for (const image of results.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  results.replaceChildren();
  showProgress();
});

const camera = one("#camera"), video = camera.querySelector("video");
one("#webcam").addEventListener("click", async () => {
  if (!navigator.mediaDevices) {
    say("A browser gives the camera to pages from localhost or over HTTPS only.");
    return;
  }
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    camera.showModal();
  } catch (error) {
    say(`The camera can't be used: ${error.message}`);
  }
});
camera.addEventListener("close", () => video.srcObject?.getTracks().forEach((track) => track.stop()));
one("#no-photo").addEventListener("click", () => camera.close());
one("#shoot").addEventListener("click", () => {
  const sheet = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  sheet.getContext("2d").drawImage(video, 0, 0);
  sheet.toBlob((blob) => add([new File([blob], "photo.png")]));
  camera.close();
});
