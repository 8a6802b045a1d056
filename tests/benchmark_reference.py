"""Speed and memory beside pytorch-CycleGAN-and-pix2pix, with the same networks on the same machine.

    python tests/benchmark_reference.py CHECKOUT [--rows step folder image memory] [--repeat 3] [--markdown]

CHECKOUT is a clone of that toolkit, whose own scripts need `pip install dominate`. Each measurement is a process of its
own; the two toolkits take turns, and medians are printed with their ratio. Networks have random weights, images are
synthetic. Rows:

- step: seconds of a training step of pix2pix (U-Net, 256 px) and of cyclegan (ResNet-6, 128 px, identity terms)
- folder: seconds to translate a folder of 40 images of 256 px, with the start of the process: PyTorch, fp32 and int8
- image: milliseconds to translate an image of 256 px that is in memory
- memory: peak memory of a training step of pix2pix at 256 and 512 px, beyond that of the imports, in MB
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROWS = ("step", "folder", "image", "memory")
NETWORKS = {"unet": "unet_256", "resnet": "resnet_9blocks"}  # ours, and the reference's name of the same
NORMS = {"unet": "batch", "resnet": "instance"}
IMAGES, SIDE = 40, 256


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        name: what is measured.
        unit: of both numbers.
        reference: measures the reference.
        ours: measures i2i.
    """

    name: str
    unit: str
    reference: Callable[[], float]
    ours: Callable[[], float]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=ROWS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--markdown", action="store_true", help="print a table for a README")
    parser.add_argument("--measure", help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if not (args.checkout / "models" / "networks.py").is_file():
        parser.error(f"{args.checkout} is no clone of pytorch-CycleGAN-and-pix2pix: it has no models/networks.py")
    if args.measure:
        print(json.dumps(measure(args.checkout.resolve(), **json.loads(args.measure))))
        return
    line = "| {} | {} | {} | {} |" if args.markdown else "{:58s} {:>12s} {:>12s} {:>6s}"
    print(line.format("", "reference", "i2i", "ratio"))
    if args.markdown:
        print("|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for row in rows(args.checkout.resolve(), Path(folder), args.rows):
            pairs = [(row.reference(), row.ours()) for _ in range(args.repeat)]
            theirs, ours = (statistics.median(side) for side in zip(*pairs, strict=True))
            values = (f"{theirs:.3g} {row.unit}", f"{ours:.3g} {row.unit}")
            print(line.format(row.name, *values, f"{theirs / ours:.2f}"), flush=True)


def rows(checkout: Path, folder: Path, wanted: list[str]) -> Iterator[Row]:
    """The lines asked for."""

    def each(name: str, unit: str, **what: Any) -> Row:
        sides = (lambda side=side: in_process(checkout, side=side, **what) for side in ("reference", "ours"))
        return Row(name, unit, *sides)

    if "step" in wanted:
        yield each("training step, pix2pix, U-Net, 256 px", "s", what="step", method="pix2pix", size=256)
        yield each("training step, cyclegan, ResNet-6, 128 px", "s", what="step", method="cycle_gan", size=128)
    if "folder" in wanted:
        prepare(checkout, folder)
        for network in NETWORKS:
            for model, named in (
                ("safetensors", "PyTorch"),
                ("fp32.onnx", "fp32 export"),
                ("int8.onnx", "int8 export"),
            ):
                yield Row(
                    f"folder of {IMAGES} images, {network}, with process start, {named}",
                    "s",
                    lambda network=network: timed(reference_command(checkout, folder, network), cwd=checkout),
                    lambda network=network, model=model: timed(our_command(folder, f"{network}.{model}")),
                )
    if "image" in wanted:
        for network in NETWORKS:
            yield each(f"image, {network}, PyTorch", "ms", what="image", network=network)
    if "memory" in wanted:
        for size in (256, 512):
            yield each(f"peak memory of a step, pix2pix, {size} px", "MB", what="memory", method="pix2pix", size=size)


def in_process(checkout: Path, **what: Any) -> float:
    """Measure in a new process."""
    words = [sys.executable, __file__, str(checkout), "--measure", json.dumps(what)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return float(done.stdout.splitlines()[-1])


def measure(checkout: Path, *, side: str, what: str, network: str = "", method: str = "", size: int = SIDE) -> float:
    """One measurement of one side, in this process."""
    if what == "image":
        return reference_image(checkout, network) if side == "reference" else our_image(network)
    seconds, megabytes = reference_step(checkout, method, size) if side == "reference" else our_step(method, size)
    return seconds if what == "step" else megabytes


def our_step(method: str, size: int) -> tuple[float, float]:
    """Seconds and megabytes of a training step of i2i, with the settings of the papers as the reference has them."""
    from i2i.training.speed import measure_training

    if method == "pix2pix":
        found = measure_training("pix2pix", image_size=size, steps=5, generator="unet:depth=8")
    else:
        found = measure_training("cyclegan", image_size=size, steps=5, generator="resnet:blocks=6", identity_weight=5.0)
    return found.seconds, found.megabytes


def reference_step(checkout: Path, method: str, size: int) -> tuple[float, float]:
    """The same of the reference."""
    import torch

    network = ["--netG", "unet_256" if method == "pix2pix" else "resnet_6blocks"]
    model = reference_model(checkout, [*network, "--model", method, "--crop_size", str(size)])
    images = {name: torch.rand(1, 3, size, size) * 2 - 1 for name in "AB"}
    before = peak()
    batch = {**images, "A_paths": ["a"], "B_paths": ["b"]}

    def step() -> None:
        model.set_input(batch)
        model.optimize_parameters()

    step()
    begun = time.perf_counter()
    for _ in range(5):
        step()
    return (time.perf_counter() - begun) / 5, peak() - before


def reference_model(checkout: Path, flags: list[str]) -> Any:
    """A model of the reference, made by its own code."""
    sys.path.insert(0, str(checkout))
    with tempfile.TemporaryDirectory() as folder:
        common = ["--dataroot", folder, "--checkpoints_dir", folder, "--name", "x", "--gpu_ids", "-1"]
        sys.argv = ["train.py", *common, *flags]
        with contextlib.redirect_stdout(io.StringIO()):
            from models import create_model
            from options.train_options import TrainOptions

            options = TrainOptions().parse()
            model = create_model(options)
            model.setup(options)
    return model


def our_image(network: str) -> float:
    """Milliseconds of `Translator.__call__` on an array."""
    from i2i import Translator

    with tempfile.TemporaryDirectory() as folder:
        save_ours(network, Path(folder, "model.safetensors"))
        translator = Translator.load(Path(folder, "model.safetensors"), device="cpu")
    image = picture(0)
    return median_ms(lambda: translator(image))


def reference_image(checkout: Path, network: str) -> float:
    """Milliseconds of what the reference's test script does with an image in memory, reading and writing left out."""
    import torch
    from PIL import Image

    model = reference_model(checkout, ["--netG", NETWORKS[network], "--norm", NORMS[network], "--model", "pix2pix"])
    from data.base_dataset import get_transform
    from util.util import tensor2im

    model.opt.preprocess, model.opt.no_flip = "none", True
    transform = get_transform(model.opt)
    image = Image.fromarray(picture(0))

    def translate() -> None:
        with torch.no_grad():
            tensor2im(model.netG(transform(image)[None]))

    return median_ms(translate)


def prepare(checkout: Path, folder: Path) -> None:
    """Write the images, and each network for both."""
    from PIL import Image

    from i2i.inference.exporting.export import export
    from i2i.model_file import load_model

    (folder / "images").mkdir()
    for number in range(IMAGES):
        Image.fromarray(picture(number)).save(folder / "images" / f"{number:02d}.png")
    for network in NETWORKS:
        model = save_ours(network, folder / f"{network}.safetensors")
        for precision in ("fp32", "int8"):
            images = sorted((folder / "images").iterdir())[:20] if precision == "int8" else ()
            export(load_model(model), "a2b", folder / f"{network}.{precision}.onnx", precision=precision, images=images)
        words = [sys.executable, "-c", _SAVE, str(checkout), NETWORKS[network], NORMS[network], str(folder / network)]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


_SAVE = """
import sys, torch
from pathlib import Path
checkout, network, norm, folder = sys.argv[1:]
sys.path.insert(0, checkout)
from models.networks import define_G
Path(folder).mkdir()
torch.save(define_G(3, 3, 64, network, norm, norm == "batch").state_dict(), Path(folder, "latest_net_G.pth"))
"""


def reference_command(checkout: Path, folder: Path, network: str) -> list[str]:
    """The reference's command that translates a folder."""
    flags = ["--model", "test", "--netG", NETWORKS[network], "--norm", NORMS[network], "--preprocess", "none"]
    flags += ["--dataroot", str(folder / "images"), "--num_test", str(IMAGES), "--gpu_ids", "-1"]
    flags += ["--checkpoints_dir", str(folder), "--name", network, "--results_dir", str(folder / "results")]
    return [sys.executable, str(checkout / "test.py"), *flags, *(["--no_dropout"] if network == "resnet" else [])]


def our_command(folder: Path, model: str) -> list[str]:
    """The command of i2i."""
    words = [sys.executable, "-m", "i2i", "translate", str(folder / "images"), str(folder / "out")]
    return [*words, "--model", str(folder / model), "--overwrite", "--quiet", "--device", "cpu"]


def timed(words: list[str], cwd: Path | None = None) -> float:
    """Seconds of a command."""
    begun = time.perf_counter()
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - begun


def save_ours(network: str, path: Path) -> Path:
    """A model file of i2i with the network of the papers, and random weights."""
    import torch

    from i2i.model_file import Model, save_model
    from i2i.networks import build_generator

    torch.manual_seed(0)
    generator = build_generator(
        {"unet": "unet:depth=8", "resnet": "resnet:blocks=9"}[network], in_channels=3, out_channels=3
    )
    save_model(path, Model({"a2b": generator}, ("a", "b"), {"image_size": SIDE}, {}, 0))
    return path


def picture(seed: int) -> np.ndarray:
    """A smooth random image with some noise, (SIDE, SIDE, 3) of 8 bit."""
    rng = np.random.default_rng(seed)
    across = np.linspace(0, 2 * np.pi, SIDE)
    planes = [np.outer(np.sin(rng.uniform(1, 6) * across), np.cos(rng.uniform(1, 6) * across)) for _ in range(3)]
    noisy = np.stack(planes, axis=-1) + 0.1 * rng.standard_normal((SIDE, SIDE, 3))
    return (127.5 * (noisy.clip(-1, 1) + 1)).astype(np.uint8)


def median_ms(run: Callable[[], object]) -> float:
    """Milliseconds, the median of 20 after 3 that warm up."""
    times = []
    for _ in range(23):
        begun = time.perf_counter()
        run()
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times[3:])


def peak() -> float:
    """Peak memory of this process so far, in MB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
