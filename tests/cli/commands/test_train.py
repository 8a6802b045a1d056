"""`i2i train` as a newcomer uses it, right and wrong."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.data.resizing import resized
from i2i.images.reading import read
from i2i.methods import methods
from i2i.model_file import load_model
from support.commands import DRAWS, refused_in_a_line
from support.runs import SMALL


@pytest.mark.parametrize("words", [["train"], ["train", "--help"], ["train", "-h"], ["help", "train"]])
def test_help_lists_every_method_and_its_data(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split() for line in lines if line.startswith("  ") and "i2i" not in line}
    assert list(listed) == list(methods)
    for method, (_, data, *about) in listed.items():
        assert data == methods[method].data
        assert len(about) > 3
    assert len({" ".join(about) for about in listed.values()}) == len(methods), "a line of its own for each"
    assert max(map(len, lines)) <= 110


@pytest.mark.parametrize("method", list(methods))
def test_help_of_a_method_shows_its_defaults(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")  # wider ones get panels side by side
    assert main(["train", method, "--help"]) == 0
    about: dict[str, str] = {}
    for line in capsys.readouterr().out.splitlines():
        words = line.strip("│ ")
        flag = words.split()[0] if line[2:4] == "--" else next(reversed(about), "")
        about[flag] = f"{about.get(flag, '')} {words}"
    kind = methods[method]
    for config in (kind.data_config, kind.train_config, kind.Config()):
        for name, value in dataclasses.asdict(config).items():
            if value is not None and not isinstance(value, bool | tuple):
                shown = repr(value) if value == "" else value
                assert f"(default: {shown})" in about[f"--{name.replace('_', '-')}"], name
    if method == "cyclegan":
        said = "(eq. 3) has none; the authors' code uses 5 (0.5 x 10) on every data set. (default: 0.0)"
        assert said in about["--identity-weight"]


def test_epochs_flag_overrides_min_steps_of_the_method(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = methods["bicyclegan"]
    monkeypatch.setattr(method, "train_config", dataclasses.replace(method.train_config, epochs=1, min_steps=6))
    words = ["train", "bicyclegan", str(pairs), "--generator", "unet:depth=2,width=2", "--encoder-width", "2"]
    words += ["--discriminator", "patchgan:layers=0,width=2", "--image-size", "16", "--samples", "1", "--device", "cpu"]
    for number, (given, expected) in enumerate(
        (
            ([], "6 steps (2 epochs of 6 images, batch size 2)"),
            (["--epochs", "1"], "3 steps (1 epoch of 6 images, batch size 2)"),
            (["--epochs", "1", "--min-steps", "4"], "4 steps (1.33 epochs of 6 images, batch size 2)"),
        )
    ):
        assert main([*words, "--run", str(tmp_path / str(number)), *given]) == 0
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize(("method", "epochs", "decay"), [("cut", 400, 0.5), ("fastcut", 200, 0.25)])
def test_flags_override_the_settings_of_a_method_and_of_a_resumed_run(
    method: str, epochs: int, decay: float, unpaired: Path, tmp_path: Path
) -> None:
    words = ["train", method, str(unpaired), *SMALL, "--generator", "resnet:blocks=1,width=4", "--steps", "1"]
    assert main([*words, "--run", str(tmp_path / "own")]) == 0
    assert main([*words, "--run", str(tmp_path / "given"), "--epochs", "7", "--lr-decay-fraction", "0.125"]) == 0
    assert main([*words, "--run", str(tmp_path / "given"), "--resume", "--steps", "2", "--lr", "0.001"]) == 0
    own, given = (json.loads((tmp_path / name / "config.json").read_text())["train"] for name in ("own", "given"))
    assert (own["epochs"], own["lr_decay_fraction"], own["lr"]) == (epochs, decay, 2e-4)
    # On resume, flags given at the start of the run take precedence over the method's defaults.
    assert (given["epochs"], given["lr_decay_fraction"], given["lr"]) == (7, 0.125, 0.001)


def test_wrong_use_of_train(pairs: Path, unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    one_sided = tmp_path / "one_sided"
    shutil.copytree(unpaired / "trainA", one_sided / "trainA")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def (")
    run = ["--run", str(tmp_path / "run")]
    narrow = [*run, "--generator", "unet:width=2"]  # what is refused after a network is built
    for words, expected in (
        (["trian"], "did you mean 'train'"),
        (["train", "pix2pux", pairs], "did you mean 'pix2pix'"),
        (["train", pairs, "pix2pix"], "the method comes first: i2i train pix2pix "),
        (["train", "--steps", "4", "pix2pix", pairs], "the method comes first"),
        (["train", "pix2pix"], "DATA is missing"),
        (["train", "pix2pix", tmp_path / "nowhere", *run], "nowhere: there is no such folder"),
        (["train", "pix2pix", pairs / "train" / "0.png", *run], "not a folder"),
        (["train", "pix2pix", empty, *run], "no images in this folder"),
        (["train", "cyclegan", one_sided, *run], "there is trainA but no trainB"),
        (["train", "pix2pix", unpaired, *run], "no partner of the same name"),
        (["train", "pix2pix", pairs, "--stesp", "4", *run], "did you mean --steps?"),
        (["train", "pix2pix", pairs, "--adversarial", "hinge", "--real-label", "0.9", *run], "no target to smooth"),
        (
            ["train", "pix2pix", pairs, "--image-size", "250", *run],
            "'unet:depth=8' needs a multiple of 256; use --image-size 256",
        ),
        (
            ["train", "pix2pix", pairs, "--image-size", "30", "--generator", "resnet", *run],
            "a multiple of 4; use --image-size 32",
        ),
        (["train", "pix2pix", pairs, "--image-size", "16", *run], "needs 24 pixels or more"),
        (["train", "pix2pix", pairs, "--load-size", "64", *narrow], "load size 64 is below image size 256"),
        (["train", "pix2pix", pairs, "--generator", "unett", *run], "unknown generator 'unett'; did you mean 'unet'?"),
        (["train", "pix2pix", pairs, "--generator", "unet:dept=7", *run], "did you mean 'depth'?"),
        (["train", "pix2pix", pairs, "--generator", "unet:depth=deep", *run], "depth=deep should be an integer"),
        (["train", "pix2pix", pairs, "--device", "cuda:99", *narrow], "'cuda:99' can't be used here"),
        (["train", "pix2pix", pairs, "--import", "no_such_module", *run], "no module of that name"),
        (["train", "pix2pix", pairs, "--resume", *run], "no run to resume here"),
        (["train", "pix2pix", pairs, "--domains", "a", "a", *run], "different names"),
        (["train", "pix2pix", pairs, "--steps", "0", *run], "--steps is 0"),
        (["train", "pix2pix", pairs, "--batch-size", "0", *run], "--batch-size is 0"),
        (["train", "pix2pix", pairs, "--lr", "nan", *run], "--lr is nan"),
        (["train", "pix2pix", pairs, "--betas", "0.5", "2", *run], "--betas is (0.5, 2.0)"),
        (["train", "pix2pix", pairs, "--seed", "-1", *run], "--seed is -1"),
        (["train", "pix2pix", pairs, "--gradient-penalty", "-1", *run], "--gradient-penalty is -1"),
        (["train", "cyclegan", unpaired, "--pool-size", "-1", *run], "--pool-size is -1"),
        (["train", "pix2pix", pairs, "--device", "meta", *narrow], "'meta' can't be used here"),
        (["train", "pix2pix", pairs, "--import", wrong, *run], "wrong.py"),
        (["train", "pix2pix", pairs, "--run", wrong], "that is a file; give a folder"),
        (["train", "pix2pix", "--run", tmp_path / "run"], "DATA is missing"),
        (["train", "pix2pix", pairs, pairs, pairs, *run], "3 data folders given"),
    ):
        assert expected in refused_in_a_line(capsys, *words), words
    assert not (tmp_path / "run").exists()


def test_wrong_use_of_train_gan(shades: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--run", str(tmp_path / "run")]
    for words, expected in (
        (["gan", shades, shades / "train", *run], "give one folder, without --swap and --domains"),
        (["gan", shades, "--swap", *run], "give one folder, without --swap and --domains"),
        (["gan", pairs, "--labels", *run], "--labels makes each folder in it a class"),
        (["pix2pix", pairs, "--labels", *run], "--labels is for a single set of images (gan); leave it out"),
        (["gan", shades, "--image-size", "48", *run], "'dcgan' needs 8, 16, 32, 64, 128 or 256; use --image-size 64"),
        (["gan", shades, "--generator", "unet", *run], "unknown latent generator 'unet'"),
        (["gan", shades, "--generator", "mlp:classes=3", *DRAWS[4:], *run], "classes=3, but here it must be 0"),
        (
            ["gan", shades, "--generator", "dcgan:width=1", "--batch-size", "1", *run],
            "batch norm of a latent needs two images or more",
        ),
        (["bicyclegan", pairs, "--generator", "unet:norm=virtual", *run], "norm=virtual takes no latent"),
        (["bicyclegan", pairs, "--latent", "0", *run], "--latent is 0"),
    ):
        assert expected in refused_in_a_line(capsys, "train", *words), words
    assert not (tmp_path / "run").exists()


def test_a_run_is_never_overwritten(run: Path, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "model.safetensors").read_bytes()
    assert "holds a run already" in refused_in_a_line(capsys, "train", "pix2pix", pairs, "--run", run)
    assert "has done its 12 steps" in refused_in_a_line(capsys, "train", "pix2pix", pairs, "--run", run, "--resume")
    assert "is a run of pix2pix" in refused_in_a_line(capsys, "train", "cyclegan", pairs, "--run", run, "--resume")
    assert (run / "model.safetensors").read_bytes() == before


def test_runs_are_numbered_and_resumed_by_their_data(
    pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["train", "pix2pix", str(pairs), *SMALL, "--steps"]
    assert main([*words, "2"]) == 0
    assert main([*words, "2"]) == 0
    assert main(["train", "pix2pix", str(pairs), "--resume", "--steps", "3"]) == 0
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert folders == ["pix2pix-boxes", "pix2pix-boxes-2"]
    lines = (tmp_path / "runs" / "pix2pix-boxes-2" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines if "lr" in line] == [2, 3]
    saved = json.loads((tmp_path / "runs" / "pix2pix-boxes-2" / "config.json").read_text())
    assert saved["train"]["generator"] == "unet:depth=4,width=4"


def test_a_damaged_config_names_its_setting(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    config = json.loads((run / "config.json").read_text())
    config["data"]["image_size"] = "large"
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    said = refused_in_a_line(capsys, "train", "pix2pix", pairs, "--run", tmp_path / "run", "--resume")
    assert "data: image_size is 'large'; it should be int" in said.replace(".image_size", ": image_size")


def test_training_writes_terminal_escapes_out(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run\x1b]0;title\x07"
    assert (
        main(["train", "pix2pix", str(pairs), *SMALL, "--run", str(run), "--steps", "1", "--domains", "a", "b\x1b[2J"])
        == 0
    )
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.splitlines())
    assert said.count(r"run\x1b]0;title\x07") == 4
    assert r"a -> b\x1b[2J" in said


def test_the_first_grid_shows_the_input_and_the_target(pairs: Path, tmp_path: Path) -> None:
    words = ["train", "pix2pix", str(pairs), *SMALL, "--steps", "1", "--samples", "1", "--run", str(tmp_path / "run")]
    assert main([*words, "--domains", "drawing", "photo", "--swap"]) == 0
    grid = read(tmp_path / "run" / "samples" / "000000.png").pixels
    both = read(next(iter(sorted((pairs / "val").iterdir())))).pixels
    # Real photo, fake drawing, real drawing, each of 32 pixels with 4 around them, below the captions.
    for column, half in ((0, both[:, 48:]), (2, both[:, :48])):
        left = 4 + 36 * column
        assert np.abs(grid[26:58, left : left + 32].astype(int) - resized(half, 32)).max() <= 1


def test_a_run_is_not_resumed_in_the_other_direction(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(run)]
    assert main([*words, "--domains", "drawing", "photo", "--swap", "--steps", "1"]) == 0
    capsys.readouterr()
    text = refused_in_a_line(capsys, *words, "--resume", "--no-swap", "--steps", "2")
    assert "was trained photo -> drawing, but the data now reads drawing -> photo; add --swap to resume" in text
    # A run written when --domains named the input first.
    config = json.loads((run / "config.json").read_text())
    config["data"]["domains"] = ["photo", "drawing"]
    (run / "config.json").write_text(json.dumps(config))
    assert "add --domains drawing photo to resume" in refused_in_a_line(capsys, *words, "--resume", "--steps", "2")
    assert main([*words, "--resume", "--steps", "2", "--domains", "drawing", "photo"]) == 0
    assert load_model(run / "model.safetensors").domains == ("photo", "drawing")


@pytest.mark.parametrize("method", ["pix2pix", "cyclegan", "gan"])
def test_nothing_is_trained_on_test_images(
    method: str, pairs: Path, unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    if method == "cyclegan":
        shutil.copytree(unpaired, data, ignore=shutil.ignore_patterns("train*"))
    else:
        shutil.copytree(pairs / "val", data / "test")
    said = refused_in_a_line(capsys, "train", method, data, "--run", tmp_path / "run")
    assert "only held-out images (test), which are not trained on; add a folder train" in said
    assert not (tmp_path / "run").exists()


def test_unreadable_formats_are_listed_before_training_and_evaluation(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(pairs, data)
    (data / "train" / "photo.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (data / "val" / "photo.avif").write_bytes(b"\0\0\0\x18ftypavif")
    small = ["--generator", "unet:depth=2,width=2", "--discriminator", "patchgan:layers=0,width=2"]
    words = [str(data), "--image-size", "16", "--steps", "1", "--device", "cpu", "--run", str(run)]
    assert main(["train", "pix2pix", *words, *small]) == 0
    out = capsys.readouterr().out
    assert "; to train B -> A instead, add --swap\n" in out
    assert "\n1 step (0.167 epochs of 6 images, batch size 1) on cpu" in out
    assert main(["evaluate", str(run), str(data), "--device", "cpu"]) == 0
    for said in (out, capsys.readouterr().out):
        assert f"left out: {data / 'train' / 'photo.HEIC'}: HEIC images can't be read; convert them" in said
        assert f"left out: {data / 'val' / 'photo.avif'}: AVIF images can't be read; convert them" in said


def test_unpaired_sets_report_both_counts(unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--generator", "resnet:blocks=1,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    words = ["train", "cyclegan", str(unpaired), *small, "--image-size", "32", "--steps", "1"]
    assert main([*words, "--run", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out.splitlines()
    sides = f"input A = {unpaired}/trainA (5 images), target B = {unpaired}/trainB (4 images)"
    assert said[0] == f"A -> B: {sides}, unpaired"
    assert said[1] == "held out: 2 and 2 images"


def test_a_resumed_run_keeps_its_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = tmp_path / "pets", tmp_path / "run"
    for name in ("cat", "dog"):
        (data / name).mkdir(parents=True)
        Image.new("L", (16, 16), 200).save(data / name / "1.png")
    small = ["--generator", "dcgan:width=2,latent=4", "--discriminator", "dcgan:width=2", "--image-size", "8"]
    small += ["--load-size", "8", "--batch-size", "2", "--samples", "2"]
    assert main(["train", "gan", str(data), "--labels", "--run", str(out), "--steps", "1", *small]) == 0
    capsys.readouterr()
    (data / "cat").rename(data / "zebra")
    assert main(["train", "gan", str(data), "--run", str(out), "--resume", "--steps", "2"]) == 2
    assert "was trained with cat, dog, and the data now has dog, zebra" in capsys.readouterr().err

    folder = tmp_path / "drawn"
    assert main(["sample", str(out), str(folder), "--count", "2"]) == 0
    assert main(["sample", str(out), str(folder), "--count", "3"]) == 2
    assert "00001.png exists already; choose another OUT, or add --overwrite" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["00001.png", "00002.png"]
    assert main(["sample", str(out), str(folder), "--count", "3", "--overwrite"]) == 0
    assert len(list(folder.iterdir())) == 3
    assert main(["sample", str(out), str(tmp_path / "film.webm")]) == 2
    assert not (tmp_path / "film.webm").exists()
