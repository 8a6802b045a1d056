"""`i2i evaluate MODEL DATA`: score a model on held-out images."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from i2i.cli.arguments import Imports, Quiet, Verbose, check_json, one_line, one_or_two, parse
from i2i.errors import UsageError
from i2i.version import __version__

if TYPE_CHECKING:
    from i2i.data import Layout
    from i2i.evaluation.evaluate import Evaluation
    from i2i.inference.translator import Translator


USAGE = "MODEL DATA"
SUMMARY = "Score a model on held-out images"


@dataclass(frozen=True)
class Flags:
    """Flags of `i2i evaluate`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model (see: i2i models), a model file, the folder of a run, or an exported file."""
    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of images, or two, laid out as for training. Scores use the val or test images, or all if there are
    none."""
    to: str | None = None
    """Domain to translate to, for a model that translates both ways."""
    best: bool = False
    """Score best.safetensors of a run: the best model in validation."""
    last: bool = False
    """Score model.safetensors of a run: its last model. This is the default."""
    swap: bool = False
    """The two halves, or the two folders, of this data are in reverse order."""
    pairing: Literal["auto", "paired", "unpaired"] = "auto"
    """Whether images with equal names are pairs; auto: if the method trains on pairs, or images lie side by side."""
    features: str | None = None
    """Also compute distances between feature distributions: inception (FID and KID; downloads weights) or
    efficientnet-lite0."""
    ms_ssim: bool = False
    """Also compute MS-SSIM (pairs only)."""
    lpips: bool = False
    """Also compute LPIPS (pairs only; downloads weights)."""
    resamples: int = 1000
    """Bootstrap resamples for the confidence intervals; 0: no intervals. Fewer are faster with --features."""
    seed: int = 0
    """Random seed of the bootstrap."""
    batch_size: int = 8
    """Images per batch."""
    json: Path | None = None
    """Also write the scores, and everything they depend on, to this JSON file."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    backend: str = "auto"
    """What computes: torch, onnx, openvino or fastest (on a CPU, OpenVINO or ONNX Runtime if one is installed); auto:
    torch for a model file, what is installed for an exported file."""
    imports: Imports = ()
    """Import a module or .py file that defines the model's network. Repeatable."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """Score a model."""
    flags = parse(Flags, "evaluate", args, SUMMARY)
    one_or_two(flags.data)
    if flags.best and flags.last:
        raise UsageError("--best and --last: give one of them")

    from i2i.evaluation.evaluate import Settings
    from i2i.evaluation.evaluate import evaluate as score
    from i2i.evaluation.table import as_table
    from i2i.files import sha256_of, write_whole
    from i2i.images.outputs import files_of_model, images_of
    from i2i.inference.loading import header_of
    from i2i.inference.planning import some_of, unreadable
    from i2i.inference.translator import Translator
    from i2i.plugins import load_plugins
    from i2i.pretrained import model_file
    from i2i.progress import logger

    load_plugins(flags.imports)
    file = model_file(flags.model, which="best" if flags.best else "last")
    check_json(flags.json, "evaluate", [*files_of_model(file), *images_of(flags.data)] if flags.json else ())
    header = header_of(file, flags.backend)
    load = partial(Translator.load, file, device=flags.device, backend=flags.backend)
    translator = load(to=flags.to)
    both_ways = {"a2b", "b2a"} <= header["maps"].keys()
    back = load(to=translator.domains[0]) if both_ways else None
    layout, pairs = _find(flags, translator, header["config"])
    described = layout.describe(layout.validation or layout.train)
    print(one_line(f"{' -> '.join(translator.domains)}: {described}"))
    for reason, paths in (found for path in flags.data for found in unreadable(path).items()):
        print(one_line(f"left out: {some_of(paths)}: {reason}"))
    logger.info("%s, step %s, on %s: %s", file, header["step"], translator.device, translator.backend.spec)
    extra_scores = tuple(name for name in ("ms_ssim", "lpips") if getattr(flags, name))
    settings = Settings(flags.features, extra_scores, flags.resamples, flags.seed, flags.batch_size)
    found = score(translator, layout, settings, pairs=pairs, back=back)
    print(f"{_counted(found)}, at {found.size} px\n\n{as_table(found.scores.values())}")
    if flags.json:
        about = {"name": flags.model, "file": file.name, "sha256": sha256_of(file), "step": header["step"]}
        known = {"i2i": __version__, "model": about, "domains": translator.domains, "layout": described}
        write_whole(flags.json, json.dumps(known | found.to_dict(), indent=2).encode())
    return 0


def _find(flags: Flags, translator: Translator, config: Mapping[str, Any]) -> tuple[Layout, bool]:
    """The images, in the direction of the model, and whether they are pairs."""
    from i2i.data import find_layout
    from i2i.data.direction import same_direction
    from i2i.methods import methods

    kinds: Mapping[str, Any] = methods
    method = str(config.get("method"))
    # An unknown method is assumed to train on pairs.
    learned = kinds[method].data if method in kinds else "paired"
    data: Any = learned if flags.pairing == "auto" else flags.pairing
    layout = find_layout(flags.data, data=data, training=False)
    same = None if set(layout.domains) == set("AB") else same_direction(layout.domains, translator.domains)
    if same is not None and flags.swap:
        names, direction = " and ".join(layout.domains), " -> ".join(translator.domains)
        raise UsageError(f"--swap: the images are named {names}, which the model translates {direction}; leave it out")
    # Without names to tell: the direction of the training, which --swap may have reversed.
    turned = translator.swapped != flags.swap if same is None else not same
    layout = replace(layout.swapped() if turned else layout, domains=translator.domains)
    return layout, data == "paired" or (flags.pairing == "auto" and layout.matched == "halves")


def _counted(found: Evaluation) -> str:
    kind = {"held out": "held-out ", "training": "training ", "all": ""}[found.split]
    words = f"{found.n} {kind}pairs" if found.pairs else f"{found.n} {kind}inputs beside {found.n_real} {kind}targets"
    if found.split == "training":
        words += " (there are no val or test images; scores on training images are too good)"
    if found.split == "all":
        words += " (all images; scores on training images are too good)"
    return words
