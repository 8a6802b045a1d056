"""The command line as a newcomer uses it, right and wrong."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from i2i.cli import main
from i2i.data.transforms import resized
from i2i.images.grid import contact_sheet
from i2i.images.reading import read
from i2i.inference.record import RECORD
from i2i.methods import methods
from i2i.model_file.model_file import FORMAT, load_model
from support.runs import SMALL


def fails(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """Run a command that must be refused: exit code 2, nothing on stdout, one line on stderr."""
    assert main([str(word) for word in words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("i2i: ")
    assert err.count("\n") == 1
    return err


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


def test_help_names_every_command_and_loads_no_torch() -> None:
    code = (
        "import sys; from i2i.cli import main; assert main(['--help']) == 0; assert main([]) == 0;"
        "assert not {'torch', 'albumentations', 'cv2', 'numpy'} & set(sys.modules), 'loaded too much'"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for command in ("train", "translate", "evaluate", "info", "models"):
        assert f"i2i {command}" in said


@pytest.mark.parametrize("command", ["translate", "sample", "evaluate", "info", "models"])
def test_every_command_explains_its_flags(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert not stopped.value.code
    assert f"usage: i2i {command}" in capsys.readouterr().out


@pytest.mark.parametrize("method", list(methods))
def test_the_help_of_a_method_shows_its_own_defaults(
    method: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "110")  # wider ones get panels side by side
    with pytest.raises(SystemExit) as stopped:
        main(["train", method, "--help"])
    assert not stopped.value.code
    about: dict[str, str] = {}
    for line in capsys.readouterr().out.splitlines():
        words = line.strip("│ ")
        flag = words.split()[0] if line[2:4] == "--" else next(reversed(about), "")
        about[flag] = f"{about.get(flag, '')} {words}"
    kind = methods[method]
    for config in (kind.data_config, kind.train_config, kind.Config()):
        for name, value in dataclasses.asdict(config).items():
            if value is not None and not isinstance(value, bool | tuple):
                assert f"(default: {value})" in about[f"--{name.replace('_', '-')}"], name
    if method == "cyclegan":
        said = "method (eq. 3) has none; the authors' code has them at 5 (0.5 x 10) on every data set. (default: 0.0)"
        assert said in about["--identity-weight"]


def test_epochs_that_are_given_come_before_the_methods_own_least_number_of_steps(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    method = methods["bicyclegan"]
    monkeypatch.setattr(method, "train_config", dataclasses.replace(method.train_config, epochs=1, min_steps=6))
    words = ["train", "bicyclegan", str(pairs), *SMALL, "--encoder-width", "4", "--device", "cpu"]
    for number, (given, expected) in enumerate(
        (
            ([], "6 steps (2 epochs of 6 images, 2 in a step)"),
            (["--epochs", "1"], "3 steps (1 epochs of 6 images, 2 in a step)"),
            (["--epochs", "1", "--min-steps", "4"], "4 steps (1.33 epochs of 6 images, 2 in a step)"),
        )
    ):
        assert main([*words, "--run", str(tmp_path / str(number)), *given]) == 0
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize(("method", "epochs", "decay"), [("cut", 400, 0.5), ("fastcut", 200, 0.25)])
def test_a_methods_own_settings_are_those_of_a_run_unless_flags_say_otherwise(
    method: str, epochs: int, decay: float, unpaired: Path, tmp_path: Path
) -> None:
    words = ["train", method, str(unpaired), *SMALL, "--generator", "resnet:blocks=1,width=4", "--steps", "1"]
    assert main([*words, "--run", str(tmp_path / "own")]) == 0
    assert main([*words, "--run", str(tmp_path / "given"), "--epochs", "7", "--lr-decay-fraction", "0.125"]) == 0
    assert main([*words, "--run", str(tmp_path / "given"), "--resume", "--steps", "2", "--lr", "0.001"]) == 0
    own, given = (json.loads((tmp_path / name / "config.json").read_text())["train"] for name in ("own", "given"))
    assert (own["epochs"], own["decay"], own["lr"]) == (epochs, decay, 2e-4)
    # What was given before comes before the method's own when the run goes on.
    assert (given["epochs"], given["decay"], given["lr"]) == (7, 0.125, 0.001)


def test_wrong_use_of_train(pairs: Path, unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    one_sided = tmp_path / "one_sided"
    shutil.copytree(unpaired / "trainA", one_sided / "trainA")
    wrong = tmp_path / "wrong.py"
    wrong.write_text("def (")
    run = ["--run", str(tmp_path / "run")]
    for words, expected in (
        (["trian"], "did you mean 'train'"),
        (["train", "pix2pux", pairs], "did you mean 'pix2pix'"),
        (["train", pairs, "pix2pix"], "the method comes first: i2i train pix2pix "),
        (["train", "--steps", "4", "pix2pix", pairs], "the method comes first"),
        (["train", "pix2pix"], "which images?"),
        (["train", "pix2pix", tmp_path / "nowhere", *run], "nowhere: there is no such folder"),
        (["train", "pix2pix", pairs / "train" / "0.png", *run], "not a folder"),
        (["train", "pix2pix", empty, *run], "no images in this folder"),
        (["train", "cyclegan", one_sided, *run], "there is trainA but no trainB"),
        (["train", "pix2pix", unpaired, *run], "no partner of the same name"),
        (["train", "pix2pix", pairs, "--stesp", "4", *run], "did you mean --steps?"),
        (["train", "pix2pix", pairs, "--steps", "many", *run], "--steps 'many': expected a whole number"),
        (["train", "pix2pix", pairs, "--steps", *run], "--steps needs a value"),
        (["train", "pix2pix", pairs, "--adversarial", "hing", *run], "did you mean hinge? see"),
        (["train", "pix2pix", pairs, "--adversarial", "hinge", "--real-label", "0.9", *run], "no target to smooth"),
        (["train", "pix2pix", pairs, "--image-size", "250", *run], "'unet:depth=8' needs a multiple of 256; use --image-size 256"),
        (
            ["train", "pix2pix", pairs, "--image-size", "30", "--generator", "resnet", *run],
            "a multiple of 4; use --image-size 32",
        ),
        (["train", "pix2pix", pairs, "--image-size", "16", *run], "needs 24 pixels or more"),
        (["train", "pix2pix", pairs, "--load-size", "64", *run], "load size 64 is below image size 256"),
        (["train", "pix2pix", pairs, "--generator", "unett", *run], "unknown generator 'unett'; did you mean 'unet'?"),
        (["train", "pix2pix", pairs, "--generator", "unet:dept=7", *run], "did you mean 'depth'?"),
        (["train", "pix2pix", pairs, "--generator", "unet:depth=deep", *run], "depth=deep should be a whole number"),
        (["train", "pix2pix", pairs, "--device", "cuda:99", *run], "'cuda:99' can't be used here"),
        (["train", "pix2pix", pairs, "--import", "no_such_module", *run], "no module of that name"),
        (["train", "pix2pix", pairs, "--resume", *run], "there is no run to go on with"),
        (["train", "pix2pix", pairs, "--domains", "a", *run], "--domains needs 2 values"),
        (["train", "pix2pix", pairs, "--domains", "a", "a", *run], "different names"),
        (["train", "pix2pix", pairs, "--steps", "0", *run], "steps is 0"),
        (["train", "pix2pix", pairs, "--batch-size", "0", *run], "batch_size is 0"),
        (["train", "pix2pix", pairs, "--lr", "nan", *run], "lr is nan"),
        (["train", "pix2pix", pairs, "--betas", "0.5", "2", *run], "betas is (0.5, 2.0)"),
        (["train", "pix2pix", pairs, "--seed", "-1", *run], "seed is -1"),
        (["train", "pix2pix", pairs, "--gradient-penalty", "-1", *run], "gradient_penalty is -1"),
        (["train", "cyclegan", unpaired, "--pool-size", "-1", *run], "pool_size is -1"),
        (["train", "pix2pix", pairs, "--device", "meta", *run], "'meta' can't be used here"),
        (["train", "pix2pix", pairs, "--import", wrong, *run], "wrong.py"),
        (["train", "pix2pix", pairs, "--run", wrong], "that is a file; give a folder"),
        (["train", "pix2pix", "--run", tmp_path / "run"], "which images?"),
        (["train", "pix2pix", pairs, pairs, pairs, *run], "3 data folders given"),
    ):
        assert expected in fails(capsys, *words), words
    assert not (tmp_path / "run").exists()


def test_wrong_use_of_translate(run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, out = pairs / "val" / "0.png", tmp_path / "out"
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"__metadata__":{}}'.ljust(16)[:16])
    (tmp_path / "nothing").mkdir()
    for words, expected in (
        ([], "missing: INPUT, OUTPUT, --model MODEL"),
        ([image, out, "--model", "sat2mapp"], "unknown model 'sat2mapp'"),
        ([image, out, "--model", text], "notes.txt is not an i2i model file"),
        ([image, out, "--model", other], "is not an i2i model file"),
        ([image, out, "--model", image], "is not an i2i model file"),
        ([image, out, "--model", tmp_path / "gone.safetensors"], "there is no such model file"),
        ([image, out, "--model", tmp_path / "nothing"], "no model.safetensors in this folder"),
        ([image, out, "--model", run, "--to", "fotos"], "did you mean 'photo'?"),
        ([tmp_path / "gone", out, "--model", run], "there is no such image or folder"),
        ([tmp_path / "nothing", out, "--model", run], "no images there"),
        ([text, out, "--model", run], "not an image"),
        ([pairs, tmp_path / "one.png", "--model", run], "is one file"),
        ([pairs, text, "--model", run], "is a file"),
        ([pairs / "val", pairs / "val", "--model", run], "written over itself"),
        ([image, out, "more", "--model", run], "'more' is one argument too many"),
        ([image, out, "--model", run, "--contact-sheet", "sheet"], "give an image file"),
        ([image, out, "--model", run, "--batch-size", "0"], "batch size 0"),
    ):
        assert expected in fails(capsys, "translate", *words), words
    assert not out.exists()


def test_training_never_writes_over_a_run(run: Path, pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (run / "model.safetensors").read_bytes()
    assert "holds a run already" in fails(capsys, "train", "pix2pix", pairs, "--run", run)
    assert "has done its 12 steps" in fails(capsys, "train", "pix2pix", pairs, "--run", run, "--resume")
    assert "is a run of pix2pix" in fails(capsys, "train", "cyclegan", pairs, "--run", run, "--resume")
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
    said = fails(capsys, "train", "pix2pix", pairs, "--run", tmp_path / "run", "--resume")
    assert "data: image_size is 'large'; it should be int" in said.replace(".image_size", ": image_size")


def test_translate_a_folder(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out, sheet = tmp_path / "in", tmp_path / "out", tmp_path / "sheet.png"
    sizes = {"a.png": (40, 30), "sub folder/b.jpg": (33, 47), "sub folder/ü.webp": (40, 30), "c.PNG": (40, 30)}
    for name, size in sizes.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size, (100, 150, 200)).save(source / name)
    (source / "broken.png").write_bytes(b"no image")
    (source / "notes.txt").write_text("no image")
    words = ["translate", str(source), str(out), "--model", str(run)]
    assert main([*words, "--contact-sheet", str(sheet)]) == 1
    said = capsys.readouterr()
    assert "broken.png: not an image that can be read" in said.err
    assert "4 translated to photo" in said.out
    assert "1 failed" in said.out
    found = [path for path in out.rglob("*") if path.is_file() and path.name != RECORD]
    assert {path.relative_to(out).as_posix(): size_of(path) for path in found} == sizes
    assert size_of(sheet)[0] > 5 * 256

    (source / "broken.png").unlink()
    (out / "a.png").write_bytes(b"kept")
    assert main(words) == 0
    assert "4 there already" in capsys.readouterr().out
    sheet.unlink()
    assert main([*words, "--contact-sheet", str(sheet)]) == 0
    assert size_of(sheet)[0] > 5 * 256
    assert (out / "a.png").read_bytes() == b"kept"
    assert main([*words, "--overwrite"]) == 0
    assert size_of(out / "a.png") == (40, 30)


def test_translate_a_glob_and_a_single_image(run: Path, pairs: Path, tmp_path: Path) -> None:
    assert main(["translate", f"{pairs}/**/1.png", str(tmp_path / "out"), "--model", str(run)]) == 0
    found = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert found == ["train/1.png", "val/1.png"]
    one = tmp_path / "new" / "one.jpg"
    assert main(["translate", str(pairs / "val" / "1.png"), str(one), "--model", str(run)]) == 0
    assert size_of(one) == (96, 48)


def test_evaluate_scores_the_held_out_pairs(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), str(pairs), "--json", str(tmp_path / "scores.json")]) == 0
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores["n"] == 3
    assert (scores["split"], scores["size"]) == ("held out", 32)
    differences = []
    for path in sorted((pairs / "val").iterdir()):
        both = Image.fromarray(read(path).pixels)
        drawing, photo = (resized(np.asarray(both.crop((x, 0, x + 48, 48))), 32) for x in (0, 48))
        Image.fromarray(drawing).save(tmp_path / "a.png")
        assert (
            main(["translate", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--model", str(run), "--overwrite"])
            == 0
        )
        differences.append(np.abs(read(tmp_path / "b.png").pixels - photo.astype(float)).mean())
    assert scores["scores"]["l1"]["value"] == pytest.approx(np.mean(differences))
    assert f"{scores['scores']['psnr']['value']:.4g}" in capsys.readouterr().out


def test_evaluate_takes_the_direction_of_the_training(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "pix2pix", str(pairs), "--swap", *SMALL, "--steps", "2", "--run", str(tmp_path / "run")]
    assert main([*words, "--domains", "drawing", "photo"]) == 0
    halves = f"input photo = right half, target drawing = left half of {pairs}"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"photo -> drawing: {halves}/train/*.png (6 pairs)"
    assert said[1] == "held out: 3 pairs; to train drawing -> photo instead, leave out --swap"
    assert load_model(tmp_path / "run" / "model.safetensors").domains == ("photo", "drawing")
    scores = {}
    for name, flags in (("as trained", []), ("turned", ["--swap"])):
        assert main(["evaluate", str(tmp_path / "run"), str(pairs), "--json", str(tmp_path / "s.json"), *flags]) == 0
        turned = f"input photo = left half, target drawing = right half of {pairs}"
        expected = f"photo -> drawing: {turned if flags else halves}/val/*.png (3 pairs)"
        assert capsys.readouterr().out.splitlines()[0] == expected
        scores[name] = json.loads((tmp_path / "s.json").read_text())["scores"]["l1"]["value"]
    # Far from anything yet, it gives grey: nearer to the grey-white drawings than to the dark photos, or farther.
    to_photo = np.mean([np.abs(127.5 - read(path).pixels[:, 48:].astype(float)).mean() for path in pairs.glob("val/*")])
    to_drawing = np.mean(
        [np.abs(127.5 - read(path).pixels[:, :48].astype(float)).mean() for path in pairs.glob("val/*")]
    )
    assert abs(scores["as trained"] - to_drawing) < abs(scores["as trained"] - to_photo)
    assert abs(scores["turned"] - to_photo) < abs(scores["turned"] - to_drawing)


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


def test_a_run_is_not_trained_on_in_the_other_direction(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(run)]
    assert main([*words, "--domains", "drawing", "photo", "--swap", "--steps", "1"]) == 0
    capsys.readouterr()
    assert "learns photo -> drawing, and its data now reads as drawing -> photo; add --swap to go on" in fails(
        capsys, *words, "--resume", "--no-swap", "--steps", "2"
    )
    # A run written when --domains named the input first.
    config = json.loads((run / "config.json").read_text())
    config["data"]["domains"] = ["photo", "drawing"]
    (run / "config.json").write_text(json.dumps(config))
    assert "add --domains drawing photo to go on" in fails(capsys, *words, "--resume", "--steps", "2")
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
    said = fails(capsys, "train", method, data, "--run", tmp_path / "run")
    assert "only held-out images (test), which are not trained on; put others in a folder train" in said
    assert not (tmp_path / "run").exists()


def test_images_that_cannot_be_read_are_named_before_training_and_scoring(
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
    assert "\n1 step (0.167 epochs of 6 images, 1 in a step) on cpu" in out
    assert main(["evaluate", str(run), str(data), "--device", "cpu"]) == 0
    for said in (out, capsys.readouterr().out):
        assert f"left out: {data / 'train' / 'photo.HEIC'}: HEIC images can't be read; convert them" in said
        assert f"left out: {data / 'val' / 'photo.avif'}: AVIF images can't be read; convert them" in said


def test_two_sets_report_both_numbers(unpaired: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--generator", "resnet:blocks=1,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    words = ["train", "cyclegan", str(unpaired), *small, "--image-size", "32", "--steps", "1"]
    assert main([*words, "--run", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out.splitlines()
    sides = f"input A = {unpaired}/trainA (5 images), target B = {unpaired}/trainB (4 images)"
    assert said[0] == f"A -> B: {sides}, unpaired"
    assert said[1] == "held out: 2 and 2 images"


def test_a_forged_or_damaged_model_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "forged.safetensors", {"format": FORMAT, "made_by": "somebody"})
    assert "a damaged model file" in fails(capsys, "info", tmp_path / "forged.safetensors")
    image = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(image)
    said = fails(capsys, "translate", image, tmp_path / "b.png", "--model", tmp_path / "forged.safetensors")
    assert "a damaged model file" in said


def test_a_image_too_large_for_the_device_is_named_and_the_others_are_done(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from i2i import Generator, Spec, Translator
    from i2i.inference.folder import convert
    from i2i.inference.planning import plan
    from i2i.model_file.model_file import Model

    class Small(Generator):
        """As a device short of memory: two images at once, or a large one, are too much."""

        def __init__(self) -> None:
            super().__init__()
            self.in_channels = self.out_channels = 3
            self.spec = Spec("small")

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if x.numel() > 3 * 10 * 10:
                raise torch.OutOfMemoryError("out of memory")
            return x

    for name, size in (("a", 10), ("b", 10), ("c", 20)):
        Image.new("RGB", (size, size), (1, 2, 3)).save(tmp_path / f"{name}.png")
    translator = Translator(Model({"a2b": Small()}, ("a", "b"), {}, {}, 0), device="cpu")
    result = convert(plan(str(tmp_path), tmp_path / "out"), translator, progress=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert result.failed == {tmp_path / "c.png": "can't be translated: out of memory"}


def test_info_and_models(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(run)]) == 0
    said = capsys.readouterr().out
    assert "drawing -> photo: unet:in_channels=3,out_channels=3,depth=4,width=4,norm=batch" in said
    assert "12 steps" in said
    assert main(["info", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["domains"] == ["drawing", "photo"]
    assert main(["models"]) == 0
    assert "map2sat" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["train"], ["train", "--help"], ["train", "-h"], ["help", "train"]])
def test_the_help_of_train_lists_every_method_and_what_it_learns_from(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split() for line in lines if line.startswith("  ") and "i2i" not in line}
    assert list(listed) == list(methods)
    for method, (_, data, *about) in listed.items():
        assert data == methods[method].data
        assert len(about) > 3
    assert len({" ".join(about) for about in listed.values()}) == len(methods), "a line of its own for each"
    assert max(map(len, lines)) <= 110


DRAWS = ["--generator", "mlp:latent=4,width=8", "--discriminator", "mlp:width=8,pieces=2", "--image-size", "8"]


@pytest.fixture(scope="module")
def shades(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single set of images of 12 pixels in two classes: train (4 each) and val (1 each)."""
    root = tmp_path_factory.mktemp("data") / "shades"
    for split, count in (("train", 4), ("val", 1)):
        for index, name in enumerate(("black", "white")):
            (root / split / name).mkdir(parents=True)
            for number in range(count):
                level = 200 * index + 10 * number
                Image.new("RGB", (12, 12), (level, level, level)).save(root / split / name / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def drawing(shades: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of gan with labels, 4 steps."""
    folder = tmp_path_factory.mktemp("runs") / "shades"
    words = ["train", "gan", str(shades), "--labels", *DRAWS, "--run", str(folder), "--batch-size", "4"]
    assert main([*words, "--steps", "4", "--log-every", "2", "--samples", "9"]) == 0
    return folder


def test_train_a_gan(drawing: Path, shades: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = [json.loads(line) for line in (drawing / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4]
    assert {"generator/adversarial", "discriminator/adversarial"} <= set(lines[-1])
    # Nine samples stand in two columns of real and of drawn ones.
    assert size_of(drawing / "samples" / "000004.png") == (4 + 4 * 12, 26 + 5 * 12)
    words = ["train", "gan", str(shades), *DRAWS, "--run", str(tmp_path / "run"), "--batch-size", "4", "--steps", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{shades}/train: a single set of 8 images\nheld out: 2 images\n")
    assert f"use it: i2i sample {tmp_path / 'run'} samples.png" in said
    assert main([*words[:-1], "3", "--resume"]) == 0
    # Without classes it draws a square of them.
    assert main(["sample", str(tmp_path / "run"), str(tmp_path / "drawn.png")]) == 0
    assert len(squares(tmp_path / "drawn.png", rows=8, columns=8)) == 8


def levels_of(path: Path) -> np.ndarray:
    return read(path).pixels.astype(int)


def squares(path: Path, *, rows: int, columns: int, size: int = 8) -> list[list[np.ndarray]]:
    """The images of a grid."""
    pixels, step = levels_of(path), size + 4
    assert pixels.shape == (26 + step * rows, 4 + step * columns, 3)
    starts = [[(26 + step * row, 4 + step * column) for column in range(columns)] for row in range(rows)]
    return [[pixels[top : top + size, left : left + size] for top, left in line] for line in starts]


def test_sample_to_a_file_and_to_a_folder(drawing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid, folder = tmp_path / "new" / "grid.png", tmp_path / "drawn"
    assert main(["sample", str(drawing), str(grid)]) == 0
    assert capsys.readouterr().out == f"{grid}: 16 images of 8 px\n"
    # Eight of each class, a column for each.
    shown = squares(grid, rows=8, columns=2)
    labelled = contact_sheet([[image.astype(np.uint8) for image in row] for row in shown], ["black", "white"])
    assert (labelled == levels_of(grid)).all()
    assert main(["sample", str(drawing), str(folder), "--count", "5"]) == 0
    assert capsys.readouterr().out == f"{folder}: 5 files of 8 px\n"
    assert sorted(path.name for path in folder.iterdir()) == [f"{number:05}.png" for number in range(1, 6)]
    for number in range(5):
        assert np.abs(levels_of(folder / f"{number + 1:05}.png") - shown[number // 2][number % 2]).max() <= 1
    assert main(["sample", str(drawing / "model.safetensors"), str(tmp_path / "other.png"), "--seed", "1"]) == 0
    assert not (levels_of(tmp_path / "other.png") == levels_of(grid)).all()
    (tmp_path / "odd.png").mkdir()
    assert main(["sample", str(drawing), str(tmp_path / "odd.png"), "--count", "1"]) == 0
    assert size_of(tmp_path / "odd.png" / "00001.png") == (8, 8)


def test_sample_one_label(drawing: Path, tmp_path: Path) -> None:
    for label in ("black", "white"):
        assert main(["sample", str(drawing), str(tmp_path / f"{label}.png"), "--label", label, "--count", "7"]) == 0
    # A square of images, the last row not full.
    black, white = (squares(tmp_path / f"{label}.png", rows=3, columns=3) for label in ("black", "white"))
    assert (black[2][1] == 255).all()
    assert not (black[2][0] == 255).all()
    assert main(["sample", str(drawing), str(tmp_path / "turn.png"), "--count", "2"]) == 0
    ((one, other),) = squares(tmp_path / "turn.png", rows=1, columns=2)
    assert np.abs(one - black[0][0]).max() <= 1
    assert np.abs(other - white[0][1]).max() <= 1
    assert np.abs(black[0][0] - white[0][0]).max() > 1


def test_sample_a_walk(drawing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    walk, folder = tmp_path / "walk.png", tmp_path / "steps"
    assert main(["sample", str(drawing), str(walk), "--walk", "4", "--label", "white"]) == 0
    assert "32 images" in capsys.readouterr().out
    walks = squares(walk, rows=8, columns=4)
    assert main(["sample", str(drawing), str(tmp_path / "ends.png"), "--count", "9", "--label", "white"]) == 0
    ends = [image for row in squares(tmp_path / "ends.png", rows=3, columns=3) for image in row]
    for index, row in enumerate(walks):
        assert np.abs(row[0] - ends[index]).max() <= 1
        assert np.abs(row[-1] - ends[index + 1]).max() <= 1
    assert main(["sample", str(drawing), str(folder), "--walk", "3", "--count", "2", "--label", "white"]) == 0
    assert len(list(folder.iterdir())) == 6
    assert np.abs(levels_of(folder / "00003.png") - ends[1]).max() <= 1
    assert np.abs(levels_of(folder / "00004.png") - ends[1]).max() <= 1


def test_wrong_use_of_sample(drawing: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, text = tmp_path / "out.png", tmp_path / "notes"
    text.write_text("hello")
    named = tmp_path / "00001.png"
    shutil.copy(drawing / "model.safetensors" if drawing.is_dir() else drawing, named)
    for words, expected in (
        ([], "missing: MODEL, OUT"),
        ([drawing], "missing: OUT"),
        ([named, named], "OUT would overwrite the input"),
        ([named, tmp_path, "--overwrite"], "OUT would overwrite the input"),
        ([drawing, tmp_path / "out.heic"], "give an image file for a grid"),
        ([run, out], "this model translates images; use it: i2i translate INPUT OUTPUT --model MODEL"),
        ([tmp_path / "gone", out], "there is no such model file"),
        (["eyess", out], "unknown model 'eyess'"),
        ([drawing, out, "--label", "wite"], "unknown class 'wite'; did you mean 'white'?"),
        ([drawing, out, "--count", "0"], "0 images; draw 1 or more"),
        ([drawing, out, "--count", "many"], "--count 'many': expected"),
        ([drawing, out, "--walk", "1"], "a walk of 1 steps; it has 2 or more"),
        ([drawing, out, "--walk", "3", "--count", "0"], "0 walks; ask for 1 or more"),
        ([drawing, out, "--wlak", "3"], "did you mean --walk?"),
        ([drawing, out, "more"], "'more' is one argument too many"),
        ([drawing, text], "notes: give an image file for a grid, such as samples.png, or a folder"),
        ([drawing, tmp_path / "out.gif"], "out.gif: give an image file for a grid"),
        ([drawing, out, "--device", "cuda:99"], "'cuda:99' can't be used here"),
    ):
        assert expected in fails(capsys, "sample", *words), words
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00001.png", "notes"]


def test_wrong_use_of_train_gan(shades: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--run", str(tmp_path / "run")]
    for words, expected in (
        (["gan", shades, shades / "train", *run], "give one folder, without --swap and --domains"),
        (["gan", shades, "--swap", *run], "give one folder, without --swap and --domains"),
        (["gan", pairs, "--labels", *run], "each of its folders is a class, and there are 0"),
        (["pix2pix", pairs, "--labels", *run], "labels are for a single set of images (gan); leave out --labels"),
        (["gan", shades, "--image-size", "48", *run], "'dcgan' needs 8, 16, 32, 64, 128 or 256; use --image-size 64"),
        (["gan", shades, "--generator", "unet", *run], "unknown latent generator 'unet'"),
        (["gan", shades, "--generator", "mlp:classes=3", *DRAWS[4:], *run], "classes=3, but here it must be 0"),
        (
            ["gan", shades, "--generator", "dcgan:width=1", "--batch-size", "1", *run],
            "one image at a time: batch norm has",
        ),
        (["bicyclegan", pairs, "--generator", "unet:norm=virtual", *run], "norm=virtual takes no latent"),
        (["bicyclegan", pairs, "--latent", "0", *run], "latent is 0"),
    ):
        assert expected in fails(capsys, "train", *words), words
    assert not (tmp_path / "run").exists()


def test_a_model_that_draws_is_none_that_translates(
    drawing: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "this model draws images from a latent; use it: i2i sample MODEL OUT"
    assert said in fails(capsys, "translate", pairs / "val" / "0.png", tmp_path / "out.png", "--model", drawing)
    assert said in fails(capsys, "evaluate", drawing, pairs)


def test_info_of_a_model_that_draws(drawing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(drawing)]) == 0
    said = capsys.readouterr().out
    assert "latent -> shades: mlp:out_channels=3,image_size=8,latent=4,width=8,layers=2,classes=2,norm=none" in said
    assert "trained with gan on shades, 4 steps, images of 8 px of black, white" in said
    assert f"use it: i2i sample {drawing} samples.png" in said
    assert main(["info", str(drawing), "--json"]) == 0
    header = json.loads(capsys.readouterr().out)
    assert header["preprocess"] == {
        "image_size": 8,
        "channels": [3, 3],
        "depths": [8, 8],
        "classes": ["black", "white"],
    }


@pytest.fixture(scope="module")
def choosing(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of bicyclegan, 3 steps, of which each latent gives an output of its own."""
    folder = tmp_path_factory.mktemp("runs") / "many"
    own = ["--encoder-width", "4", "--domains", "drawing", "photo", "--lr", "0.02", "--samples", "2"]
    discriminator = ["--discriminator", "patchgan:layers=1,width=4,scales=1"]
    words = ["train", "bicyclegan", str(pairs), "--run", str(folder), *SMALL, *discriminator, *own]
    assert main([*words, "--steps", "3", "--log-every", "3"]) == 0
    return folder


def test_train_bicyclegan_then_choose_among_its_outputs(
    choosing: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line, _ = [json.loads(line) for line in (choosing / "metrics.jsonl").read_text().splitlines()]
    terms = {"adversarial_reconstructed", "adversarial_sampled", "l1", "latent", "divergence"}
    assert {f"generator/{term}" for term in terms} <= set(line)
    # An input, its target, what that rebuilds, and three outputs of latents that were drawn.
    assert size_of(choosing / "samples" / "000003.png") == (4 + 6 * 36, 26 + 2 * 36)

    source, out, sheet = tmp_path / "in", tmp_path / "out", tmp_path / "sheet.png"
    source.mkdir()
    for name in ("x", "y"):
        Image.new("RGB", (32, 32), (100, 150, 200) if name == "x" else (200, 30, 90)).save(source / f"{name}.png")
    words = ["translate", str(source), "--model", str(choosing)]
    assert main([*words, str(out), "--samples", "3", "--contact-sheet", str(sheet)]) == 0
    assert "6 translated to photo" in capsys.readouterr().out
    names = [f"{name}-{number}.png" for name in "xy" for number in (0, 1, 2)]
    assert sorted(path.name for path in out.iterdir()) == [RECORD, *names]
    outputs = {name: levels_of(out / name) for name in names}
    assert np.abs(outputs["x-0.png"] - outputs["x-1.png"]).max() > 1
    # One input and its outputs in each row.
    assert size_of(sheet) == (4 + 4 * 260, 26 + 2 * 260)
    middles = levels_of(sheet)[26 + 128 :: 260, 4 + 128 :: 260]
    expected = [[(100, 150, 200), *range(3)], [(200, 30, 90), *range(3)]]
    assert [tuple(row[0]) for row in middles] == [row[0] for row in expected]

    # Each is that of a seed: by name, and as the first of others.
    assert main([*words, str(tmp_path / "two"), "--seed", "2"]) == 0
    assert np.abs(levels_of(tmp_path / "two" / "x.png") - outputs["x-2.png"]).max() <= 1
    assert main([*words, str(tmp_path / "later"), "--seed", "1", "--samples", "2"]) == 0
    assert np.abs(levels_of(tmp_path / "later" / "y-1.png") - outputs["y-1.png"]).max() <= 1
    assert main([*words, str(tmp_path / "plain")]) == 0
    assert np.abs(levels_of(tmp_path / "plain" / "y.png") - outputs["y-0.png"]).max() <= 1

    # What is there already is shown too.
    sheet.unlink()
    assert main([*words, str(out), "--samples", "3", "--contact-sheet", str(sheet)]) == 0
    assert "6 there already" in capsys.readouterr().out
    assert size_of(sheet) == (4 + 4 * 260, 26 + 2 * 260)


def test_samples_of_one_image_into_a_named_file(choosing: Path, pairs: Path, tmp_path: Path) -> None:
    words = ["translate", str(pairs / "val" / "0.png"), str(tmp_path / "one.webp"), "--model", str(choosing)]
    assert main([*words, "--samples", "2"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one-0.webp", "one-1.webp"]


def test_wrong_use_of_samples_and_seed(
    choosing: Path, run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [pairs / "val" / "0.png", tmp_path / "out", "--model"]
    for more, expected in (
        ([run, "--samples", "2"], "gives one output for an input; leave out --samples and --seed"),
        ([run, "--seed", "0"], "gives one output for an input; leave out --samples and --seed"),
        ([choosing, "--samples", "0"], "--samples 0: it is 1 or more"),
        ([choosing, "--samples", "few"], "--samples 'few': expected"),
    ):
        assert expected in fails(capsys, "translate", *words, *more), more
    assert not (tmp_path / "out").exists()


def test_info_of_a_model_with_many_outputs(choosing: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", str(choosing)]) == 0
    said = capsys.readouterr().out
    assert "drawing -> photo: unet:" in said
    assert "latent=8" in said
    assert f"use it: i2i translate INPUT OUTPUT --model {choosing} --samples 5" in said


def test_a_run_keeps_its_classes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert f"{out} was trained with cat, dog, and now the data has dog, zebra" in capsys.readouterr().err

    folder = tmp_path / "drawn"
    assert main(["sample", str(out), str(folder), "--count", "2"]) == 0
    assert main(["sample", str(out), str(folder), "--count", "3"]) == 2
    assert "00001.png is there already; choose another OUT, or add --overwrite" in capsys.readouterr().err
    assert sorted(path.name for path in folder.iterdir()) == ["00001.png", "00002.png"]
    assert main(["sample", str(out), str(folder), "--count", "3", "--overwrite"]) == 0
    assert len(list(folder.iterdir())) == 3
    assert main(["sample", str(out), str(tmp_path / "film.webm")]) == 2
    assert not (tmp_path / "film.webm").exists()
