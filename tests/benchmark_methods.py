"""Cost of a training step of each method, relative to pix2pix: seconds per image and peak memory.

    python tests/benchmark_methods.py --image-size 128 --steps 5

Each method trains in a process of its own, with its default networks, on a batch of noise that is already in memory.
`--generator` and `--discriminator` choose other networks. `--quick` takes one step of narrow networks on small images,
in this process: it only shows that the script works.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from i2i.methods import methods
from i2i.spec import Spec
from i2i.training.speed import measure_training

MEASURED = ["pix2pix", *(name for name in methods if name != "pix2pix" and not methods[name].of_run)]


def _narrow(spec: str) -> str:
    parsed = Spec.parse(spec)
    return str(Spec(parsed.name, {**parsed.options, "width": 24}))


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
            batch_size = 2 if args.quick and kind.data == "single" else None
            measured = measure_training(
                method, image_size=args.image_size, steps=args.steps, batch_size=batch_size, **networks
            )._asdict()
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
