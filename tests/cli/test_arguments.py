"""What help shows, and what is said of values that can't be read."""

from __future__ import annotations

import itertools
import re
import shutil
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.cli.arguments import flags_of
from i2i.cli.commands import commands
from i2i.cli.train_flags import flags_of_method
from i2i.methods import methods
from support.commands import refused, refused_in_a_line

PAGES = [[command] for command in commands()] + [["train", method] for method in methods]


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    assert main([*words, "--help"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("columns", ["80", "200"])
@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_help_fits_the_terminal_and_shows_no_empty_defaults(
    words: list[str], columns: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = help_of(words, capsys)
    wrapped = [line for line in lines if len(line.split()) > 1]  # but a long network spec
    assert max(map(len, wrapped)) <= (104 if words == ["train"] else int(columns))
    page = "\n".join(lines)
    assert "None" not in page
    assert "(default: )" not in page
    assert "(default: False)" not in page
    assert ", --no-" not in page
    assert "--help" in page


@pytest.mark.parametrize("words", [["translate"], ["train", "pix2pix"], ["train"]])
def test_help_is_a_command_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    expected = help_of(words, capsys)
    assert main(["help", *words]) == 0
    assert capsys.readouterr().out.splitlines() == expected
    assert help_of([*words, "data"] if len(words) > 1 else words, capsys) == expected


@pytest.mark.parametrize("words", [["-h", "translate"], ["--help", "translate"], ["help", "translate"]])
def test_help_may_come_first(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert "usage: i2i translate" in capsys.readouterr().out


@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_the_flags_of_a_command_are_those_of_its_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if words == ["train"]:
        pytest.skip("lists the methods")
    kind = flags_of_method(words[1], methods[words[1]]) if len(words) > 1 else commands()[words[0]].Flags
    listed = itertools.dropwhile(lambda line: not re.search(r"^\W+options\W+$", line), help_of(words, capsys))
    # Frames are lines or, where standard output isn't UTF-8, blanks.
    rows = [line.strip("│ ") for line in listed if re.match(r"[│ ] --?[a-z]", line)]
    shown = [flag for row in rows for flag in re.findall(r"^--?[a-z][a-z0-9-]*|(?<=^-v, )--verbose", row)]
    assert len(shown) == len(set(shown))
    # Help shows --no-FLAG alone where a method has it on.
    assert {flag.replace("--no-", "--") for flag in shown} - {"-h"} == {
        flag.replace("--no-", "--") for flag in flags_of(kind)
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("translate a", ["OUTPUT", "--model MODEL"]),
        ("sample", ["MODEL", "OUT"]),
        ("train pix2pix d --betas 1", ["--betas", "2 values"]),
        ("train pix2pix d --betas 1 x", ["--betas", "x"]),
        ("train pix2pix d --channels a b", ["--channels", "a"]),
        ("train pix2pix d --batch-size 1.5", ["--batch-size", "1.5"]),
        ("train pix2pix d --image-size 256x256", ["--image-size", "256x256"]),
        ("train pix2pix d --steps 1e4", ["--steps", "1e4"]),
        ("train pix2pix d --lr high", ["--lr", "high"]),
        ("train pix2pix d --lr", ["--lr"]),
        ("train pix2pix d --domains map", ["--domains", "2 values"]),
        ("train pix2pix d --precision fp8", ["--precision", "fp8", "float32", "bf16", "fp16"]),
        ("train pix2pix d --adversarial LSGAN", ["--adversarial", "LSGAN", "lsgan"]),
        ("train pix2pix d --swap=yes", ["yes"]),
        ("sample m o --count many", ["--count", "many"]),
    ],
)
def test_a_value_that_cannot_be_read_names_its_flag(
    words: str, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    text = refused(capsys, *words.split())
    assert all(part in text for part in expected), text
    assert f"i2i {' '.join(words.split()[: 1 + (words[:5] == 'train')])} --help" in text


def test_ranks_other_than_the_first_print_no_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    for words in (["--lr", "high"], ["--lr"], ["--no-such-flag"], ["--lr", "nan"]):
        assert main(["train", "pix2pix", "data", *words]) == 2
        assert capsys.readouterr() == ("", "")


def test_dashes_and_underscores_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "train", "pix2pix", "--batch_size", "4") == refused(capsys, "train", "pix2pix")


@pytest.fixture
def data(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the data `boxes`, an empty folder and a text file."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(pairs, "boxes")
    Path("empty").mkdir()
    Path("notes.txt").write_text("hello")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("train boxes pix2pix", "the method comes first: i2i train pix2pix boxes"),
        ("train boxes", "the method comes first: i2i train METHOD boxes"),
        ("train Pix2Pix boxes", "did you mean 'pix2pix'?"),
        ("train pix2pix", "DATA is missing"),
        ("train pix2pix nothere", "nothere: there is no such folder"),
        ("train pix2pix empty", "empty: no images in this folder; expected side-by-side pairs"),
        ("train pix2pix notes.txt", "notes.txt: not a folder"),
        ("train pix2pix boxes/train/0.png", "not a folder"),
        ("train pix2pix boxes boxes", "is given twice"),
        ("train pix2pix boxes --generator=", "--generator and --discriminator are networks, such as unet"),
        ("train pix2pix boxes --generator resnet:block=9", "did you mean 'blocks'?"),
        ("train pix2pix boxes --generator resnet-9", "a spec reads name:option=value"),
        (
            "train pix2pix boxes --discriminator unet --generator unet:width=2",
            "unknown discriminator 'unet'; there are",
        ),
        ("train pix2pix boxes --domains= b", "give a name for each of the two"),
        (
            "train pix2pix boxes --image-size 100",
            "needs a multiple of 256; use --image-size 256, or --generator resnet",
        ),
        ("train pix2pix boxes --batch-size 0", "--batch-size is 0; it should be above 0"),
        (
            "train pix2pix boxes --generator unet:width=2 --device gpu",
            "device 'gpu' can't be used here: expected cpu, cuda, cuda:1",
        ),
        (
            "train pix2pix boxes --generator unet:width=2 --device 0",
            "device '0' can't be used here: expected cpu, cuda, cuda:1",
        ),
        ("train pix2pix boxes --run notes.txt", "that is a file; give a folder"),
        ("train pix2pix boxes --import ./nofile.py", "no such file"),
        ("train pix2pix boxes --resume", "no run to resume here"),
        ("translate boxes out --model map2stat", "did you mean 'map2sat'?"),
        ("translate boxes out --model boxes", "no model.safetensors in this folder"),
        ("translate boxes out --model notes.txt", "is not an i2i model file"),
        ("translate nothere out --model map2sat", "there is no such image or folder"),
        ("translate empty out --model map2sat", "no images there"),
        ("translate boxes empty out --model map2sat", "unexpected argument 'out'"),
        ("translate a b notes.txt --model map2sat", "unexpected argument 'notes.txt' (a glob needs quotes)"),
        ("translate boxes out --model map2sat --format jpeg", "unknown --format 'jpeg'; did you mean 'jpg'?"),
        ("translate boxes out --model map2sat --quality 200", "it must be from 1 to 100"),
        ("translate boxes out --model map2sat --to Sat", "unknown domain to translate to 'Sat'"),
        ("evaluate map2sat", "DATA is missing"),
        ("evaluate map2sat nothere", "there is no such folder"),
        ("evaluate map2sat boxes --json empty", "--json empty is a folder; give a file"),
        ("check nothere", "nothere: there is no such folder"),
        ("check boxes --json empty", "--json empty is a folder; give a file"),
        ("check boxes boxes boxes", "3 data folders given"),
        (
            "info nothere",
            "unknown model 'nothere'; there are: flowers, label2facade, map2sat, map2sat-lite, sat2map, sketch2flower",
        ),
        ("translate boxes out/x.heic --model map2sat", "out/x.heic: can't write that format"),
        ("model", "did you mean 'models'?"),
        ("--verison", "did you mean '--version'?"),
    ],
)
def test_a_newcomers_mistake_gets_one_line(
    words: str, expected: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = words.split()
    if "--domains=" in parts:  # an empty name
        parts[parts.index("--domains=")] = "--domains"
        parts.insert(parts.index("--domains") + 1, "")
    assert expected in refused_in_a_line(capsys, *parts)
    assert not (data / "runs").exists()
    assert not (data / "out").exists()
