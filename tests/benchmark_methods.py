"""Cost of a training step of each method, relative to pix2pix: seconds per image and peak memory.

    python tests/benchmark_methods.py --image-size 128 --steps 5

Each method trains in a process of its own, with its default networks, on a batch of noise that is already in memory.
`--generator` and `--discriminator` choose other networks. `--quick` takes one step of narrow networks on small images,
in this process: it only shows that the script works.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image

from i2i.data import find_layout
from i2i.methods import methods
from i2i.spec import Spec
from i2i.training.build import build_run, run_config

# No downloaded weights, and all players move from the first step on.
OPTIONS = {
    "pix2pixhd": {"perceptual_weight": 0.0},
    "simgan": {"refiner_warmup": 0, "discriminator_warmup": 0},
}
BATCH_SIZES = {"gan": 64, "ian": 16}  # batch norm after a latent needs several images; other methods train on one
MEASURED = ["pix2pix", *(name for name in methods if name not in ("pix2pix", "encoder"))]  # which needs a model


def measure(method: str, *, image_size: int, steps: int, generator: str | None, discriminator: str | None) -> dict:
    """Seconds per image and peak megabytes of training steps in this process."""
    kind = methods[method]
    batch_size = BATCH_SIZES.get(method, 1)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        for name in ("train",) if kind.data == "single" else ("trainA", "trainB"):
            (data / name).mkdir(parents=True)
            Image.new("RGB", (image_size, image_size)).save(data / name / "1.png")
        settings = {"image_size": image_size, "load_size": image_size, "batch_size": batch_size}
        networks = {"generator": generator, "discriminator": discriminator}
        config = run_config(method, data, **settings, **networks, **OPTIONS.get(method, {}))
        trainer = build_run(config, find_layout([data], data=kind.data), Path(folder) / "run")
        before = _peak(trainer.device)
        batch = {
            side: torch.rand(batch_size, 3, image_size, image_size, device=trainer.device) * 2 - 1
            for side in ("b" if kind.data == "single" else "ab")
        }
        trainer.train_step(batch)
        begun = time.perf_counter()
        for _ in range(steps):
            losses = trainer.train_step(batch)
        float(next(iter(losses.values())))  # waits for the device
        seconds = (time.perf_counter() - begun) / steps / batch_size
        return {"seconds": seconds, "megabytes": _peak(trainer.device) - before}


def _narrow(spec: str) -> str:
    parsed = Spec.parse(spec)
    return str(Spec(parsed.name, {**parsed.options, "width": 24}))


def _peak(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> int:
    """Print a row of the README's table for each method; return 1 if a method failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image-size", type=int, default=128)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--methods", nargs="*", default=MEASURED)
    parser.add_argument("--generator", help="a spec, such as resnet:width=16")
    parser.add_argument("--discriminator", help="a spec, such as patchgan:layers=1")
    parser.add_argument("--quick", action="store_true", help="check that the script works")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.quick:
        args.image_size, args.steps = 64, 1
        BATCH_SIZES.update(gan=2, ian=2)
    reference: dict[str, float] = {}
    failed = 0
    for method in args.methods:
        if args.quick or args.in_process:
            networks = {"generator": args.generator, "discriminator": args.discriminator}
            if args.quick:
                kind = methods[method]
                networks = {
                    "generator": _narrow(kind.generator_spec),
                    "discriminator": _narrow(kind.discriminator_spec),
                }
            measured = measure(method, image_size=args.image_size, steps=args.steps, **networks)
        else:
            words = [sys.executable, *sys.argv, "--in-process", "--methods", method]
            done = subprocess.run(words, capture_output=True, text=True)
            if done.returncode:
                print(f"| `{method}` | failed: {done.stderr.strip().splitlines()[-1]} |")
                failed = 1
                continue
            measured = json.loads(done.stdout.splitlines()[-1])
        if args.in_process:
            print(json.dumps(measured))
            continue
        reference = reference or measured
        ratios = " | ".join(f"{measured[name] / max(reference[name], 1e-9):.1f}" for name in measured)
        print(f"| `{method}` | {ratios} | {measured['seconds']:.3f} s, {measured['megabytes']:.0f} MB |", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
