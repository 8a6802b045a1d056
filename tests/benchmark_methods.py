"""What a step of each method costs beside one of pix2pix: seconds an image, and memory at its peak.

    python tests/benchmark_methods.py --image-size 128 --steps 5

Each method trains with its own networks, in a process of its own, on images of noise that are in memory already. The
networks of one side are those of a run; give --flags for others: --flags "--generator resnet:width=16".
"""

from __future__ import annotations

import argparse
import json
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from i2i.cli.train import _read_run
from i2i.data import find_layout
from i2i.methods import methods
from i2i.training.build import build_run

# Weights that would be downloaded stay out; each method's batch is counted in images, so that they compare.
OFFLINE = {
    "pix2pixhd": ["--perceptual-weight", "0"],
    "simgan": ["--refiner-warmup", "0", "--discriminator-warmup", "0"],
}
SINGLE = {"gan": 64}  # images in a batch of methods whose networks need one; the others have 1


def measure(method: str, image_size: int, steps: int, flags: list[str]) -> dict[str, float]:
    """Seconds an image and peak megabytes of training steps, in this process."""
    kind = methods[method]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for name in ("train",) if kind.data == "single" else ("trainA", "trainB"):
            (data / name).mkdir(parents=True)
            noise = np.random.default_rng(0).integers(0, 255, (image_size, image_size, 3), np.uint8)
            Image.fromarray(noise).save(data / name / "1.png")
        batch_size = SINGLE.get(method, 1)
        words = [str(data), "--run", folder, "--image-size", str(image_size), "--load-size", str(image_size)]
        words += ["--channels", "3", "3", "--batch-size", str(batch_size), *OFFLINE.get(method, []), *flags]
        config, run, _ = _read_run(method, kind, words)
        before = _peak(config.train.device)
        trainer = build_run(config, find_layout(config.paths, data=kind.data), run)
        samples = [trainer.dataset[index] for index in range(batch_size)]
        batch = {name: torch.stack([sample[name] for sample in samples]).to(trainer.device) for name in samples[0]}
        trainer.train_step(batch)
        begun = time.perf_counter()
        for _ in range(steps):
            report = trainer.train_step(batch)
        float(next(iter(report.values())))  # waits for the device
        seconds = (time.perf_counter() - begun) / steps / batch_size
        return {"seconds": seconds, "megabytes": _peak(trainer.device.type) - before}


def _peak(device: str) -> float:
    if device.startswith("cuda") or (device == "auto" and torch.cuda.is_available()):
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Print a line for each method."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--methods", nargs="*", default=["pix2pix", *(name for name in methods if name != "pix2pix")])
    parser.add_argument("--flags", default="", help="further flags of i2i train, in quotes")
    parser.add_argument("--one", help="measure this method in this process")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.image_size, args.steps, shlex.split(args.flags))))
        return
    first: dict[str, float] = {}
    for method in args.methods:
        words = [sys.executable, __file__, "--one", method, "--image-size", str(args.image_size)]
        words += ["--steps", str(args.steps), f"--flags={args.flags}"]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            print(f"| `{method}` | failed: {done.stderr.strip().splitlines()[-1]} |")
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        first = first or found
        ratios = " | ".join(f"{found[name] / first[name]:.1f}" for name in ("seconds", "megabytes"))
        print(f"| `{method}` | {ratios} | {found['seconds']:.3f} s, {found['megabytes']:.0f} MB |", flush=True)


if __name__ == "__main__":
    main()
