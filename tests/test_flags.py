"""How flags are read, what help shows, and what a mistyped flag is told."""

from __future__ import annotations

import contextlib
import re

import pytest

from i2i.cli import COMMANDS, main
from i2i.flag_hints import _OLDER, _TRAIN, _USE, hint
from i2i.objectives import objectives

PAGES = [[command] for command in COMMANDS] + [["train", method] for method in objectives]


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
        (["train", "pix2pix", "d", "--learning_rate", "2"], "unknown flag '--learning_rate'"),
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
        ("--n_epochs_decay 100", "use --decay"),
        ("--netG unet_256", "use --generator unet;"),
        ("--netG resnet_6blocks", "use --generator resnet:blocks=6"),
        ("--netG something", "use --generator, such as"),
        ("--netD pixel", "use --discriminator patchgan:layers=0"),
        ("--dataroot ./facades", "use DATA, the folder after the method"),
        ("--name facades", "use --run runs/NAME"),
        ("--checkpoints_dir ./c", "use --run FOLDER"),
        ("--direction BtoA", "use --swap"),
        ("--direction AtoB", "not needed"),
        ("--crop_size 256", "use --image-size"),
        ("--fineSize 256", "use --image-size"),
        ("--preprocess crop", "use --load-size and --image-size"),
        ("--lambda_L1 100", "use --l1-weight"),
        ("--lambda_A 10", "use --cycle-weight"),
        ("--gan_mode vanilla", "use --adversarial non_saturating"),
        ("--ngf 64", "use --generator unet:width=64"),
        ("--continue_train", "use --resume"),
        ("--results_dir out", "use OUTPUT"),
        ("--input_nc 1", "use --channels FROM TO"),
        ("--no_flip", "use --augment"),
        ("--display_id 0", "not needed: open report.html"),
        ("--pool_size 50", "use --history"),
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
    trained = {flag for method in objectives for flag in named(help_of(["train", method], capsys))}
    used = set(named(help_of(["translate"], capsys)))
    for table, known in ((_TRAIN, trained), (_USE, used)):
        for text in table.values():
            for said in [text] if isinstance(text, str) else text.values():
                assert set(named([said])) <= known | {"--model"}, said
    assert set(_OLDER.values()) <= _TRAIN.keys() | _USE.keys()
    assert hint("--colour", training=True) is None


def named(lines: list[str]) -> list[str]:
    return [flag for line in lines for flag in re.findall(r"--[a-z][a-z0-9-]*", line)]
