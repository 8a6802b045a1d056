import dataclasses
import json

import pytest

from i2i import run_config
from i2i.cli import main
from i2i.cli.train_flags import as_flags
from i2i.errors import UsageError
from i2i.methods import methods
from i2i.spec import Spec
from i2i.training.presets import defaults_of
from support.runs import SMALL

PRESETS = [(name, preset) for name, method in methods.items() for preset in method.presets]


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_changes_settings_that_exist_and_builds(name, preset):
    method = methods[name]
    settings = defaults_of(method, preset)
    changed = {
        field: value
        for part, default in zip(settings, defaults_of(method), strict=True)
        for field, value in vars(part).items()
        if value != getattr(default, field)
    }
    assert changed == dict(method.presets[preset])
    train = settings.train
    size = settings.data.image_size
    options = dataclasses.replace(settings.options, teacher="map2sat") if name == "distill" else settings.options
    method(options, method.backbones(train.generator, train.discriminator, image_size=size, channels=(3, 3)))


def test_settings_and_options_of_networks_have_precedence_over_a_preset():
    config = run_config("pix2pix", preset="quality", ema_decay=0.5, generator="unet:width=8", l1_weight=3.0)
    assert (config.preset, config.train.ema_decay, config.options.l1_weight) == ("quality", 0.5, 3.0)
    preset = Spec.parse(methods["pix2pix"].presets["quality"]["generator"])
    assert Spec.parse(config.train.generator) == Spec("unet", {**preset.options, "width": 8})
    assert run_config("pix2pix", preset="quality", generator="resnet").train.generator == "resnet"


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(UsageError, match=r"unknown preset 'qualty'.*quality"):
        run_config("pix2pix", preset="qualty")


def test_the_command_line_trains_with_a_preset_and_says_so(pairs, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["train", "pix2pix", str(pairs), "--preset", "quality", "--steps", "1", "--run", str(run)]
    assert main([*words, *SMALL, "--ema-decay", "0.5"]) == 0
    said = capsys.readouterr().out
    assert f"preset quality: {as_flags(methods['pix2pix'].presets['quality'])}" in said
    saved = json.loads((run / "config.json").read_text())
    assert (saved["preset"], saved["train"]["ema_decay"]) == ("quality", 0.5)
    small = Spec.parse(SMALL[SMALL.index("--generator") + 1])
    preset = Spec.parse(methods["pix2pix"].presets["quality"]["generator"])
    assert Spec.parse(saved["train"]["generator"]) == small.over(preset)

    assert main(["train", "pix2pix", "--run", str(run), "--resume", "--steps", "2"]) == 0
    assert json.loads((run / "config.json").read_text())["preset"] == "quality"
    capsys.readouterr()
    assert main(["train", "pix2pix", "--run", str(run), "--resume", "--preset", "quality"]) == 2
    assert "a resumed run keeps its settings" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_help_lists_presets_as_flags(name, preset, capsys):
    assert main(["train", name, "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"--preset {preset}: {as_flags(methods[name].presets[preset])}" in said


def test_settings_as_flags():
    values = {"ema_decay": 0.998, "diffaugment": ("colour", "cutout"), "channels_last": True, "augment": ()}
    assert as_flags(values) == "--ema-decay 0.998 --diffaugment colour cutout --channels-last --augment"
    assert as_flags({"channels_last": False}) == "--no-channels-last"
