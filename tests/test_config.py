import json

import pytest

from i2i.config import DataConfig, RunConfig, TrainConfig, from_dict, to_dict
from i2i.errors import UsageError
from i2i.methods import methods

DATA = DataConfig(image_size=64, load_size=72, augment=("flip", "rotate90"), swap=True, domains=("map", "sat"))
TRAIN = TrainConfig(steps=10, lr=1e-3, betas=(0.0, 0.9), generator="resnet:blocks=1", precision="bf16")


def through_json(config):
    return json.loads(json.dumps(to_dict(config)))


@pytest.mark.parametrize("config", [DataConfig(), DATA, TrainConfig(), TRAIN])
def test_settings_survive_json(config):
    assert from_dict(type(config), through_json(config), where="config.json") == config


@pytest.mark.parametrize("method", methods)
def test_a_run_survives_json(method):
    options = methods[method].Config(real_label=0.9)
    run = RunConfig(method, ("maps/a", "maps/b"), options, DATA, TRAIN, plugins=("my_plugin",))
    values = through_json(run)
    read = from_dict(methods[method].Config, values["options"], where="config.json: options")
    assert read == options
    assert from_dict(RunConfig, values, where="config.json", options=read) == run


def test_missing_fields_keep_their_defaults():
    assert from_dict(TrainConfig, {"lr": 1e-3}, where="config.json") == TrainConfig(lr=1e-3)


def test_an_int_becomes_a_float_in_a_float_field():
    read = from_dict(TrainConfig, {"lr": 1, "betas": [0, 0]}, where="config.json")
    assert (read.lr, read.betas) == (1.0, (0.0, 0.0))
    assert [type(value) for value in (read.lr, *read.betas)] == [float] * 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"lr": "fast"}, "config.json: train: lr is 'fast'; it should be float"),
        ({"lr": True}, "config.json: train: lr is True; it should be float"),
        ({"batch_size": True}, "config.json: train: batch_size is True; it should be int"),
        ({"batch_size": 1.5}, "config.json: train: batch_size is 1.5; it should be int"),
        ({"channels_last": 1}, "config.json: train: channels_last is 1; it should be bool"),
        ({"steps": "all"}, "config.json: train: steps is 'all'; it should be int"),
        ({"betas": [0.5]}, "config.json: train: betas should hold 2 values, not 1"),
        ({"betas": [0.5, "x"]}, "config.json: train: betas[1] is 'x'; it should be float"),
    ],
)
def test_a_wrong_value_is_named_by_its_full_path(values, message):
    run = {"method": "pix2pix", "paths": [], "data": {}, "train": values}
    with pytest.raises(UsageError) as caught:
        from_dict(RunConfig, run, where="config.json", options=None)
    assert str(caught.value) == message


def test_an_unknown_setting_is_named_with_the_nearest():
    run = {"method": "pix2pix", "paths": [], "data": {"imagesize": 64}, "train": {}}
    with pytest.raises(UsageError) as caught:
        from_dict(RunConfig, run, where="config.json", options=None)
    start = "unknown setting in config.json: data 'imagesize'; did you mean 'image_size'? there are: augment, "
    assert str(caught.value).startswith(start)


def test_a_missing_setting_without_a_default_is_an_error():
    with pytest.raises(UsageError, match=r"^config\.json: .*'paths'"):
        from_dict(RunConfig, {"method": "pix2pix", "data": {}, "train": {}}, where="config.json", options=None)


def test_an_unknown_augmentation_is_named_by_its_index():
    with pytest.raises(UsageError, match=r"^config\.json: augment\[1\] is 'sideways'"):
        from_dict(DataConfig, {"augment": ["flip", "sideways"]}, where="config.json")


def test_an_unknown_choice_lists_the_choices():
    with pytest.raises(UsageError, match=r"^config\.json: precision is 'fp8'.*float32.*bf16"):
        from_dict(TrainConfig, {"precision": "fp8"}, where="config.json")


@pytest.mark.parametrize(
    ("settings", "python", "flags"),
    [
        ({"lr": float("nan")}, "lr is nan", "--lr is nan"),
        ({"ema_decay": 1.0}, "ema_decay is 1.0", "--ema-decay is 1.0"),
        ({"generator": ""}, "generator and discriminator are networks", "--generator and --discriminator are networks"),
        (
            {"batch_size": 3, "gradient_accumulation": 2},
            "batch_size is 3; gradient_acc",
            "--gradient-accumulation 2",
        ),
    ],
)
def test_a_refused_setting_is_named_as_the_caller_types_it(settings, python, flags):
    with pytest.raises(UsageError) as caught:
        TrainConfig(**settings)
    assert python in str(caught.value)
    assert flags in caught.value.with_flags()
