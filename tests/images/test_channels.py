"""Grey, 16-bit, transparent and multi-channel images from training to scores, through the command line."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.images.decoded import DecodedImage
from i2i.images.reading import read
from i2i.model_file import read_header
from support.images import made, noise
from support.runs import SMALL

STEPS = ["--steps", "2", "--samples", "2", "--sample-every", "2"]


@dataclass(frozen=True)
class Kind:
    """A kind of file: its suffix, channels beside alpha, depth, and which of the images have alpha."""

    suffix: str
    channels: int
    depth: Any = np.uint8
    alpha: str = "none"

    def image(self, seed: int, height: int = 40, width: int = 40) -> DecodedImage:
        opacity = noise(height, width, dtype=self.depth, seed=seed + 100)
        has_alpha = self.alpha == "all" or (self.alpha == "mixed" and seed % 2 == 1)
        pixels = noise(height, width, self.channels, dtype=self.depth, seed=seed)
        return DecodedImage(pixels, opacity if has_alpha else None)


GREY, RGB, DEEP = Kind(".png", 1), Kind(".png", 3), Kind(".png", 3, np.uint16)
RGBA = Kind(".png", 3, alpha="mixed")

# What goes in, what is wanted, --channels, and the kind of what a translation gives.
CASES = {
    "colour to grey": (RGB, GREY, (3, 1), GREY),
    "grey to colour in a TIFF": (Kind(".tif", 1), Kind(".tif", 3), (1, 3), Kind(".tif", 3)),
    "8 to 16 bit grey": (GREY, Kind(".tif", 1, np.uint16), (1, 1), Kind(".png", 1, np.uint16)),
    "16 to 8 bit": (DEEP, RGB, (3, 3), DEEP),
    "four bands to colour": (Kind(".tif", 4), RGB, (4, 3), Kind(".tif", 3)),
    "alpha in both, deep": (
        replace(DEEP, alpha="all"),
        replace(DEEP, alpha="mixed"),
        (4, 4),
        replace(DEEP, alpha="all"),
    ),
    "alpha in one": (RGB, RGBA, (3, 4), replace(RGB, alpha="all")),
    "grey with alpha": (
        replace(GREY, alpha="mixed"),
        replace(GREY, alpha="all"),
        (2, 2),
        replace(GREY, alpha="all"),
    ),
    "six deep bands to five": (Kind(".npy", 6, np.uint16), Kind(".tif", 5), (6, 5), Kind(".npy", 5, np.uint16)),
    "floats": (Kind(".tif", 1, np.float32), Kind(".tif", 3, np.float32), (1, 3), Kind(".tif", 3, np.float32)),
    "floats of an array": (Kind(".npy", 2, np.float32), Kind(".npy", 1), (2, 1), Kind(".npy", 1, np.float32)),
}


def folders(root: Path, a: Kind, b: Kind, *, train: int = 3) -> list[str]:
    """Two folders of pairs: train and val (2)."""
    for name, kind in (("a", a), ("b", b)):
        for split, count in (("train", train), ("val", 2)):
            (root / name / split).mkdir(parents=True)
            for seed in range(count):
                data = made(kind.image(seed + 10 * (name == "b")), kind.suffix)
                (root / name / split / f"{seed}{kind.suffix}").write_bytes(data)
    return [str(root / "a"), str(root / "b")]


def bits(kind: Kind) -> int:
    return 8 * np.dtype(kind.depth).itemsize


@pytest.mark.parametrize("name", CASES)
def test_train_translate_and_evaluate(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a, b, channels, expected = CASES[name]
    data, run = folders(tmp_path / "data", a, b), tmp_path / "run"
    words = ["train", "pix2pix", *data, "--run", str(run), *SMALL, *STEPS, "--channels", *map(str, channels)]
    assert main([*words, "--augment", "flip", "rotate90", "affine", "colour"]) == 0

    # What the model file remembers.
    header = read_header(run / "model.safetensors")
    assert header["preprocess"]["channels"] == list(channels)
    assert header["preprocess"]["depths"] == [bits(a), bits(b)]
    spec = f"in_channels={channels[0]},out_channels={channels[1]},"
    assert main(["info", str(run)]) == 0
    assert spec in capsys.readouterr().out

    for grid in (run / "samples").iterdir():
        with Image.open(grid) as image:
            image.load()
            assert (image.format, image.mode) == ("PNG", "RGB")
            # Two rows of three images of 32 pixels under captions.
            assert image.size == (4 + 3 * 36, 26 + 2 * 36)
    assert len(list((run / "samples").iterdir())) == 2

    out = tmp_path / "out"
    assert main(["translate", str(tmp_path / "data/a/val"), str(out), "--model", str(run), "--device", "cpu"]) == 0
    for seed in range(2):
        result = read(out / f"{seed}{expected.suffix}")
        assert (result.pixels.shape, result.pixels.dtype) == ((40, 40, expected.channels), expected.depth)
        assert (result.alpha is not None) == (expected.alpha == "all")
        assert result.pixels.std() > 0

    scores = tmp_path / "scores.json"
    assert main(["evaluate", str(run), *data, "--json", str(scores), "--device", "cpu"]) == 0
    found = json.loads(scores.read_text())
    assert (found["n"], found["size"]) == (2, 32)
    # Noise against an untrained network's near-grey: about a quarter of the range apart, and alike in nothing.
    said = capsys.readouterr().out.lower()
    l1, ssim = (float(re.findall(rf"^ *{score}\b.*?  +([-\d.]+)", said, re.MULTILINE)[0]) for score in ("l1", "ssim"))
    assert 10 < l1 < 100
    assert -0.3 < ssim < 0.5


# Each alone is among the tests of transforms, with every kind of pixels.
@pytest.mark.parametrize(
    ("kind", "augment"),
    [
        (Kind(".npy", 6), "vertical_flip"),
        (Kind(".tif", 13, np.float32), "affine"),
        (Kind(".png", 1, np.uint16), "colour"),
        (replace(DEEP, alpha="all"), "rotate90"),
    ],
)
def test_every_kind_is_augmented(tmp_path: Path, kind: Kind, augment: str) -> None:
    data = folders(tmp_path / "data", kind, kind, train=2)
    count = str(kind.channels + (kind.alpha != "none"))
    words = ["train", "pix2pix", *data, "--run", str(tmp_path / "run"), *SMALL, "--channels", count, count]
    assert main([*words, "--steps", "2", "--samples", "1", "--augment", augment]) == 0
    assert (tmp_path / "run" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    ("kind", "channels"),
    [(Kind(".npy", 6), 6), (Kind(".tif", 5, np.uint16), 5), (Kind(".tif", 4), 4), (Kind(".tif", 1, np.float32), 1)],
)
def test_halves_of_a_file_may_have_any_channels(
    tmp_path: Path, kind: Kind, channels: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for split in ("train", "val"):
        (tmp_path / "data" / split).mkdir(parents=True)
        for seed in range(2):
            data = made(kind.image(seed, 32, 64), kind.suffix)
            (tmp_path / "data" / split / f"{seed}{kind.suffix}").write_bytes(data)
    run, count = tmp_path / "run", str(channels)
    words = ["train", "pix2pix", str(tmp_path / "data"), "--run", str(run), *SMALL, *STEPS, "--channels", count, count]
    assert main(words) == 0
    assert "input A = left half, target B = right half of" in capsys.readouterr().out
    assert main(["evaluate", str(run), str(tmp_path / "data"), "--device", "cpu"]) == 0
    assert read_header(run / "model.safetensors")["preprocess"]["channels"] == [channels, channels]


@pytest.mark.parametrize(
    ("a", "b", "channels", "wrong"),
    [
        (Kind(".tif", 4), RGB, (), ("a/", 4, 3)),
        (RGB, Kind(".npy", 6), (), ("b/", 6, 3)),
        (Kind(".npy", 6), RGB, ("5", "3"), ("a/", 6, 5)),
        (Kind(".tif", 2), RGB, ("1", "3"), ("a/", 2, 1)),
        (RGB, Kind(".tif", 13), ("3", "4"), ("b/", 13, 4)),
    ],
)
def test_wrong_channels_name_a_file_and_what_to_type(
    tmp_path: Path,
    a: Kind,
    b: Kind,
    channels: tuple[str, ...],
    wrong: tuple[str, int, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = folders(tmp_path / "data", a, b)
    flags = ["--channels", *channels] if channels else []
    assert main(["train", "pix2pix", *data, "--run", str(tmp_path / "run"), *SMALL, *STEPS, *flags]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("i2i: ")]
    where, given, needed = wrong
    assert f"data/{where}" in line
    assert f"an image of {given} channels where {needed} are needed" in line
    assert "--channels" in line
    assert not (tmp_path / "run" / "model.safetensors").exists()


@pytest.mark.parametrize("channels", ["0", "-1", "100000", "three"])
def test_invalid_channels_are_refused(tmp_path: Path, channels: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = folders(tmp_path / "data", RGB, RGB, train=1)
    words = ["train", "pix2pix", *data, "--run", str(tmp_path / "run"), *SMALL, "--channels", channels, "3"]
    assert main(words) == 2
    assert "channels" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_image_of_other_channels_than_a_model_takes_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    six = Kind(".npy", 6)
    data, run = folders(tmp_path / "data", six, six, train=1), tmp_path / "run"
    assert main(["train", "pix2pix", *data, "--run", str(run), *SMALL, *STEPS, "--channels", "6", "6"]) == 0
    capsys.readouterr()
    (tmp_path / "data/a/val/five.npy").write_bytes(made(Kind(".npy", 5).image(0), ".npy"))
    (tmp_path / "data/a/val/rgb.png").write_bytes(made(RGB.image(0), ".png"))
    out = tmp_path / "out"
    assert main(["translate", str(tmp_path / "data/a/val"), str(out), "--model", str(run), "--device", "cpu"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("i2i: ")]
    assert sorted(path.name for path in out.glob("[!.]*")) == ["0.npy", "1.npy"]
    for name, given in (("five.npy", 5), ("rgb.png", 3)):
        (line,) = [line for line in lines if name in line]
        assert f"an image of {given} channels where 6 are needed" in line
    # It gives six, for which a PNG has no place.
    words = ["translate", str(tmp_path / "data/a/val/0.npy"), str(tmp_path / "png"), "--format", "png"]
    assert main([*words, "--model", str(run), "--device", "cpu"]) == 1
    assert "use .tif or .npy" in capsys.readouterr().err


def test_other_channels_that_join_a_finished_run_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, run = folders(tmp_path / "data", GREY, RGB, train=1), tmp_path / "run"
    words = ["train", "pix2pix", *data, "--run", str(run), *SMALL, "--samples", "1", "--channels", "1", "3"]
    assert main([*words, "--steps", "1"]) == 0
    resumed = ["train", "pix2pix", "--run", str(run), "--resume", "--steps", "2"]
    assert main([*resumed, "--channels", "3", "3"]) == 2
    assert "channels" in capsys.readouterr().err
    assert main(resumed) == 0
    assert read_header(run / "model.safetensors")["preprocess"]["channels"] == [1, 3]


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp", "npy"])
def test_every_format_is_written_as_it_is_named(run: Path, tmp_path: Path, suffix: str) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    for name in ("a.png", "b.jpg", "c.tif", "d.gif"):
        (source / name).write_bytes(made(RGB.image(0), f".{name[2:]}"))
    assert main(["translate", str(source), str(out), "--model", str(run), "--format", suffix]) == 0
    assert sorted(path.name for path in out.glob("[!.]*")) == [f"{name}.{suffix}" for name in "abcd"]
    starts = {
        "png": b"\x89PNG",
        "jpg": b"\xff\xd8\xff",
        "webp": b"RIFF",
        "tif": b"II*",
        "bmp": b"BM",
        "npy": b"\x93NUMPY",
    }
    for path in out.glob("[!.]*"):
        assert path.read_bytes().startswith(starts[suffix])
        assert read(path).pixels.shape == (40, 40, 3)


def test_a_higher_quality_is_a_larger_file(run: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(made(RGB.image(0), ".png"))
    sizes = []
    for quality in ("5", "60", "95", "100"):
        words = ["translate", str(tmp_path / "x.png"), str(tmp_path / f"{quality}.jpg"), "--model", str(run)]
        assert main([*words, "--quality", quality]) == 0
        sizes.append((tmp_path / f"{quality}.jpg").stat().st_size)
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("flag", [["--quality", "0"], ["--quality", "101"], ["--max-megapixels", "0"]])
def test_settings_out_of_range_are_refused(
    run: Path, tmp_path: Path, flag: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.png").write_bytes(made(RGB.image(0), ".png"))
    assert main(["translate", str(tmp_path / "x.png"), str(tmp_path / "out"), "--model", str(run), *flag]) == 2
    assert f"{flag[0]} {flag[1]}: it must be" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_images_that_would_become_one_file_are_refused_with_both_names(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "in"
    source.mkdir()
    for name in ("x.png", "x.jpg"):
        (source / name).write_bytes(made(RGB.image(0), Path(name).suffix))
    assert main(["translate", str(source), str(tmp_path / "out"), "--model", str(run), "--format", "tif"]) == 2
    said = capsys.readouterr().err
    assert all(str(source / name) in said for name in ("x.png", "x.jpg"))
    assert not (tmp_path / "out").exists()
