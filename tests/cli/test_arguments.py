"""How flags are read, what help shows, and what a mistyped flag is told."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path

import pytest

from i2i.cli import main
from i2i.cli.flag_hints import _EVALUATE, _OLDER, _TRAIN, _USE, hint
from i2i.cli.main import COMMANDS
from i2i.methods import methods

PAGES = [[command] for command in COMMANDS] + [["train", method] for method in methods]


def help_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    with contextlib.suppress(SystemExit):
        assert main([*words, "--help"]) == 0
    return capsys.readouterr().out.splitlines()


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(list(words)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    return err.removeprefix("i2i: ").rstrip()


@pytest.mark.parametrize("columns", [None, "80", "200"])
@pytest.mark.parametrize("words", PAGES, ids=" ".join)
def test_help_fits_and_says_nothing_of_nothing(
    words: list[str], columns: str | None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns:
        monkeypatch.setenv("COLUMNS", columns)
    lines = help_of(words, capsys)
    assert max(map(len, lines)) <= (80 if columns == "80" and words != ["train"] else 104)
    page = "\n".join(lines)
    assert "None" not in page
    assert "(default: )" not in page
    assert "(default: False)" not in page
    assert ", --no-" not in page
    # Frames are lines or, where standard output isn't UTF-8, blanks.
    flags = [line.strip("│ ").split()[0] for line in lines if re.match(r"[│ ] --?[a-z]", line)]
    assert len(flags) == len(set(flags))
    assert "--help" in page


@pytest.mark.parametrize("words", [["translate"], ["train", "pix2pix"], ["train"]])
def test_help_is_a_command_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    expected = help_of(words, capsys)
    with contextlib.suppress(SystemExit):
        assert main(["help", *words]) == 0
    assert capsys.readouterr().out.splitlines() == expected
    assert help_of([*words, "data"] if len(words) > 1 else words, capsys) == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["translate", "a", "b", "--modle", "map2sat"], "unknown flag '--modle'; did you mean --model?"),
        (["translate", "--modle", "map2sat"], "unknown flag '--modle'; did you mean --model?"),
        (["translate", "a", "b", "--model", "x", "--batchsize", "2"], "did you mean --batch-size?"),
        (["train", "pix2pix", "d", "--Image_Size", "2"], "did you mean --image-size?"),
        (["train", "pix2pix", "d", "--learning_rate", "2"], "use --lr;"),
        (["train", "pix2pix", "d", "--max-steps", "2"], "use --steps;"),
        (["train", "pix2pix", "--data", "d"], "use DATA without a flag, as in: i2i train METHOD DATA;"),
        (["evaluate", "--model", "m", "d"], "use MODEL without a flag, as in: i2i evaluate MODEL DATA;"),
        (["evaluate", "--modle", "m", "d"], "use MODEL without a flag, as in: i2i evaluate MODEL DATA;"),
        (["evaluate", "m", "--dataroot", "d"], "use DATA without a flag, as in: i2i evaluate MODEL DATA;"),
        (["evaluate", "m", "d", "--fid"], "use --features inception;"),
        (["evaluate", "m", "d", "--num_test", "9"], "use a DATA folder with fewer images;"),
        (["check", "--dataroot", "d"], "use DATA without a flag, as in: i2i check DATA;"),
        (["check", "d", "--netG", "unet_256"], "unknown flag '--netG'; see: i2i check --help"),
        (["info", "--model", "m"], "use MODEL without a flag, as in: i2i info MODEL;"),
        (["sample", "--model", "m", "o"], "use MODEL without a flag, as in: i2i sample MODEL OUT;"),
        (["translate", "--input", "a", "b", "--model", "m"], "use INPUT without a flag, as in: i2i translate INPUT"),
        (["train", "pix2pix", "d", "-steps", "2"], "did you mean --steps?"),
        (["evaluate", "m", "d", "--jsn", "f"], "did you mean --json?"),
        (["check", "d", "--imagesize", "64"], "did you mean --image-size?"),
        (["translate", "a"], "missing: OUTPUT, --model MODEL"),
        (["train", "pix2pix", "d", "--betas", "1"], "--betas needs 2 values"),
        (["train", "pix2pix", "d", "--betas", "1", "x"], "--betas '1' 'x': expected numbers"),
        (["train", "pix2pix", "d", "--channels", "a", "b"], "--channels 'a' 'b': expected whole numbers"),
        (["train", "pix2pix", "d", "--batch-size", "1.5"], "--batch-size '1.5': expected a whole number"),
        (["train", "pix2pix", "d", "--lr", "high"], "--lr 'high': expected a number"),
        (["train", "pix2pix", "d", "--precision", "fp8"], "--precision 'fp8': expected one of float32, bf16, fp16;"),
        (["train", "pix2pix", "d", "--adversarial", "hing"], "did you mean hinge? see: i2i train pix2pix --help"),
        (["train", "pix2pix", "d", "--swap=yes"], "--swap takes no value"),
        (["train", "--dataroot", "./maps", "--model", "cycle_gan"], "comes first: i2i train cyclegan ./maps"),
        (["help", "trian"], "did you mean 'train'?"),
    ],
)
def test_a_mistake_is_told_what_to_type(words: list[str], expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert expected in fails(capsys, *words)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("--gpu_ids 0", "use --device cuda:0"),
        ("--gpu_ids -1", "use --device cpu"),
        ("--gpu_ids=-1", "use --device cpu"),
        ("--n_epochs 100", "use --epochs"),
        ("--n_epochs_decay 100", "use --lr-decay-fraction"),
        ("--netG unet_256", "use --generator unet;"),
        ("--netG resnet_6blocks", "use --generator resnet:blocks=6"),
        ("--netG something", "use --generator, such as"),
        ("--netD pixel", "use --discriminator patchgan:layers=0"),
        ("--dataroot ./facades", "use DATA without a flag, as in: i2i train METHOD DATA;"),
        ("--name facades", "use --run runs/NAME"),
        ("--checkpoints_dir ./c", "use --run FOLDER"),
        ("--direction BtoA", "use --swap"),
        ("--direction AtoB", "not needed"),
        ("--crop_size 256", "use --image-size"),
        ("--fineSize 256", "use --image-size"),
        ("--preprocess crop", "use --load-size and --image-size"),
        ("--lambda_L1 100", "use --l1-weight"),
        ("--lambda_A 10", "elsewhere --cycle-weight, which pix2pix does not have"),
        ("--gan_mode vanilla", "use --adversarial non_saturating"),
        ("--ngf 64", "use --generator unet:width=64"),
        ("--continue_train", "use --resume"),
        ("--results_dir out", "use OUTPUT"),
        ("--input_nc 1", "use --channels FROM TO"),
        ("--no_flip", "use --augment"),
        ("--display_id 0", "not needed: open report.html"),
        ("--pool_size 50", "elsewhere --pool-size, which pix2pix does not have"),
    ],
)
def test_a_flag_of_other_programs_names_ours(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = fails(capsys, "train", "pix2pix", "data", *words.split())
    assert said.startswith(f"unknown flag '{words.split()[0].partition('=')[0]}'; {expected}")


def test_a_flag_of_other_programs_in_translate(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["translate", "in", "out", "--model", "map2sat"]
    assert "use an INPUT with fewer images" in fails(capsys, *words, "--num_test", "50")
    assert "not needed: a model file knows its network" in fails(capsys, *words, "--netG", "unet_256")


def test_dashes_and_underscores_are_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, "train", "pix2pix", "--batch_size", "4") == fails(capsys, "train", "pix2pix")


def test_every_hint_names_flags_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    trained = {flag for method in methods for flag in named(help_of(["train", method], capsys))}
    used = set(named(help_of(["translate"], capsys)))
    scored = set(named(help_of(["evaluate"], capsys)))
    for table, known in ((_TRAIN, trained), (_USE, used), (_EVALUATE, scored)):
        for text in table.values():
            for said in [text] if isinstance(text, str) else text.values():
                assert set(named([said])) <= known | {"--model"}, said
    assert set(_OLDER.values()) <= _TRAIN.keys() | _USE.keys()
    assert hint("--colour", command="train pix2pix") is None


def named(lines: list[str]) -> list[str]:
    return [flag for line in lines for flag in re.findall(r"--[a-z][a-z0-9-]*", line)]


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
        ("train pix2pix", "which images?"),
        ("train pix2pix nothere", "nothere: there is no such folder"),
        ("train pix2pix empty", "empty: no images in this folder; expected side-by-side pairs"),
        ("train pix2pix notes.txt", "notes.txt: not a folder"),
        ("train pix2pix boxes/train/0.png", "not a folder"),
        ("train pix2pix boxes boxes", "is given twice"),
        ("train pix2pix boxes --generator=", "generator and discriminator are networks, such as unet"),
        ("train pix2pix boxes --generator resnet:block=9", "did you mean 'blocks'?"),
        ("train pix2pix boxes --generator resnet-9", "a spec reads name:option=value"),
        ("train pix2pix boxes --discriminator unet", "unknown discriminator 'unet'; there are:"),
        ("train pix2pix boxes --domains map", "--domains needs 2 values"),
        ("train pix2pix boxes --domains= b", "give a name for each of the two"),
        ("train pix2pix boxes --image-size 100", "needs a multiple of 256; use --image-size 256, or --generator resnet"),
        ("train pix2pix boxes --image-size 256x256", "--image-size '256x256': expected a whole number"),
        ("train pix2pix boxes --batch-size 0", "batch_size is 0; it should be above 0"),
        ("train pix2pix boxes --steps 1e4", "--steps '1e4': expected a whole number"),
        ("train pix2pix boxes --adversarial LSGAN", "did you mean lsgan?"),
        ("train pix2pix boxes --device gpu", "device 'gpu' can't be used here: expected cpu, cuda, cuda:1"),
        ("train pix2pix boxes --device 0", "device '0' can't be used here: expected cpu, cuda, cuda:1"),
        ("train pix2pix boxes --run notes.txt", "that is a file; give a folder"),
        ("train pix2pix boxes --import ./nofile.py", "no such file"),
        ("train pix2pix boxes --resume", "there is no run to go on with"),
        ("translate boxes out --model map2stat", "did you mean 'map2sat'?"),
        ("translate boxes out --model boxes", "no model.safetensors in this folder"),
        ("translate boxes out --model notes.txt", "is not an i2i model file"),
        ("translate nothere out --model map2sat", "there is no such image or folder"),
        ("translate empty out --model map2sat", "no images there"),
        ("translate a.png b.png out --model map2sat", "too many (several images: their folder, or a glob in quotes)"),
        ("translate boxes out --model map2sat --format jpeg", "did you mean jpg?"),
        ("translate boxes out --model map2sat --quality 200", "it is from 1 to 100"),
        ("translate boxes out --model map2sat --to Sat", "unknown domain to translate to 'Sat'"),
        ("evaluate map2sat", "which images?"),
        ("evaluate map2sat nothere", "there is no such folder"),
        ("evaluate map2sat boxes --json empty", "--json empty: that is a folder; give a file"),
        ("check nothere", "nothere: there is no such folder"),
        ("check boxes --json empty", "--json empty: that is a folder; give a file"),
        ("check boxes boxes boxes", "3 data folders given"),
        ("info nothere", "unknown model 'nothere'; there are: map2sat"),
        ("sample", "missing: MODEL, OUT"),
        ("model", "did you mean 'models'?"),
        ("--verison", "did you mean '--version'?"),
    ],
)
def test_a_newcomers_mistake_gives_one_line(
    words: str, expected: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = words.split()
    if "--domains=" in parts:  # an empty name
        parts[parts.index("--domains=")] = "--domains"
        parts.insert(parts.index("--domains") + 1, "")
    assert expected in fails(capsys, *parts)
    assert not (data / "runs").exists()
    assert not (data / "out").exists()


@pytest.mark.parametrize("words", [["-h", "translate"], ["--help", "translate"], ["help", "translate"]])
def test_help_may_come_first(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with contextlib.suppress(SystemExit):
        main(words)
    assert "usage: i2i translate" in capsys.readouterr().out
