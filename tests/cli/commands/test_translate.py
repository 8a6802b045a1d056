"""`i2i translate` as a newcomer uses it, right and wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from i2i.cli import main
from i2i.inference.record import RECORD
from i2i.model_file import FORMAT
from support.commands import levels_of, refused_in_a_line, size_of


def test_wrong_use_of_translate(run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image, out = pairs / "val" / "0.png", tmp_path / "out"
    text = tmp_path / "notes.txt"
    text.write_text("hello")
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"__metadata__":{}}'.ljust(16)[:16])
    (tmp_path / "nothing").mkdir()
    for words, expected in (
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
        ([image, out, "more", "--model", run], "unexpected argument 'more'"),
        ([image, out, "--model", run, "--contact-sheet", "sheet"], "give an image file"),
        ([image, out, "--model", run, "--batch-size", "0"], "batch size 0"),
    ):
        assert expected in refused_in_a_line(capsys, "translate", *words), words
    assert not out.exists()


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


def test_a_forged_or_damaged_model_is_refused(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_file({"x": torch.zeros(1)}, tmp_path / "forged.safetensors", {"format": FORMAT, "made_by": "somebody"})
    assert "a damaged model file" in refused_in_a_line(capsys, "info", tmp_path / "forged.safetensors")
    image = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(image)
    said = refused_in_a_line(capsys, "translate", image, tmp_path / "b.png", "--model", tmp_path / "forged.safetensors")
    assert "a damaged model file" in said


def test_out_of_memory_in_one_image_fails_that_image_only(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from i2i import Generator, Spec, Translator
    from i2i.inference.folder import convert
    from i2i.inference.planning import plan
    from i2i.model_file import Model

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
    translator = Translator.from_model(Model({"a2b": Small()}, ("a", "b"), {}, {}, 0), device="cpu")
    result = convert(plan(str(tmp_path), tmp_path / "out"), translator, progress=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "b.png"]
    assert result.failed == {tmp_path / "c.png": "can't be translated: out of memory"}


def test_train_bicyclegan_then_translate_with_seeds(
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
        ([choosing, "--samples", "0"], "--samples 0: it must be 1 or more"),
    ):
        assert expected in refused_in_a_line(capsys, "translate", *words, *more), more
    assert not (tmp_path / "out").exists()


def test_a_latent_model_does_not_translate(
    drawing: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "this model generates images from a latent; use Sampler, or: i2i sample MODEL OUT"
    assert said in refused_in_a_line(
        capsys, "translate", pairs / "val" / "0.png", tmp_path / "out.png", "--model", drawing
    )
    assert said in refused_in_a_line(capsys, "evaluate", drawing, pairs)


def test_an_existing_output_file_is_refused_without_overwrite(
    run: Path, choosing: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "out.png"
    words = ["translate", str(pairs / "val" / "0.png"), str(output), "--model"]
    assert main([*words, str(run)]) == 0
    before = output.read_bytes()
    capsys.readouterr()
    for model in (run, choosing):  # nothing says which model made it
        text = refused_in_a_line(capsys, *words, model)
        assert text == f"{output} exists already; add --overwrite, or choose another OUTPUT"
    assert output.read_bytes() == before
    assert main([*words, str(choosing), "--overwrite"]) == 0
    assert output.read_bytes() != before

    assert main([*words, str(choosing), "--samples", "2"]) == 0
    capsys.readouterr()
    assert "out-1.png exists already" in refused_in_a_line(capsys, *words, choosing, "--samples", "2", "--seed", "1")


def test_a_format_that_cannot_be_written_is_refused_before_work(
    run: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("x.heic", "x.avif", "x.mp4"):
        text = refused_in_a_line(capsys, "translate", pairs, tmp_path / "out" / name, "--model", run)
        assert f"{name}: can't write that format; use one of" in text
    assert list(tmp_path.iterdir()) == []
