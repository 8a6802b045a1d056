"""`i2i evaluate`: which images are scored, in which direction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from i2i.cli import main
from i2i.data.resizing import resized
from i2i.images.reading import read
from i2i.model_file import load_model
from support.runs import SMALL


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
