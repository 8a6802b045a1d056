"""Which direction of a model is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from i2i.errors import UsageError
from i2i.inference.loading import load_direction
from i2i.model_file import Model, save_model
from i2i.model_file.header import find_direction
from i2i.networks import build_generator

DOMAINS = ("map", "sat")


@pytest.mark.parametrize(
    ("directions", "to", "expected"),
    [
        (["a2b", "b2a"], None, "a2b"),
        (["b2a", "a2b"], None, "b2a"),
        (["a2b", "b2a"], "map", "b2a"),
        (["a2b", "b2a"], "sat", "a2b"),
        (["z2b", "a2b"], None, "a2b"),
    ],
)
def test_a_direction_is_found_by_its_target(directions: list[str], to: str | None, expected: str) -> None:
    assert find_direction(directions, DOMAINS, to) == expected


@pytest.mark.parametrize(
    ("directions", "to", "message"),
    [(["a2b"], "map", "unknown domain to translate to 'map'"), (["z2b"], None, "generates images from a latent")],
)
def test_no_such_direction(directions: list[str], to: str | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_direction(directions, DOMAINS, to)


def test_only_the_chosen_direction_is_loaded(tmp_path: Path) -> None:
    generators = {way: build_generator("unet:depth=2,width=4", in_channels=3, out_channels=3) for way in ("a2b", "b2a")}
    save_model(tmp_path / "both.safetensors", Model(generators, DOMAINS, {}, {}, 0))
    model = load_direction(tmp_path / "both.safetensors", lambda header: list(header["maps"])[1])
    assert list(model.generators) == ["b2a"]
