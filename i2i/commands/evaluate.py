"""`i2i evaluate MODEL DATA`: score a model on held-out pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from i2i import __version__
from i2i.errors import UsageError
from i2i.flags import Imports, Quiet, Verbose, one_or_two, parse

if TYPE_CHECKING:
    from i2i.data import Layout
    from i2i.translator import Translator


@dataclass(frozen=True)
class Evaluate:
    """Flags of `i2i evaluate`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model's name, a model file, or a run's folder."""
    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of pictures, or two, laid out as for training; the val or test pictures are used."""
    to: str | None = None
    """The domain to translate to, where the model knows both ways."""
    best: bool = False
    """Of a run's folder, score the model that did best."""
    last: bool = False
    """Of a run's folder, score the model of its last step, as is done unless --best is given."""
    swap: bool = False
    """This data lies the other way round than that of the training."""
    pairing: Literal["auto", "paired", "unpaired"] = "auto"
    """Whether pictures of one name are pairs; auto: where the method learns from pairs, or they lie side by side."""
    features: str | None = None
    """Also distances of the sets as a network sees them: inception (FID, KID; a download) or efficientnet-lite0."""
    ms_ssim: bool = False
    """Also MS-SSIM, of pairs."""
    lpips: bool = False
    """Also LPIPS, of pairs; needs a download."""
    resamples: int = 1000
    """How often the pictures are resampled for the intervals; 0 for none, fewer for thousands with --features."""
    seed: int = 0
    """Of the resampling."""
    batch_size: int = 8
    """Pictures that go through a network together."""
    json: Path | None = None
    """Also write the scores, and all that they depend on, to this file."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    imports: Imports = ()
    """A module or a .py file that holds the model's backbone; may be given several times."""
    quiet: Quiet = False
    verbose: Verbose = False


def run(args: list[str]) -> int:
    """`i2i evaluate MODEL DATA`."""
    flags = parse(Evaluate, "evaluate", args, "Score a model on the held-out pictures of a data folder.")
    one_or_two(flags.data)
    if flags.best and flags.last:
        raise UsageError("--best and --last: give one of them, and the other in a second run")

    from i2i.checkpoint import load_model
    from i2i.evaluate import Settings
    from i2i.evaluate import evaluate as score
    from i2i.files import write_whole
    from i2i.pretrained import model_file, sha256_of
    from i2i.progress import logger
    from i2i.registry import load_plugins
    from i2i.scores.table import as_table
    from i2i.translator import Translator

    load_plugins(flags.imports)
    file = model_file(flags.model, which="best" if flags.best else "last")
    model = load_model(file)
    translator = Translator(model, to=flags.to, device=flags.device)
    both_ways = {"a2b", "b2a"} <= model.maps.keys()
    back = Translator(model, to=translator.domains[0], device=flags.device) if both_ways else None
    layout, pairs = _find(flags, translator, model.config)
    print(f"{' -> '.join(translator.domains)}: {layout.description}")
    logger.info("%s, step %s, on %s: %s", file, model.step, translator.device, translator.generator.spec)
    settings = Settings(flags.features, flags.ms_ssim, flags.lpips, flags.resamples, flags.seed, flags.batch_size)
    found = score(translator, layout, settings, pairs=pairs, back=back)
    held_out = found.split.replace(" ", "-")
    counted = f"{found.n} {held_out} pairs" if pairs else f"{found.n} {held_out} inputs beside {found.n_real} pictures"
    print(f"{counted}, at {found.size} px\n\n{as_table(found.scores.values())}")
    if flags.json:
        about = {"name": flags.model, "file": file.name, "sha256": sha256_of(file), "step": model.step}
        known = {"i2i": __version__, "model": about, "domains": translator.domains, "layout": layout.description}
        write_whole(flags.json, json.dumps(known | found.to_dict(), indent=2).encode())
    return 0


def _find(flags: Evaluate, translator: Translator, config: Mapping[str, Any]) -> tuple[Layout, bool]:
    """The pictures, in the direction of the model, and whether they are pairs."""
    from i2i.data import find_layout
    from i2i.objectives import objectives

    kinds: Mapping[str, Any] = objectives
    method = str(config.get("method"))
    # A method that isn't known here is taken for one that learns from pairs.
    learned = kinds[method].data if method in kinds else "paired"
    data: Any = learned if flags.pairing == "auto" else flags.pairing
    # As in training, which may have been turned, unless the folders' own names say it.
    layout = find_layout(flags.data, data=data, swap=translator.swapped != flags.swap)
    if set(layout.domains) == set(translator.domains) != set("AB"):
        layout = layout if layout.domains == translator.domains else layout.turned()
    side_by_side = flags.pairing == "auto" and layout.train.a[0].half != "whole"
    return layout, data == "paired" or side_by_side
