"""Draw the figures of the documentation again, in docs/figures.

    python docs/make_figures.py                # drawings, and translations by the pretrained models: a minute
    python docs/make_figures.py --trained      # those of models that are trained here too: ten minutes

Inputs are drawn by the scripts in datasets/; no photograph is shown. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from PIL import Image

from diagrams import DRAWINGS
from i2i import Sampler, translate
from i2i.cli import main as i2i
from i2i.editing import ColourStroke, Editor

ROOT = Path(__file__).parent.parent
FIGURES = Path(__file__).parent / "figures"
EXAMPLES = ROOT / "datasets" / "examples"
GAP = 6  # pixels between images
QUICK = ["--workers", "0", "--quiet"]


def main() -> None:
    """Draw all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trained", action="store_true", help="train the models of some pages too, and show them")
    args = parser.parse_args()
    for name, draw in DRAWINGS.items():
        (FIGURES / f"{name}.svg").write_text(draw())
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        facades = drawn("draw_facades.py", work / "facades", count=4)
        flowers = drawn("draw_flowers.py", work / "flowers", count=6)
        write_translations(facades, flowers)
        write_edit(flowers[3])
        if args.trained:
            write_digits(work)
            write_eyes(work)
            write_styles(work)


def drawn(script: str, folder: Path, *, count: int) -> list[Path]:
    """The images that a script in datasets/ draws."""
    command = [sys.executable, str(ROOT / "datasets" / script), str(folder), "--count", str(count)]
    subprocess.run([*command, "--seed", "0"], check=True, stderr=subprocess.DEVNULL)
    return sorted(folder.glob("*.png"))


def write_translations(facades: Sequence[Path], flowers: Sequence[Path]) -> None:
    """Inputs above, translations below."""
    maps = [EXAMPLES / name for name in ("02-dense-residential.png", "05-coast.png", "03-big-park.png")]
    shown = [(maps[0], "map2sat"), (maps[1], "map2sat"), (facades[0], "label2facade"), (facades[1], "label2facade")]
    shown += [(flowers[0], "sketch2flower"), (flowers[3], "sketch2flower")]
    inputs = [opened(path) for path, _ in shown]
    save([inputs, [opened(translate(path, model)) for path, model in shown]], "translations.jpg", side=200)
    save([map(opened, maps), [opened(translate(path, "map2sat")) for path in maps]], "map2sat.jpg", side=256)
    outputs = [opened(translate(maps[0], model)) for model in ("map2sat", "map2sat-lite")]
    save([[opened(maps[0]), *outputs]], "distill.jpg", side=256)


def write_edit(sketch: Path) -> None:
    """A flower that a model made, its projection, the morph after a red stroke, and the edit carried over."""
    flower = translate(sketch, "sketch2flower")
    editor = Editor.load("flowers", device="cpu")
    projection = editor.project(flower)
    editor.apply(ColourStroke([(0.35, 0.45), (0.5, 0.5), (0.62, 0.45)], (214, 24, 50), width=0.2))
    morph = editor.morph(6)[1:]
    save([[opened(image) for image in (flower, projection, *morph, editor.transfer())]], "edit.png", side=128)


def write_eyes(work: Path) -> None:
    """Held-out renderings, what simgan makes of them, and camera images."""
    data, run = work / "eyes", work / "eyes-run"
    command = [sys.executable, str(ROOT / "datasets" / "draw_eyes.py"), str(data), "--size", "32", "32"]
    subprocess.run([*command, "--count", "600", "--test", "20"], check=True, stderr=subprocess.DEVNULL)
    networks = ["--generator", "refiner:width=16", "--discriminator", "local:width=24", "--self-weight", "3"]
    updates = ["--optimizer", "adam", "--lr", "5e-4", "--batch-size", "32", "--pool-size", "640"]
    warmup = ["--refiner-warmup", "100", "--discriminator-warmup", "50", "--steps", "1500"]
    words = ["train", "simgan", str(data), "--run", str(run), "--channels", "1", "1", "--image-size", "32"]
    if i2i([*words, *networks, *updates, *warmup, *QUICK]):
        raise SystemExit("training failed")
    show_eyes(data, run)


def show_eyes(data: Path, run: Path) -> None:
    """Save renderings, refined ones, and camera images, in rows."""
    renderings, camera = (sorted((data / folder).glob("*.png"))[:8] for folder in ("testA", "testB"))
    refined = [translate(path, run) for path in renderings]
    save([map(opened, row) for row in (renderings, refined, camera)], "eyes.png", side=80)


def write_digits(work: Path) -> None:
    """Digits that gan generates, a column for each class."""
    command = [sys.executable, str(ROOT / "datasets" / "draw_digits.py"), str(work / "digits"), "--count", "200"]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    networks = ["--ema-decay", "0.99", "--generator", "dcgan:width=12", "--discriminator", "dcgan:width=12"]
    words = ["train", "gan", str(work / "digits"), "--labels", "--channels", "1", "1", "--image-size", "32", *networks]
    if i2i([*words, "--run", str(work / "run"), "--steps", "2000", "--batch-size", "32", *QUICK]):
        raise SystemExit("training failed")
    sampler = Sampler.load(work / "run", device="cpu")
    columns = [[opened(image) for image in sampler(4, seed=1, label=str(digit))] for digit in range(10)]
    save(zip(*columns, strict=True), "digits.png", side=32, gap=2)


def write_styles(work: Path) -> None:
    """What the model of docs/start.md makes of held-out maps."""
    data, run = work / "styles", work / "styles-run"
    for split, count, seed in (("train", "100", "2"), ("val", "12", "3")):
        maps = data / split / "drawn"
        draw = ["draw_maps.py", str(maps), "--count", count, "--seed", seed]
        for script, *words in (draw, ["restyle_maps.py", str(maps), str(data / split / "osm"), "--same-names"]):
            command = [sys.executable, str(ROOT / "datasets" / script), *words]
            subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    networks = ["--generator", "unet:width=16", "--discriminator", "patchgan:width=16"]
    words = ["train", "pix2pix", str(data), "--run", str(run), "--steps", "1000", "--image-size", "128"]
    if i2i([*words, *networks, *QUICK]):
        raise SystemExit("training failed")
    show_styles(data, run)


def show_styles(data: Path, run: Path) -> None:
    """Save held-out maps, the outputs of a run, and the targets, in rows."""
    maps = [data / "val" / "drawn" / path.name for path in sorted((data / "val" / "drawn").glob("*.png"))[:5]]
    targets = [data / "val" / "osm" / path.name for path in maps]
    rows = [map(opened, maps), [opened(translate(path, run)) for path in maps], map(opened, targets)]
    save(rows, "styles.jpg", side=160)


def opened(image: Image.Image | Path) -> Image.Image:
    """An image in RGB, cropped to the square in its middle."""
    image = (Image.open(image) if isinstance(image, Path) else image).convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))


def save(rows: Iterable[Iterable[Image.Image]], name: str, *, side: int, gap: int = GAP) -> None:
    """Save images in rows, each `side` pixels high and wide, on white."""
    grid = [[image.resize((side, side), Image.Resampling.LANCZOS) for image in row] for row in rows]
    step = side + gap
    sheet = Image.new("RGB", (step * len(grid[0]) - gap, step * len(grid) - gap), "white")
    for top, row in enumerate(grid):
        for left, image in enumerate(row):
            sheet.paste(image, (left * step, top * step))
    sheet.save(FIGURES / name, quality=85, optimize=True)


if __name__ == "__main__":
    main()
