// The page of `i2i serve`: its tabs, and the model that all of them use.

import { fetchJson, imageUrl, say } from "./api.js";
import * as draw from "./draw.js";
import * as edit from "./edit.js";
import * as images from "./images.js";

const tabs = { images, draw, edit };
const one = (query) => document.querySelector(query);
const chosen = {}; // the name of each tab's model
const thumbnails = {}; // their addresses, by the name of the model
let models = [];

function show(tab) {
  for (const name of Object.keys(tabs)) {
    one(`#${name}`).hidden = name !== tab;
    one(`#tab-${name}`).setAttribute("aria-selected", name === tab);
    one(`#tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  const fitting = models.filter((model) => (model.kind === "edit") === (tab === "edit"));
  listModels(fitting, tab);
  say(fitting.length ? "" : tab === "edit"
    ? "No model to edit on: start the server with a model that i2i train gan, ian or encoder has made."
    : "No model that translates: start the server with one.");
}

function listModels(fitting, tab) {
  const list = one("#models");
  list.querySelectorAll("label").forEach((label) => label.remove());
  for (const model of fitting) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "model", value: model.name });
    input.addEventListener("change", () => choose(model, tab));
    label.append(input);
    if (model.thumbnail) {
      const thumbnail = Object.assign(document.createElement("img"), { alt: "", loading: "lazy" });
      thumbnails[model.name] ??= imageUrl(`/v1/models/${encodeURIComponent(model.name)}/thumbnail`);
      thumbnails[model.name].then((url) => { thumbnail.src = url; }, (error) => say(error.message));
      label.append(thumbnail);
    }
    const directions = model.directions.map(({ source, target }) => `${source} → ${target}`).join(", ");
    for (const [kind, text] of [["strong", model.name], ["small", directions || model.description], ["small", model.licence]]) {
      if (text) label.append(Object.assign(document.createElement(kind), { textContent: text }));
    }
    label.title = model.description;
    list.append(label);
  }
  const model = fitting.find(({ name }) => name === chosen[tab]) ?? fitting[0];
  if (model) {
    list.querySelector(`input[value="${CSS.escape(model.name)}"]`).checked = true;
    choose(model, tab);
  }
}

function choose(model, tab) {
  chosen[tab] = model.name;
  say("");
  tabs[tab].useModel(model);
}

for (const name of Object.keys(tabs)) {
  one(`#tab-${name}`).addEventListener("click", () => { location.hash = name; });
}
one("[role=tablist]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const names = Object.keys(tabs), at = names.indexOf(document.activeElement.id.replace("tab-", ""));
  one(`#tab-${names[(at + step + names.length) % names.length]}`).focus();
});
const tabInAddress = () => (location.hash.slice(1) in tabs ? location.hash.slice(1) : "images");
window.addEventListener("hashchange", () => show(tabInAddress()));

// A file that is dropped beside its place would replace the page.
for (const kind of ["dragover", "drop"]) {
  document.addEventListener(kind, (event) => event.preventDefault());
}

try {
  models = (await fetchJson("/v1/models")).models;
  show(tabInAddress());
} catch (error) {
  say(error.message);
}
