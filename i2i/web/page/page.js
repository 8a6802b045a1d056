// The page of `i2i serve`: its tabs, and the model that all of them use.

import { fetchJson, imageUrl, say } from "./api.js";
import * as draw from "./draw.js";
import * as edit from "./edit.js";
import * as images from "./images.js";

const tabs = { images, draw, edit };
const one = (query) => document.querySelector(query);
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
  const list = one("#models"), before = list.querySelector(":checked")?.value;
  list.querySelectorAll("label").forEach((label) => label.remove());
  for (const model of fitting) {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "radio", name: "model", value: model.name });
    input.addEventListener("change", () => choose(model, tab));
    label.append(input);
    if (model.thumbnail) {
      const thumbnail = Object.assign(document.createElement("img"), { alt: "", loading: "lazy" });
      imageUrl(`/v1/models/${encodeURIComponent(model.name)}/thumbnail`).then((url) => { thumbnail.src = url; });
      label.append(thumbnail);
    }
    const directions = model.directions.map(({ source, target }) => `${source} → ${target}`).join(", ");
    for (const [kind, text] of [["strong", model.name], ["small", directions || model.description], ["small", model.licence]]) {
      if (text) label.append(Object.assign(document.createElement(kind), { textContent: text }));
    }
    label.title = model.description;
    list.append(label);
  }
  const chosen = fitting.find((model) => model.name === before) ?? fitting[0];
  if (chosen) {
    list.querySelector(`input[value="${CSS.escape(chosen.name)}"]`).checked = true;
    choose(chosen, tab);
  }
}

function choose(model, tab) {
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

models = (await fetchJson("/v1/models")).models;
show(tabInAddress());
