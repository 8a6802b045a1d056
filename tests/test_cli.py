"""The command line as a newcomer uses it, right and wrong."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL
from PIL import Image
from safetensors.torch import save_file

from i2i.checkpoint import FORMAT
from i2i.cli import main
from i2i.data.transforms import resized
from i2i.picture import read


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


@pytest.mark.parametrize("command", [["train", "pix2pix"], ["train", "cyclegan"], ["translate"], ["info"], ["models"]])
def test_every_command_explains_its_flags(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([*command, "--help"])
    assert not stopped.value.code
    assert "usage: i2i" in capsys.readouterr().out


def test_train_without_a_method_lists_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"]) == 0
    assert "cyclegan, pix2pix" in capsys.readouterr().out


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
        (["train", pairs, "pix2pix"], "unknown method"),
        (["train", "--steps", "4", "pix2pix", pairs], "the method comes first"),
        (["train", "pix2pix"], "which pictures?"),
        (["train", "pix2pix", tmp_path / "nowhere", *run], "nowhere: there is no such folder"),
        (["train", "pix2pix", pairs / "train" / "0.png", *run], "not a folder"),
        (["train", "pix2pix", empty, *run], "no images in this folder"),
        (["train", "cyclegan", one_sided, *run], "there is trainA but no trainB"),
        (["train", "pix2pix", unpaired, *run], "no partner of the same name"),
        (["train", "pix2pix", pairs, "--stesp", "4", *run], "did you mean --steps?"),
        (["train", "pix2pix", pairs, "--steps", "many", *run], "--steps 'many': expected INT"),
        (["train", "pix2pix", pairs, "--steps", *run], "Missing value for argument '--steps'"),
        (["train", "pix2pix", pairs, "--adversarial", "hing", *run], "Expected one of"),
        (["train", "pix2pix", pairs, "--adversarial", "hinge", "--real-label", "0.9", *run], "no target to smooth"),
        (["train", "pix2pix", pairs, "--image-size", "250", *run], "'unet:depth=8' needs a multiple of 256; use 256"),
        (
            ["train", "pix2pix", pairs, "--image-size", "30", "--generator", "resnet", *run],
            "a multiple of 4; use 32",
        ),
        (["train", "pix2pix", pairs, "--image-size", "16", *run], "needs 24 pixels or more"),
        (["train", "pix2pix", pairs, "--load-size", "64", *run], "load size 64 is below image size 256"),
        (["train", "pix2pix", pairs, "--generator", "unett", *run], "unknown generator 'unett'; did you mean 'unet'?"),
        (["train", "pix2pix", pairs, "--generator", "unet:dept=7", *run], "did you mean 'depth'?"),
        (["train", "pix2pix", pairs, "--generator", "unet:depth=deep", *run], "depth=deep should be a whole number"),
        (["train", "pix2pix", pairs, "--device", "cuda:99", *run], "'cuda:99' can't be used here"),
        (["train", "pix2pix", pairs, "--import", "no_such_module", *run], "no module of that name"),
        (["train", "pix2pix", pairs, "--resume", *run], "there is no run to go on with"),
        (["train", "pix2pix", pairs, "--domains", "a", *run], "--domains 'a': expected STR STR"),
        (["train", "pix2pix", pairs, "--domains", "a", "a", *run], "different names"),
        (["train", "pix2pix", pairs, "--steps", "0", *run], "steps is 0"),
        (["train", "pix2pix", pairs, "--batch-size", "0", *run], "batch_size is 0"),
        (["train", "pix2pix", pairs, "--lr", "nan", *run], "lr is nan"),
        (["train", "pix2pix", pairs, "--betas", "0.5", "2", *run], "betas is (0.5, 2.0)"),
        (["train", "pix2pix", pairs, "--seed", "-1", *run], "seed is -1"),
        (["train", "pix2pix", pairs, "--gradient-penalty", "-1", *run], "gradient_penalty is -1"),
        (["train", "cyclegan", unpaired, "--history", "-1", *run], "history is -1"),
        (["train", "pix2pix", pairs, "--device", "meta", *run], "'meta' can't be used here"),
        (["train", "pix2pix", pairs, "--import", wrong, *run], "wrong.py"),
        (["train", "pix2pix", pairs, "--run", wrong], "that is a file; give a folder"),
        (["train", "pix2pix", "--run", tmp_path / "run"], "which pictures?"),
        (["train", "pix2pix", pairs, pairs, pairs, *run], "3 data folders given"),
    ):
        assert expected in fails(capsys, *words), words
    assert not (tmp_path / "run").exists()


def test_wrong_use_of_translate(run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture, out = pairs / "val" / "0.png", tmp_path / "out"
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"__metadata__":{}}'.ljust(16)[:16])
    (tmp_path / "nothing").mkdir()
    for words, expected in (
        ([], "missing: INPUT, OUTPUT, --model STR"),
        ([picture, out, "--model", "sat2mapp"], "unknown model 'sat2mapp'"),
        ([picture, out, "--model", text], "notes.txt is not an i2i model file"),
        ([picture, out, "--model", other], "is not an i2i model file"),
        ([picture, out, "--model", picture], "is not an i2i model file"),
        ([picture, out, "--model", tmp_path / "gone.safetensors"], "there is no such model file"),
        ([picture, out, "--model", tmp_path / "nothing"], "no model.safetensors in this folder"),
        ([picture, out, "--model", run, "--to", "fotos"], "did you mean 'photo'?"),
        ([tmp_path / "gone", out, "--model", run], "there is no such image or folder"),
        ([tmp_path / "nothing", out, "--model", run], "no images there"),
        ([text, out, "--model", run], "not an image"),
        ([pairs, tmp_path / "one.png", "--model", run], "is one file"),
        ([pairs, text, "--model", run], "is a file"),
        ([pairs / "val", pairs / "val", "--model", run], "written over itself"),
        ([picture, out, "more", "--model", run], "'more' is one argument too many"),
        ([picture, out, "--model", run, "--contact-sheet", "sheet"], "give an image file"),
        ([picture, out, "--model", run, "--batch-size", "0"], "batch size 0"),
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
    assert [json.loads(line)["step"] for line in lines] == [2, 3]
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
    (source / "broken.png").write_bytes(b"no picture")
    (source / "notes.txt").write_text("no picture")
    words = ["translate", str(source), str(out), "--model", str(run)]
    assert main([*words, "--contact-sheet", str(sheet)]) == 1
    said = capsys.readouterr()
    assert "broken.png: not an image that can be read" in said.err
    assert "4 translated to photo" in said.out
    assert "1 failed" in said.out
    written = {path.relative_to(out).as_posix(): size_of(path) for path in out.rglob("*") if path.is_file()}
    assert written == sizes
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
        both = Image.fromarray(read(path).levels)
        drawing, photo = (resized(np.asarray(both.crop((x, 0, x + 48, 48))), 32) for x in (0, 48))
        Image.fromarray(drawing).save(tmp_path / "a.png")
        assert (
            main(["translate", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--model", str(run), "--overwrite"])
            == 0
        )
        differences.append(np.abs(read(tmp_path / "b.png").levels - photo.astype(float)).mean())
    assert scores["l1"] == pytest.approx(np.mean(differences))
    assert f"{scores['psnr']:.4f}" in capsys.readouterr().out


def test_evaluate_takes_the_direction_of_the_training(
    pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["train", "pix2pix", str(pairs), "--swap", *SMALL, "--steps", "2", "--run", str(tmp_path / "run")]
    assert main([*words, "--domains", "photo", "drawing"]) == 0
    capsys.readouterr()
    scores = {}
    for name, flags in (("as trained", []), ("turned", ["--swap"])):
        assert main(["evaluate", str(tmp_path / "run"), str(pairs), "--json", str(tmp_path / "s.json"), *flags]) == 0
        assert "photo -> drawing" in capsys.readouterr().out
        scores[name] = json.loads((tmp_path / "s.json").read_text())["l1"]
    # Far from anything yet, it gives grey: nearer to the grey-white drawings than to the dark photos, or farther.
    to_photo = np.mean([np.abs(127.5 - read(path).levels[:, 48:].astype(float)).mean() for path in pairs.glob("val/*")])
    to_drawing = np.mean(
        [np.abs(127.5 - read(path).levels[:, :48].astype(float)).mean() for path in pairs.glob("val/*")]
    )
    assert abs(scores["as trained"] - to_drawing) < abs(scores["as trained"] - to_photo)
    assert abs(scores["turned"] - to_photo) < abs(scores["turned"] - to_drawing)


def test_a_forged_or_damaged_model_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "forged.safetensors", {"format": FORMAT, "made_by": "somebody"})
    assert "a damaged model file" in fails(capsys, "info", tmp_path / "forged.safetensors")
    picture = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(picture)
    said = fails(capsys, "translate", picture, tmp_path / "b.png", "--model", tmp_path / "forged.safetensors")
    assert "a damaged model file" in said


def test_a_picture_too_large_for_the_device_is_named_and_the_others_are_done(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from i2i import Generator, Spec, Translator
    from i2i.checkpoint import Model
    from i2i.convert import convert, plan

    class Small(Generator):
        """As a device short of memory: two pictures at once, or a large one, are too much."""

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
