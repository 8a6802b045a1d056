"""`i2i evaluate MODEL DATA`: score a model on held-out pairs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from i2i.flags import Imports, one_or_two, parse


@dataclass(frozen=True)
class Evaluate:
    """Flags of `i2i evaluate`."""

    model: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="MODEL")]
    """A pretrained model's name, a model file, or a run's folder."""
    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")]
    """A folder of pairs, or two; its val or test pictures are used."""
    to: str | None = None
    """The domain to translate to, where the model knows both ways."""
    swap: bool = False
    """This data lies the other way round than that of the training."""
    batch_size: int = 8
    """Pictures that go through the network together."""
    json: Path | None = None
    """Also write the scores to this file."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    imports: Imports = ()
    """A module or a .py file that holds the model's backbone; may be given several times."""


def run(args: list[str]) -> int:
    """`i2i evaluate MODEL DATA`."""
    flags = parse(Evaluate, "evaluate", args, "Score a model on the held-out pairs of a data folder.")
    one_or_two(flags.data)

    from i2i.data import find_layout
    from i2i.evaluate import evaluate as score
    from i2i.files import write_whole
    from i2i.registry import load_plugins
    from i2i.translator import Translator

    load_plugins(flags.imports)
    translator = Translator.load(flags.model, to=flags.to, device=flags.device)
    # As in training, which may have been turned, unless the folders' own names say it.
    layout = find_layout(flags.data, data="paired", swap=translator.swapped != flags.swap)
    if set(layout.domains) == set(translator.domains) != set("AB"):
        layout = layout if layout.domains == translator.domains else layout.turned()
    print(f"{' -> '.join(translator.domains)}: {layout.description}")
    scores = score(translator, layout, batch_size=flags.batch_size)
    for name, value in scores.items():
        print(f"{name:>6}  {value:.4f}" if isinstance(value, float) else f"{name:>6}  {value}")
    if flags.json:
        write_whole(flags.json, json.dumps(scores, indent=2).encode())
    return 0
