"""Errors name settings, which each caller reads as it types them."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import i2i
from i2i.cli import main
from i2i.cli.arguments import flags_of
from i2i.cli.commands import commands
from i2i.cli.train_flags import flags_of_method
from i2i.config import TrainConfig
from i2i.errors import ImageError, UsageError, in_flags, in_python, renamed, setting
from i2i.methods import methods

ROOT = Path(i2i.__file__).parent
# They write commands: what `i2i check` advises, and how a run is resumed.
MAY_SPELL_FLAGS = {"data/check/text.py", "model_file/card.py", "training/run_folder.py"}


def test_settings_are_spelled_as_the_caller_types_them():
    error = UsageError(f"size 250: use {setting('image_size', 256)}, or {setting('resume')} the run of <a--b=c>")
    assert str(error) == "size 250: use image_size=256, or resume the run of <a--b=c>"
    assert error.with_flags() == "size 250: use --image-size 256, or --resume the run of <a--b=c>"


def test_a_tuple_is_spelt_as_the_caller_types_it():
    error = UsageError(f"use {setting('channels', (1, 3))} and {setting('domains', ('map', 'sat'))}")
    assert str(error) == "use channels=(1, 3) and domains=('map', 'sat')"
    assert error.with_flags() == "use --channels 1 3 and --domains map sat"


def test_a_setting_can_get_the_name_that_a_caller_has_for_it():
    text = renamed(
        f"{setting('features', 'x')} or {setting('features')}, {setting('size', (1, 2))}", "features", "look"
    )
    assert (in_python(text), in_flags(text)) == ("look=x or look, size=(1, 2)", "--look x or --look, --size 1 2")


def test_a_value_that_is_false_is_shown():
    assert str(ImageError(setting("ema_decay", 0))) == "ema_decay=0"


def test_a_tuple_is_several_values_of_a_flag():
    text = f"give {setting('channels', (1, 3))}, {setting('augment', ('flip',))}"
    assert in_python(text) == "give channels=(1, 3), augment=('flip')"
    assert in_flags(text) == "give --channels 1 3, --augment flip"


def test_a_library_error_names_fields_in_python_and_flags_at_the_command_line(capsys):
    with pytest.raises(UsageError, match=r"^batch_size is 3; gradient_accumulation=2 does not divide it$"):
        TrainConfig(batch_size=3, gradient_accumulation=2)
    assert main(["train", "pix2pix", "data", "--batch-size", "3", "--gradient-accumulation", "2"]) == 2
    assert capsys.readouterr().err == "i2i: --batch-size is 3; --gradient-accumulation 2 does not divide it\n"


def texts(path: Path) -> Iterator[str]:
    """The string literals of a file but the docstrings of fields, which are help texts."""
    tree = ast.parse(path.read_text())
    help_texts = set()
    for node in ast.walk(tree):
        for before, after in itertools.pairwise(node.body) if isinstance(node, ast.ClassDef) else ():
            if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr):
                help_texts.add(id(after.value))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in help_texts:
            yield node.value


def test_only_the_command_line_and_the_report_spell_flags():
    known = {flag for command in commands().values() for flag in flags_of(command.Flags)}
    known |= {flag for name, method in methods.items() for flag in flags_of(flags_of_method(name, method))}
    assert {"--image-size", "--best", "--l1-weight", "--import"} <= known
    spelled: dict[str, list[str]] = {}
    for path in sorted(ROOT.rglob("*.py")):
        owner = path.relative_to(ROOT).parts[0]
        if owner not in ("cli", "report", "errors.py"):
            found = {flag for text in texts(path) for flag in re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text)}
            if found & known:
                spelled[path.relative_to(ROOT).as_posix()] = sorted(found & known)
    assert spelled.keys() == MAY_SPELL_FLAGS, spelled
