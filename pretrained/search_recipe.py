"""Search for a better recipe: train candidates at equal steps, score them on held-out images, and keep a table.

    python pretrained/search_recipe.py DATA --data-set facades --method pix2pix --seeds 0
    python pretrained/search_recipe.py --table

A candidate is a name and the flags that it adds to `i2i train`; see FOR_ALL, FOR_PAIRS and FOR_UNPAIRED. Scores go into
recipe.json in this folder as soon as a run ends, and a run that is there already is skipped, so that the search resumes
where it stopped.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from i2i.files import write_whole
from i2i.methods import methods

RESULTS = Path(__file__).with_name("recipe.json")
COLUMNS = ("kernel_distance_efficientnet_lite0", "kernel_distance_efficientnet_lite2", "checkerboard", "ssim", "l1")

EMA = "--ema-decay 0.998"
RESIZE = "--generator GENERATOR:up=resize"
BEST = f"{EMA} {RESIZE} --perceptual-weight 10"

# What each candidate adds to the paper's settings; GENERATOR is the method's backbone.
FOR_ALL = {
    "paper": "",
    "EMA": EMA,
    "EMA, resize": f"{EMA} {RESIZE}",
}
FOR_PAIRS = {
    "EMA, resize, perceptual": BEST,
    "EMA, shuffle, perceptual": f"{EMA} --generator GENERATOR:up=shuffle --perceptual-weight 10",
    "EMA, resize, perceptual x 3": f"{EMA} {RESIZE} --perceptual-weight 30",
    "EMA, resize, perceptual, L1 x 0.1": f"{BEST} --l1-weight 10",
    "EMA, resize, perceptual, feature matching": f"{BEST} --feature-matching 10",
    "EMA, resize, perceptual, two scales": f"{BEST} --discriminator patchgan:scales=2",
    "EMA, resize, perceptual, spectral": f"{BEST} --discriminator patchgan:spectral=true",
    "EMA, resize, perceptual, R1": f"{BEST} --r1 1",
    "EMA, resize, perceptual, hinge": f"{BEST} --adversarial hinge",
    "EMA, resize, perceptual, DiffAugment": f"{BEST} --diffaugment colour translation",
    "EMA, resize, perceptual, cosine": f"{BEST} --schedule cosine --lr-decay-fraction 0.9",
    "EMA, resize, perceptual, lr x 2": f"{BEST} --lr 4e-4",
    "EMA, resize, perceptual, no dropout": f"{EMA} --generator GENERATOR:up=resize,dropout=0 --perceptual-weight 10",
    "EMA, resize, perceptual, instance norm": f"{EMA} --generator GENERATOR:up=resize,norm=instance "
    "--perceptual-weight 10",
}
FOR_UNPAIRED = {
    "EMA, DiffAugment": f"{EMA} --diffaugment colour translation",
    "EMA, resize, DiffAugment": f"{EMA} {RESIZE} --diffaugment colour translation",
    "EMA, resize, identity": f"{EMA} {RESIZE} --identity-weight 5",
    "EMA, resize, identity, DiffAugment": f"{EMA} {RESIZE} --identity-weight 5 --diffaugment colour translation",
    "EMA, resize, spectral": f"{EMA} {RESIZE} --discriminator patchgan:spectral=true",
    "EMA, resize, R1": f"{EMA} {RESIZE} --r1 1",
}
CANDIDATES = {**FOR_ALL, **FOR_PAIRS, **FOR_UNPAIRED}


def main() -> None:
    """Train and score what is missing, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="*", help="a folder of images, or two")
    parser.add_argument("--data-set", default="facades", help="its name in the table")
    parser.add_argument("--method", default="pix2pix")
    parser.add_argument("--flags", default="", help="flags of all candidates, such as --swap")
    parser.add_argument("--candidates", nargs="+", choices=CANDIDATES, metavar="NAME", help="default: all that fit")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=16, help="of both networks")
    parser.add_argument("--features", nargs="+", default=["efficientnet-lite0"], help="networks of kernel distances")
    parser.add_argument("--models", type=Path, default=Path("recipe_models"), help="folder where models are kept")
    parser.add_argument("--table", action="store_true", help="print the table and train nothing")
    args = parser.parse_args()
    if args.table:
        print("\n".join(table()))
        return
    args.models.mkdir(parents=True, exist_ok=True)
    fitting = FOR_PAIRS if methods[args.method].data == "paired" else FOR_UNPAIRED
    candidates = args.candidates or [*FOR_ALL, *fitting]
    for name, seed in tqdm([(name, seed) for seed in args.seeds for name in candidates], unit="run"):
        key = f"{args.method} | {args.data_set} | {name} | {seed}"
        model = args.models / (re.sub(r"\W+", "-", key) + ".safetensors")
        result = results().get(key) or {"command": "", "scores": {}}
        for features in args.features:
            if f"kernel_distance_{features.replace('-', '_')}" not in result["scores"]:
                if not model.exists():
                    result["command"] = train(args, CANDIDATES[name], seed, model)
                result["scores"] |= score(model, args.data, features)
                write_whole(RESULTS, (json.dumps(results() | {key: result}, indent=1) + "\n").encode())


def train(args: argparse.Namespace, candidate: str, seed: int, model: Path) -> str:
    """Train a candidate, keep its model file, and return the command that trained it."""
    backbone = "unet" if args.method == "pix2pix" else "resnet"
    flags = [*args.flags.split(), *candidate.replace("GENERATOR", backbone).split()]
    for network, default in (("--generator", backbone), ("--discriminator", "patchgan")):
        if network not in flags:
            flags += [network, default]
        at = flags.index(network) + 1
        flags[at] += f"{',' if ':' in flags[at] else ':'}width={args.width}"
    settings = ["--image-size", str(args.image_size), "--steps", str(args.steps), "--seed", str(seed), *flags]
    with tempfile.TemporaryDirectory() as folder:
        quiet = ["--sample-every", str(args.steps), "--validate-every", "0", "--quiet", "--run", f"{folder}/run"]
        run_i2i("train", args.method, *args.data, *settings, *quiet)
        write_whole(model, Path(folder, "run", "model.safetensors").read_bytes())
    return " ".join(["i2i", "train", args.method, args.data_set, *settings])


def score(model: Path, data: list[str], features: str) -> dict[str, Any]:
    """The scores of a model on held-out images, with 95 % intervals."""
    judge = [] if features == "efficientnet-lite0" else ["--import", str(Path(__file__).with_name("second_judge.py"))]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scores.json"
        run_i2i(
            "evaluate", str(model), *data, "--features", features, "--resamples", "200", "--json", str(file), *judge
        )
        found = json.loads(file.read_text())["scores"]
    return {name: {key: found[name][key] for key in ("value", "interval", "n")} for name in found}


def run_i2i(*words: str) -> None:
    """Run a command of i2i, and show what it prints only if it fails."""
    subprocess.run([sys.executable, "-m", "i2i", *words], check=True, stdout=subprocess.DEVNULL)


def results() -> dict[str, Any]:
    """The scores of all runs so far, by method, data set, candidate and seed."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {}


def table() -> Iterator[str]:
    """The lines of a Markdown table: a row for each run."""
    titles = "method", "data", "candidate", "seed", "kernel distance, lite0", "lite2", "checkerboard", "SSIM", "L1"
    yield f"| {' | '.join(titles)} |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for key, result in results().items():
        cells = [in_words(result["scores"].get(name)) for name in COLUMNS]
        yield f"| {key} | {' | '.join(cells)} |"


def in_words(score: dict[str, Any] | None) -> str:
    """A score with its interval: "0.093 (0.083 to 0.105)"."""
    if score is None:
        return ""
    low, high = score["interval"]
    return f"{score['value']:.3g} ({low:.3g} to {high:.3g})"


if __name__ == "__main__":
    main()
