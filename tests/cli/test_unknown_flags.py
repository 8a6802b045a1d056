"""An unknown flag is answered with the flag that was meant."""

from __future__ import annotations

import re

import pytest

from i2i.cli import main
from i2i.cli.arguments import flags_of
from i2i.cli.commands import commands
from i2i.cli.flag_hints import _EVALUATE, _OLDER, _TRAIN, _USE, hint
from i2i.cli.train_flags import flags_of_method
from i2i.methods import methods
from support.commands import refused_in_a_line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["translate", "a", "b", "--modle", "map2sat"], "unknown flag '--modle'; did you mean --model?"),
        (["translate", "--modle", "map2sat"], "unknown flag '--modle'; did you mean --model?"),
        (["translate", "a", "b", "--model", "x", "--batchsize", "2"], "did you mean --batch-size?"),
        (["train", "pix2pix", "d", "--Image_Size", "2"], "did you mean --image-size?"),
        (["train", "pix2pix", "d", "--modle", "x"], "unknown flag '--modle'; see: i2i train pix2pix --help"),
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
        (["train", "--dataroot", "./maps", "--model", "cycle_gan"], "comes first: i2i train cyclegan ./maps"),
        (["help", "trian"], "did you mean 'train'?"),
    ],
)
def test_an_unknown_flag_names_the_right_one(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert expected in refused_in_a_line(capsys, *words)


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
        ("--lambda_A 10", "other methods have --cycle-weight, but pix2pix does not"),
        ("--gan_mode vanilla", "use --adversarial non_saturating"),
        ("--ngf 64", "use --generator unet:width=64"),
        ("--continue_train", "use --resume"),
        ("--results_dir out", "use OUTPUT"),
        ("--input_nc 1", "use --channels FROM TO"),
        ("--no_flip", "use --augment"),
        ("--display_id 0", "not needed: open report.html"),
        ("--pool_size 50", "other methods have --pool-size, but pix2pix does not"),
    ],
)
def test_flags_of_other_programs_in_train(words: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = refused_in_a_line(capsys, "train", "pix2pix", "data", *words.split())
    assert said.startswith(f"unknown flag '{words.split()[0].partition('=')[0]}'; {expected}")


def test_flags_of_other_programs_in_translate(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["translate", "in", "out", "--model", "map2sat"]
    assert "use an INPUT with fewer images" in refused_in_a_line(capsys, *words, "--num_test", "50")
    assert "not needed: a model file knows its network" in refused_in_a_line(capsys, *words, "--netG", "unet_256")


def test_every_hint_names_existing_flags() -> None:
    trained = {flag for name, method in methods.items() for flag in flags_of(flags_of_method(name, method))}
    used, scored = (set(flags_of(commands()[name].Flags)) for name in ("translate", "evaluate"))
    for table, known in ((_TRAIN, trained), (_USE, used), (_EVALUATE, scored)):
        for text in table.values():
            for advice in [text] if isinstance(text, str) else text.values():
                assert set(re.findall(r"--[a-z][a-z0-9-]*", advice)) <= known | {"--model"}, advice
    assert set(_OLDER.values()) <= _TRAIN.keys() | _USE.keys()
    assert hint("--colour", command="train pix2pix") is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--ngf", "32"], "--generator unet:width=32"),
        (["--n_layers_D=5"], "--discriminator patchgan:layers=5"),
        (["--norm", "batch"], "--generator unet:norm=batch"),
        (["--ngf", "--lr"], "--generator unet:width=64"),
        (["--CUT_mode", "FastCUT"], "i2i train fastcut DATA"),
    ],
)
def test_the_value_of_a_foreign_flag_is_carried_over(
    words: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", "pix2pix", "data", *words]) == 2
    assert f"use {expected}; see:" in capsys.readouterr().err.replace("METHOD fastcut, as in: ", "")
