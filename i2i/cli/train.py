"""`i2i train METHOD DATA`: learn a translation."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from i2i.cli.arguments import Imports, Quiet, Verbose, one_line, one_or_two, parse, print_error, values_of
from i2i.config import DataConfig, RunConfig, TrainConfig, from_dict
from i2i.errors import ImageError, UsageError
from i2i.images.outputs import refuse_inside
from i2i.version import __version__

if TYPE_CHECKING:
    from i2i.data import Layout
    from i2i.training.trainer import Trainer


@dataclass(frozen=True)
class Train:
    """Flags of `i2i train`; the method's own join them."""

    data: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="DATA [DATA_B]")] = ()
    """A folder of images, or two folders whose files match by name; see datasets/README.md."""
    run: Path | None = None
    """Folder of the run; runs/METHOD-DATA unless given."""
    resume: bool = False
    """Resume a run with its settings. Flags given again change them; --no-FLAG turns one off."""
    imports: Imports = ()
    """A module or a .py file that defines a method or a network; may be given several times."""
    trust_run: bool = False
    """With --resume: import the modules that the run was trained with, without --import of each."""
    quiet: Quiet = False
    verbose: Verbose = False
    images: tyro.conf.OmitArgPrefixes[DataConfig] = field(default_factory=DataConfig)
    training: tyro.conf.OmitArgPrefixes[TrainConfig] = field(default_factory=TrainConfig)


def run(args: list[str]) -> int:
    """`i2i train METHOD DATA ...`: the flags are the run's settings and the method's own."""
    from i2i.plugins import load_plugins

    asked = values_of("--import", args)
    load_plugins(asked)
    if "--resume" in args:
        for folder in values_of("--run", args)[-1:]:  # before the method is looked up, which may be one of them
            _import_again(Path(folder), asked, trust="--trust-run" in args)
    from i2i.methods import methods

    if not args or args[0] in ("-h", "--help"):
        print(_methods(methods))
        return 0
    method, rest = args[0], args[1:]
    if method.startswith("-"):
        # Flags of other programs say both, in any order.
        named = [name.replace("_", "") for name in values_of("--model", args)]
        typed = next((name for name in named if name in methods), "METHOD")
        data = next(iter(values_of("--dataroot", args)), "DATA")
        names = ", ".join(methods)
        raise UsageError(f"the method comes first: i2i train {typed} {data} ..., where METHOD is one of {names}")
    if method not in methods and rest and rest[0] in methods:
        raise UsageError(f"the method comes first: i2i train {rest[0]} {method}")
    if method not in methods and Path(method).exists():
        raise UsageError(
            f"the method comes first: i2i train METHOD {method}, where METHOD is one of {', '.join(methods)}"
        )
    kind: Any = methods[method]
    config, run, resume = _read_run(method, kind, rest)

    from i2i.distributed import process_group

    with process_group(config.train.device) as device:
        return _train(kind, config, run, resume=resume, device=device)


def flags_of(method: str, kind: Any) -> Any:
    """The dataclass of a method's flags: `Train`, with the settings and the options of the method as defaults."""
    own = {
        "method": (kind.Config(), method),
        "images": (kind.data_config, "image"),
        "training": (kind.train_config, "training"),
    }
    options = [
        (name, Annotated[tyro.conf.OmitArgPrefixes[type(value)], tyro.conf.arg(name=title)], value)  # type: ignore[misc]
        for name, (value, title) in own.items()
    ]
    return dataclasses.make_dataclass("Train", options, bases=(Train,), frozen=True)


def _train(kind: Any, config: RunConfig, run: Path, *, resume: bool, device: str) -> int:
    from i2i.data import find_layout
    from i2i.distributed import rank
    from i2i.training.trainer import Trainer

    wanted = config.data
    layout = find_layout(config.paths, data=kind.data, domains=wanted.domains, swap=wanted.swap, labels=wanted.labels)
    if resume:
        _check_direction(run, layout, wanted)
    with _locked(run, resume=resume):
        trainer = Trainer(config, layout, run, resume=resume, device=device)
        if rank() == 0:
            _introduce(config, layout, trainer, run)
        return _fit(kind, config, run, trainer)


@contextlib.contextmanager
def _locked(run: Path, *, resume: bool) -> Iterator[None]:
    """Let no other run write the folder: the first process takes the lock, and all hear whether it could."""
    from i2i.distributed import broadcast_object, rank
    from i2i.files import remove_temporary
    from i2i.progress import logger
    from i2i.training.lock import locked

    refused = None
    with contextlib.ExitStack() as stack:
        if rank() == 0:
            try:
                if not stack.enter_context(locked(run)):
                    logger.warning("%s: this file system has no locks; let no other run write this folder", run)
                if not resume and (run / "state.pt").exists():
                    raise UsageError(
                        f"{run} holds a run already; add --resume to go on with it, or choose another --run"
                    )
                remove_temporary(run, run / "samples")
            except UsageError as error:
                refused = str(error)
            except OSError as error:
                refused = f"--run {run}: {error.strerror}"
        refused = broadcast_object(refused)
        if refused:
            raise UsageError(refused)
        yield


def _fit(kind: Any, config: RunConfig, run: Path, trainer: Trainer) -> int:
    from i2i.data.dataset import WorkerLost
    from i2i.distributed import rank, world_size
    from i2i.training.signals import Stopped
    from i2i.training.trainer import Diverged, PeerFailure

    go_on = trainer.go_on()
    try:
        model = trainer.fit()
    except Stopped as stopped:
        said = f"stopped at step {stopped.step}, all of it saved; go on with: {go_on}"
        return print_error(said, 128 + stopped.signum) if rank() == 0 else 128 + stopped.signum
    except Diverged as error:
        return print_error(f"{error}: {go_on} --lr {config.train.lr / 4:g}", 1)
    except PeerFailure as error:
        return print_error(f"{error}; go on with: {go_on}", 1)
    except ImageError as error:
        done = trainer.step if world_size() == 1 else trainer.saved
        return print_error(f"{error}; the {done} steps done are saved: mend it, then go on with: {go_on}", 1)
    except (WorkerLost, OSError) as error:
        said = f"{error.filename or run}: {error.strerror or error}" if isinstance(error, OSError) else str(error)
        if not (run / "state.pt").is_file():
            return print_error(f"{said}; no checkpoint is saved, so start the same command again", 1)
        return print_error(f"{said}; the checkpoint of step {trainer.saved} is saved. Resume with: {go_on}", 1)
    use = f"i2i sample {run} samples.png" if kind.data == "single" else f"i2i translate INPUT OUTPUT --model {run}"
    if rank() == 0:
        print(one_line(f"model: {model}"))
        print(one_line(f"use it: {use}"))
    return 0


def _check_direction(run: Path, layout: Layout, data: DataConfig) -> None:
    """Refuse to train a run on in the other direction than it began.

    Raises:
        UsageError: what was the input is now the target.
    """
    from i2i.model_file import read_header

    try:
        header = read_header(run / "model.safetensors")
    except UsageError:  # it is written again; the run goes on from its checkpoint
        return
    one, two = header["domains"]
    if layout.domains == (two, one):
        if header["config"].get("data", {}).get("swap") != data.swap:
            fix = "--no-swap" if data.swap else "--swap"
        else:  # names had another order when the run began
            fix = f"--domains {two} {one}" if data.domains and data.swap else f"--domains {one} {two}"
        raise UsageError(f"{run} learns {one} -> {two}, and its data now reads as {two} -> {one}; add {fix} to go on")


def _read_run(method: str, kind: Any, args: list[str]) -> tuple[RunConfig, Path, bool]:
    """The settings of a run: the flags, over those saved where it is resumed, and its folder."""
    kind_of_flags = flags_of(method, kind)
    about = f"{method}, for {_summary(kind)}.\n\n{inspect.cleandoc(kind.__doc__ or '')}\n\n"
    about += f"Networks: --generator {kind.generator_spec} --discriminator {kind.discriminator_spec}"
    flags = parse(kind_of_flags, f"train {method}", args, about)
    run = flags.run or _default_run(method, flags.data, resume=flags.resume)
    if run.exists() and not run.is_dir():
        raise UsageError(f"--run {run}: that is a file; give a folder")
    if flags.resume:
        kept = _import_again(run, flags.imports, trust=flags.trust_run)
        options, before = _read_settings(run, method, kind)
        default = kind_of_flags(
            data=before.paths,
            run=run,
            resume=True,
            imports=kept,
            trust_run=flags.trust_run,
            images=before.data,
            training=before.train,
            method=options,
        )
        flags = parse(kind_of_flags, f"train {method}", args, about, default=default)
    elif (run / "state.pt").exists():
        raise UsageError(f"{run} holds a run already; add --resume to go on with it, or choose another --run")
    one_or_two(flags.data)
    if not flags.resume:
        refuse_inside(run, flags.data, flag="--run")
    training = flags.training
    if values_of("--epochs", args) and not values_of("--steps", args):
        least = training.min_steps if values_of("--min-steps", args) else 0
        training = dataclasses.replace(training, steps=None, min_steps=least)  # the method's or the run's give way
    # Resolved, so that the run goes on from any folder.
    data, plugins = (tuple(str(Path(p).resolve()) for p in flags.data)), tuple(map(_resolved_plugin, flags.imports))
    config = RunConfig(method, data, flags.method, flags.images, training, plugins)
    return config, run, flags.resume


def _saved(run: Path) -> dict[str, Any]:
    """What config.json of a run holds, which may come from anybody."""
    path = run / "config.json"
    if run.is_file():
        raise UsageError(f"--run {run}: that is a file; give a folder")
    if not path.is_file():
        raise UsageError(f"{run}: there is no run to go on with; leave out --resume to begin one")
    try:
        saved = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} can't be read: {error}") from None
    plugins = saved.get("plugins", []) if isinstance(saved, dict) else None
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise UsageError(f"{path} holds no settings of a run")
    return dict(saved)


def _import_again(run: Path, asked: Sequence[str], *, trust: bool) -> tuple[str, ...]:
    """Import the modules that a run was trained with and that are trusted; those among `asked` are imported already.

    Returns:
        The modules imported here.

    Raises:
        UsageError: some are neither asked for nor trusted; nothing is imported then.
    """
    from i2i.plugins import load_plugins

    known = {_module_name(name) for name in asked}
    others = [name for name in _saved(run).get("plugins", []) if _module_name(name) not in known]
    if others and not trust:
        again = shlex.join(word for name in others for word in ("--import", name))
        raise UsageError(
            f"{run} was trained with code of its own, which --resume would run: {', '.join(others)}; where you trust "
            f"it, add {again}, or --trust-run"
        )
    load_plugins(others)
    return tuple(others)


def _module_name(plugin: str) -> str:
    """The name of a module, however it was given: my_method of ./my_method.py and of package.my_method."""
    return Path(plugin).stem if plugin.endswith(".py") else plugin.rpartition(".")[2]


def _read_settings(run: Path, method: str, kind: Any) -> tuple[Any, RunConfig]:
    """The method's options and all settings that a run was saved with."""
    saved, path = _saved(run), run / "config.json"
    wrote, was = str(saved.pop("made_by", ""))[:60], saved.get("method")
    if was != method:
        raise UsageError(f"{run} is a run of {was}; go on with: i2i train {was} ... --resume")
    try:
        options = from_dict(kind.Config, saved.get("options", {}), where=f"{path}: options")
        return options, from_dict(RunConfig, saved, where=str(path), options=options)
    except UsageError as error:
        if _version(wrote) > _version(__version__):
            advice = "pip install --upgrade i2i-toolkit"
            raise UsageError(f"{error}; {wrote} wrote it, and this is {__version__}: {advice}") from None
        raise


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d{1,9}", text.rpartition(" ")[2]))


def _methods(known: Mapping[str, Any]) -> str:
    """The help of `i2i train` without a method."""
    lines = [f"  {name:11} {kind.data:9} {_summary(kind)}" for name, kind in known.items()]
    return "\n".join(
        (
            "usage: i2i train METHOD DATA [DATA_B] [flags]",
            "\nMETHOD, what it learns from, and what it is for:\n",
            *lines,
            "\nDATA is a folder of images; its layout is detected (see datasets/README.md): pairs side by side in one",
            "file or in two folders with equal names, two unpaired sets (trainA and trainB), or a single set.",
            "\n  i2i train pix2pix my_pairs",
            "  i2i train cyclegan my_images",
            "\n  i2i train METHOD --help        the flags of a method, and their defaults",
        )
    )


def _summary(kind: Any) -> str:
    """What a method is for, or the first line of its class or module, where a plug-in leaves it out."""
    said = kind.summary or kind.__doc__ or sys.modules[kind.__module__].__doc__ or ""
    return next(iter(said.strip().splitlines()), "").rstrip(".")


def _default_run(method: str, data: Sequence[str], *, resume: bool) -> Path:
    """`runs/METHOD-DATA`, numbered where there is one already; the newest of them to resume."""
    if not data:
        raise UsageError(
            f"which images? i2i train {method} DATA, a folder" + (", or --run DIR --resume" if resume else "")
        )
    name = Path("runs") / f"{method}-{Path(data[0]).resolve().name}"
    numbered = [name, *(name.with_name(f"{name.name}-{number}") for number in range(2, 1000))]
    free = next(index for index, path in enumerate(numbered) if not (path / "config.json").exists())
    return numbered[max(free - 1, 0)] if resume else numbered[free]


def _resolved_plugin(module: str) -> str:
    return str(Path(module).resolve()) if module.endswith(".py") else module


def _direction(layout: Layout, *, swap: bool, turns: bool) -> Iterator[str]:
    """Which images are the input and which the target, which are held out, and where it `turns`, how to turn it."""
    a, b = layout.domains
    yield layout.description if layout.matched == "single" else f"{a} -> {b}: {layout.description}"
    held = layout.validation
    counts = {"unpaired": f"{len(held.a)} and {len(held.b)} images", "single": f"{len(held.b)} images"} if held else {}
    said = f"held out: {counts.get(layout.matched, f'{len(held.b)} pairs')}" if held else "held out: none"
    other = "leave out --swap" if swap else "add --swap"
    yield said + (f"; to train {b} -> {a} instead, {other}" if turns and layout.matched != "single" else "")


def _introduce(config: RunConfig, layout: Layout, trainer: Any, run: Path) -> None:
    from i2i.data.direction import counted
    from i2i.inference.planning import some_of, unreadable
    from i2i.networks import registry_of
    from i2i.progress import logger

    for line in _direction(
        layout, swap=config.data.swap, turns=len(trainer.method.generators()) == 1 and not trainer.step
    ):
        print(one_line(line))
    for reason, paths in (found for path in config.paths for found in unreadable(path).items()):
        print(one_line(f"left out: {some_of(paths)}: {reason}"))
    for direction, generator in trainer.method.generators().items():
        count = sum(p.numel() for p in generator.parameters()) / 1e6
        print(f"{direction}: {generator.spec.brief(registry_of(direction))} ({count:.3f} M parameters)")
    batch, images = config.train.batch_size, len(trainer.images)
    passes = trainer.steps * batch / images
    epochs = f"{passes:.3g}" if passes < 1000 else f"{passes:.0f}"
    epochs += f" epochs of {counted(images, 'image')}, {batch} in a step"
    at = f"on {trainer.device}, from step {trainer.step}"
    print(one_line(f"{counted(trainer.steps, 'step')} ({epochs}) {at}; run folder: {run}"))
    print(one_line(f"report: {run / 'report.html'} (open it now; it is written again as the run goes on)"))
    for part in (config.data, config.train, config.options):
        settings = ", ".join(f"{name} {value}" for name, value in dataclasses.asdict(part).items())
        logger.info("%s: %s", type(part).__qualname__, settings)
