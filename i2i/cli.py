"""The command line. Each command imports what it needs when it runs, so that help is quick."""

from __future__ import annotations

import dataclasses
import json
import mimetypes
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from i2i import __version__
from i2i.config import RunConfig, from_dict
from i2i.errors import ImageError, UsageError, unknown
from i2i.flags import Check, Evaluate, Info, Models, Sample, Train, Translate, parse, values_of

if TYPE_CHECKING:
    from collections import Counter

    from i2i.convert import Conversion
    from i2i.data import Layout

_STYLE = (tyro.conf.FlagCreatePairsOff,)

HELP = f"""\
i2i {__version__}: image-to-image translation with adversarial networks

  i2i translate INPUT OUTPUT --model NAME   translate an image, a folder or a glob
  i2i train METHOD DATA                     learn a translation from your pictures
  i2i sample MODEL OUT                      draw pictures from a latent
  i2i check DATA                            what is wrong with a data set, before training
  i2i evaluate MODEL DATA                   score a model on held-out pairs
  i2i info MODEL                            what a model file is
  i2i models                                the models that come with i2i

  i2i COMMAND --help                        the flags of a command

Try:
  i2i translate datasets/examples translated --model map2sat --contact-sheet translated.png
  i2i train pix2pix my_pairs                where my_pairs/train holds pictures side by side
  i2i train cyclegan my_pictures            where my_pictures has trainA and trainB
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 all done, 1 some of it failed, 2 wrong usage."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if args[0] == "--version":
        print(f"i2i {__version__}")
        return 0
    try:
        if args[0] not in COMMANDS:
            raise unknown("command", args[0], COMMANDS)
        return COMMANDS[args[0]](args[1:])
    except (UsageError, ImageError) as error:
        return _complain(str(error), 2)
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        return _complain(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), 1)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)


def train(args: list[str]) -> int:
    """`i2i train METHOD DATA ...`: the flags are the run's settings and the method's own."""
    from i2i.registry import load_plugins

    load_plugins(values_of("--import", args))
    from i2i.objectives import objectives

    names = ", ".join(objectives)
    if not args or args[0] in ("-h", "--help"):
        print("usage: i2i train METHOD DATA [DATA_B] [flags]\n\nMETHOD is one of:\n")
        listed: dict[str, Any] = dict(objectives)
        for name, one in listed.items():
            print(f"  {name:11} {one.data:9} {_what_it_is(one)}")
        print("\nDATA is a folder of pictures: pairs, two unpaired sets, or a single one; its layout is detected (see")
        print(f"datasets/README.md). i2i train {next(iter(objectives))} --help shows the flags.")
        return 0
    method, rest = args[0], args[1:]
    if method.startswith("-"):
        raise UsageError(f"the method comes first: i2i train METHOD DATA ..., where METHOD is one of {names}")
    kind: Any = objectives[method]
    config, run, resume = _read_run(method, kind, rest)

    from i2i.data import find_layout
    from i2i.stopping import Stopped
    from i2i.trainer import Diverged, Trainer

    wanted = config.data
    layout = find_layout(config.paths, data=kind.data, domains=wanted.domains, swap=wanted.swap, labels=wanted.labels)
    trainer = Trainer(config, layout, run, resume=resume)
    _introduce(config, layout, trainer, run)
    plugins = [word for module in config.plugins for word in ("--import", module)]
    go_on = shlex.join(["i2i", "train", method, *config.paths, "--run", str(run), "--resume", *plugins])
    try:
        model = trainer.fit()
    except Stopped as stopped:
        return _complain(f"stopped at step {stopped.step}, all of it saved; go on with: {go_on}", 128 + stopped.signum)
    except Diverged as error:
        return _complain(f"{error}: {go_on} --lr {config.train.lr / 4:g}", 1)
    except ImageError as error:
        return _complain(f"{error}; the {trainer.step} steps done are saved: mend it, then go on with: {go_on}", 1)
    use = f"i2i sample {run} samples.png" if kind.data == "single" else f"i2i translate INPUT OUTPUT --model {run}"
    print(f"model: {model}\nuse it: {use}")
    return 0


def translate(args: list[str]) -> int:
    """`i2i translate INPUT OUTPUT --model ...`."""
    flags = parse(Translate, "translate", args, "Translate images with a trained model.")

    from i2i.convert import convert, write_contact_sheet
    from i2i.jobs import left_out, plan, variants
    from i2i.picture import SUFFIXES
    from i2i.registry import load_plugins
    from i2i.translator import Translator

    if flags.contact_sheet and flags.contact_sheet.suffix.lower() not in SUFFIXES:
        raise UsageError(f"--contact-sheet {flags.contact_sheet}: give an image file, such as sheet.png")
    if not 1 <= flags.quality <= 100:
        raise UsageError(f"--quality {flags.quality}: it is from 1 to 100")
    if flags.max_megapixels < 1:
        raise UsageError(f"--max-megapixels {flags.max_megapixels}: it is 1 or more")
    jobs = plan(flags.input, flags.output, suffix=f".{flags.format}" if flags.format else None)
    load_plugins(flags.imports)
    translator = Translator.load(flags.model, to=flags.to, device=flags.device)
    if (flags.samples is not None or flags.seed is not None) and not translator.generator.latent:
        raise UsageError(f"{flags.model} gives one output for an input; leave out --samples and --seed")
    if flags.samples is not None and flags.samples < 1:
        raise UsageError(f"--samples {flags.samples}: it is 1 or more")
    if flags.samples is not None:
        jobs = variants(jobs, flags.samples, seed=flags.seed or 0)
    elif flags.seed is not None:
        jobs = [job._replace(seed=flags.seed) for job in jobs]
    aside = left_out(flags.input, flags.output)
    try:
        result = convert(
            jobs,
            translator,
            batch_size=flags.batch_size,
            tile=flags.tile,
            overwrite=flags.overwrite,
            quality=flags.quality,
            max_pixels=flags.max_megapixels * 1_000_000,
        )
    except KeyboardInterrupt:
        return _complain("interrupted; what is done is kept, and the same command again goes on", 130)
    shown = result.written + result.skipped
    if flags.contact_sheet and shown:
        shown.sort(key=lambda job: (job.source, job.seed or 0))
        write_contact_sheet(flags.contact_sheet, shown, domains=translator.domains)
    _tell(result, aside, f"translated to {translator.domains[1]}", flags.output)
    if flags.contact_sheet and shown:
        print(f"to look at: {flags.contact_sheet}")
    return 1 if result.failed or result.undone else 0


def sample(args: list[str]) -> int:
    """`i2i sample MODEL OUT`."""
    flags = parse(Sample, "sample", args, "Draw pictures from a model that begins with a latent.")

    import math

    from i2i.encode import write
    from i2i.picture import SUFFIXES, Picture, from_pil
    from i2i.registry import load_plugins
    from i2i.report import contact_sheet
    from i2i.sampler import Sampler

    suffix, folder = flags.output.suffix.lower(), flags.output.is_dir()
    grid = suffix in SUFFIXES and not folder
    # Images of other kinds, and films, are no folders.
    other = (mimetypes.guess_type(flags.output.name)[0] or "").partition("/")[0] in ("image", "video")
    if not (grid or folder) and (flags.output.is_file() or other):
        raise UsageError(f"{flags.output}: give an image file for a grid, such as samples.png, or a folder")
    load_plugins(flags.imports)
    sampler = Sampler.load(flags.model, device=flags.device)
    in_turn = sampler.classes if flags.label is None else ()
    if flags.walk is not None:
        rows = sampler.walk(8 if flags.count is None else flags.count, flags.walk, seed=flags.seed, label=flags.label)
        captions = [f"seed {flags.seed}"] + [""] * (flags.walk - 1)
    else:
        count = (8 * len(in_turn) or 64) if flags.count is None else flags.count
        drawn = sampler(count, seed=flags.seed, label=flags.label)
        across = min(len(in_turn) or math.ceil(math.sqrt(len(drawn))), len(drawn))
        rows = [drawn[start : start + across] for start in range(0, len(drawn), across)]
        captions = list(in_turn[:across]) or [f"seed {flags.seed}"] + [""] * (across - 1)
    count = sum(map(len, rows))
    if grid:
        levels = [[from_pil(image).levels for image in row] for row in rows]
        write(Picture(contact_sheet(levels, captions)), flags.output)
        print(f"{flags.output}: {count} pictures of {sampler.image_size} px")
        return 0
    files = [flags.output / f"{number:05d}.png" for number in range(1, count + 1)]
    there = [file for file in files if file.exists()]
    if there and not flags.overwrite:
        raise UsageError(f"{there[0]} is there already; choose another OUT, or add --overwrite")
    for file, image in zip(files, (image for row in rows for image in row), strict=True):
        write(from_pil(image), file)
    print(f"{flags.output}: {count} files of {sampler.image_size} px")
    return 0


def evaluate(args: list[str]) -> int:
    """`i2i evaluate MODEL DATA`."""
    flags = parse(Evaluate, "evaluate", args, "Score a model on the held-out pairs of a data folder.")
    _one_or_two(flags.data)

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


def check(args: list[str]) -> int:
    """`i2i check DATA`: 1 where there is an error among what is found."""
    flags = parse(Check, "check", args, "Say what is wrong with a data set, before training.")
    _one_or_two(flags.data)
    if min(flags.image_size, flags.max_megapixels, *flags.channels) < 1:
        raise UsageError("--image-size, --channels and --max-megapixels are 1 or more")

    from i2i.check import as_text
    from i2i.check import check as look_through
    from i2i.files import write_whole

    most = flags.max_megapixels * 1_000_000
    report = look_through(flags.data, image_size=flags.image_size, channels=flags.channels, max_pixels=most)
    print(as_text(report))
    if flags.json:
        write_whole(flags.json, json.dumps(report.to_dict(), indent=2).encode())
    return 1 if any(finding.severity == "error" for finding in report.findings) else 0


def info(args: list[str]) -> int:
    """`i2i info MODEL`."""
    flags = parse(Info, "info", args, "Say what a model file is.")

    from i2i.checkpoint import read_header
    from i2i.pretrained import model_file
    from i2i.registry import Spec

    file = model_file(flags.model)
    header = read_header(file)
    if flags.json:
        print(json.dumps(header, indent=2))
        return 0
    a, b = header["domains"]
    print(f"{file}  {file.stat().st_size / 1e6:.1f} MB, {header['format']}, made by {header['made_by']}")
    for direction, spec in header["maps"].items():
        print(f"  {b} -> {a}: {spec}" if direction == "b2a" else f"  {a} -> {b}: {spec}")
    config = header["config"]
    print(
        f"  trained with {config.get('method')} on {' '.join(config.get('paths', []))}, {header['step']} steps, ",
        end="",
    )
    if "z2b" in header["maps"]:
        classes = header["preprocess"].get("classes", ())
        print(f"pictures of {header['preprocess']['image_size']} px" + (f" of {', '.join(classes)}" if classes else ""))
        print(f"use it: i2i sample {flags.model} samples.png")
        return 0
    print(f"pictures of {header['preprocess']['image_size']} px; any size can be translated")
    more = f" --to {b}" if len(header["maps"]) > 1 else ""
    if any(Spec.parse(spec).options.get("latent") for spec in header["maps"].values()):
        more += " --samples 5"
    print(f"use it: i2i translate INPUT OUTPUT --model {flags.model}{more}")
    return 0


def models(args: list[str]) -> int:
    """`i2i models`."""
    parse(Models, "models", args, "List the models that come with i2i.")

    from i2i.pretrained import pretrained

    for name, entry in pretrained().items():
        print(f"{name:12}  {entry.file.stat().st_size / 1e6:5.1f} MB  {entry.description}")
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": train,
    "translate": translate,
    "sample": sample,
    "check": check,
    "evaluate": evaluate,
    "info": info,
    "models": models,
}


def _tell(result: Conversion, aside: Counter[str], what: str, output: Path) -> None:
    """Say what became of a conversion: what went wrong with the files' names, then how many there were of what."""
    for path, reason in result.failed.items():
        print(f"i2i: {path}: {reason}", file=sys.stderr)
    for note, paths in result.notes.items():
        more = f", and {len(paths) - 3} more" if len(paths) > 3 else ""
        print(f"{', '.join(map(str, paths[:3]))}{more}: {note}")
    speed = f"{len(result.written) / result.seconds:.1f} a second" if result.written else "none"
    parts = [f"{len(result.written)} {what} ({speed})"]
    if result.skipped:
        parts.append(f"{len(result.skipped)} there already (--overwrite translates them anew)")
    if result.failed:
        parts.append(f"{len(result.failed)} failed")
    if result.undone:
        parts.append(f"{len(result.undone)} not begun: make room, and the same command again goes on")
    parts += [f"{count} {kind} left out" for kind, count in aside.items()]
    print(f"{output}: {', '.join(parts)}")


def _read_run(method: str, kind: Any, args: list[str]) -> tuple[RunConfig, Path, bool]:
    """The settings of a run: the flags, over those saved where it is resumed, and its folder."""
    own = {"method": kind.Config(), "pictures": kind.data_config, "training": kind.train_config}
    options = [(name, tyro.conf.OmitArgPrefixes[type(value)], value) for name, value in own.items()]  # type: ignore[misc]
    flags_of: Any = dataclasses.make_dataclass("Train", options, bases=(Train,), frozen=True)
    about = f"Train {method}: {_what_it_is(kind)}"
    flags = parse(flags_of, f"train {method}", args, about)
    run = flags.run or _default_run(method, flags.data, resume=flags.resume)
    if run.exists() and not run.is_dir():
        raise UsageError(f"--run {run}: that is a file; give a folder")
    saved = run / "config.json"
    if flags.resume:
        if not saved.is_file():
            raise UsageError(f"{run}: there is no run to go on with; leave out --resume to begin one")
        try:
            was = json.loads(saved.read_text())
        except ValueError as error:
            raise UsageError(f"{saved} can't be read: {error}") from None
        if not isinstance(was, dict):
            raise UsageError(f"{saved} holds no settings of a run")
        was.pop("made_by", None)
        if was.get("method") != method:
            raise UsageError(
                f"{run} is a run of {was.get('method')}; go on with: i2i train {was.get('method')} ... --resume"
            )
        options = from_dict(kind.Config, was.get("options", {}), where=f"{saved}: options")
        before = from_dict(RunConfig, was, where=str(saved), options=options)
        default = flags_of(before.paths, run, True, before.plugins, before.data, before.train, options)
        flags = parse(flags_of, f"train {method}", args, about, default=default)
    elif (run / "state.pt").exists():
        raise UsageError(f"{run} holds a run already; add --resume to go on with it, or choose another --run")
    _one_or_two(flags.data)
    training = flags.training
    if values_of("--epochs", args) and not values_of("--steps", args):
        training = dataclasses.replace(training, steps=None)  # a method's own, or the run's so far, gives way
    # Resolved, so that the run goes on from any folder.
    data, plugins = (tuple(str(Path(p).resolve()) for p in flags.data)), tuple(map(_resolved_plugin, flags.imports))
    config = RunConfig(method, data, flags.method, flags.pictures, training, plugins)
    return config, run, flags.resume


def _what_it_is(kind: Any) -> str:
    """The first line of a method's module, which says it to people, or of its class, which cites."""
    said = sys.modules[kind.__module__].__doc__ or kind.__doc__ or ""
    return next(iter(said.strip().splitlines()), "")


def _default_run(method: str, data: Sequence[str], *, resume: bool) -> Path:
    """`runs/METHOD-DATA`, numbered where there is one already; the newest of them to resume."""
    if not data:
        raise UsageError(
            f"which pictures? i2i train {method} DATA, a folder" + (", or --run DIR --resume" if resume else "")
        )
    name = Path("runs") / f"{method}-{Path(data[0]).resolve().name}"
    numbered = [name, *(name.with_name(f"{name.name}-{number}") for number in range(2, 1000))]
    free = next(place for place, path in enumerate(numbered) if not (path / "config.json").exists())
    return numbered[max(free - 1, 0)] if resume else numbered[free]


def _resolved_plugin(module: str) -> str:
    return str(Path(module).resolve()) if module.endswith(".py") else module


def _one_or_two(data: Sequence[str]) -> None:
    if not data:
        raise UsageError("which pictures? give a data folder")
    if len(data) > 2:
        raise UsageError(f"{len(data)} data folders given; give one, or two to match by name")


def _introduce(config: RunConfig, layout: Layout, trainer: Any, run: Path) -> None:
    from i2i.networks import registry_of

    a, b = layout.domains
    held_out = f"{len(layout.validation.b)} held out" if layout.validation else "none held out (no val or test folder)"
    print(f"{config.method}: {a} -> {b}; {layout.description}: {len(trainer.pictures)} to learn from, {held_out}")
    for direction, generator in trainer.objective.maps().items():
        count = sum(p.numel() for p in generator.parameters()) / 1e6
        print(f"{direction}: {generator.spec.brief(registry_of(direction))} ({count:.3f} M parameters)")
    print(f"{trainer.steps} steps on {trainer.device}, from step {trainer.step}; run folder: {run}")


def _complain(message: str, code: int) -> int:
    print(f"i2i: {message}", file=sys.stderr)
    return code
