"""Run folders made by hand, and their reports as parsed HTML."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from PIL import Image

from i2i.report import write_comparison, write_page

VOID = {"meta", "link", "input", "img", "wbr"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}\x1b[31m"
CONFIG = {
    "method": "pix2pix",
    "paths": ["data/maps"],
    "options": {"l1_weight": 100.0},
    "data": {"image_size": 128, "load_size": None, "augment": ["flip"], "domains": ["map", "sat"]},
    "train": {"steps": 400, "batch_size": 2, "lr": 0.0002, "generator": None},
    "plugins": [],
    "made_by": "i2i-toolkit 1",
}
LINES = [
    {"step": s, "lr": 2e-4, "images_per_second": 10.0, "generator/adversarial": 0.7, "generator/l1": 50 / s,
     "discriminator/adversarial": 0.6, "fake_accuracy": 0.5}
    for s in range(100, 301, 100)
]  # fmt: skip
SCORES = [
    {"step": 100, "validation/l1": 30.0, "validation/psnr": 14.0, "validation/n": 50},
    {"step": 200, "validation/l1": 25.0, "validation/psnr": 15.5, "validation/n": 50},
    {"step": 300, "validation/l1": 28.0, "validation/psnr": 15.0, "validation/n": 50},
]
DISTANCES = [
    {"step": step, "validation/kernel_distance_my_net": (a2b + b2a) / 2,
     "validation/kernel_distance_my_net/a2b": a2b, "validation/kernel_distance_my_net/a2b/low": a2b - 0.1,
     "validation/kernel_distance_my_net/a2b/high": a2b + 0.2,
     "validation/kernel_distance_my_net/b2a": b2a, "validation/kernel_distance_my_net/b2a/low": b2a - 0.3,
     "validation/kernel_distance_my_net/b2a/high": b2a + 0.4, "validation/n": 50}
    for step, a2b, b2a in ((100, 0.5, 0.7), (200, 0.4, 0.4), (300, 0.3, 0.6))
]  # fmt: skip
SUMMARY = {
    "domains": ["map", "sat"],
    "layout": "pairs side by side",
    "training_images": 1096,
    "held_out_images": 50,
    "maps": {"a2b": "unet:depth=7,width=64"},
    "parameters": {"a2b": 13.6e6},
    "steps": 400,
    "command": "i2i train pix2pix data/maps --steps 400",
    "best": {"step": 200, "score": "validation/l1", "value": 24.5},
    "state": "running",
}


class Page(HTMLParser):
    """A page as elements: their attributes, and the text within each id and each tag."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, str | None]] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: dict[str, str] = {}
        self.source = text
        self.feed(text)
        self.close()
        assert not self.open, "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append((tag, dict(attrs).get("id")))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for name in {name for pair in self.open for name in pair if name}:
            self.text[name] = self.text.get(name, "") + data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.text["run"])


def make_run(folder: Path, *, lines: Any = (), grids: Any = (), config: Any = CONFIG, summary: Any = None) -> Path:
    """Write a run's folder: metrics, sample grids of 60 x 40 pixels, and its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))
    if summary is not None:
        (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for step in grids:
        (folder / "samples").mkdir(exist_ok=True)
        Image.new("RGB", (60, 40), (step % 255, 90, 60)).save(folder / "samples" / f"{step:06d}.png")
    return folder


def comparison_of(*folders: Path) -> Page:
    """Write a comparison beside the first run and parse it."""
    output = folders[0].parent / "comparison.html"
    write_comparison(folders, output)
    return Page(output.read_text("utf-8"))


def page_of(folder: Path) -> Page:
    """Write a run's report and parse it."""
    write_page(folder)
    return Page((folder / "report.html").read_text("utf-8"))
