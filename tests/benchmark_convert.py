"""Images per second of a folder conversion, compared with a plain loop that reads, translates and writes each image.

    python tests/benchmark_convert.py IMAGES [--model map2sat] [--batch-size 8] [--repeat 3]

Both run in the same process with the same model and files, alternately. `--quick` translates three images once: it only
shows that the script works.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from i2i import Translator
from i2i.inference.folder import convert
from i2i.inference.planning import Job, plan


def plain_loop(jobs: list[Job], translator: Translator) -> None:
    """Translate as a user would in four lines."""
    for job in jobs:
        with Image.open(job.source) as image:
            result = translator(image)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        options = {"quality": 95, "subsampling": 0} if job.target.suffix == ".jpg" else {}
        result.save(job.target, **options)


def main() -> None:
    """Measure both alternately and print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images")
    parser.add_argument("--model", default="map2sat")
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="check that the script works")
    flags = parser.parse_args()
    if flags.quick:
        flags.repeat = 1
    translator = Translator.load(flags.model)
    folder = Path(tempfile.mkdtemp())
    speeds: dict[str, list[float]] = {"plain loop": [], "convert": []}
    try:
        for turn in range(flags.repeat + 1):
            for name, speed in speeds.items():
                jobs = plan(flags.images, folder / name)[: 3 if flags.quick else None]
                begun = time.perf_counter()
                if name == "convert":
                    convert(jobs, translator, batch_size=flags.batch_size, progress=False)
                else:
                    plain_loop(jobs, translator)
                if turn:  # the first warms up
                    speed.append(len(jobs) / (time.perf_counter() - begun))
                shutil.rmtree(folder / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    plain, pipelined = (statistics.median(speed) for speed in speeds.values())
    print(f"{len(jobs)} images, {flags.model} on {translator.device}, medians of {flags.repeat}:")
    print(f"plain loop {plain:.2f} img/s, convert {pipelined:.2f} img/s: {pipelined / plain:.2f} times as fast")


if __name__ == "__main__":
    main()
