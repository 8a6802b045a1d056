"""The types that type checkers infer for a translation. mypy checks this file with the package; nothing runs it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from typing_extensions import assert_type

from i2i import Translator, translate


def types_of_results(one: Translator, levels: NDArray[np.uint8], tensor: Tensor) -> None:
    assert_type(one(Path("a.png")), Image.Image)
    assert_type(one(b""), Image.Image)
    assert_type(one(io.BytesIO()), Image.Image)
    assert_type(one(Image.new("L", (4, 4)), tile=64), Image.Image)
    assert_type(one("a.png", samples=2), list[Image.Image])
    assert_type(one(levels), NDArray[Any])
    assert_type(one(levels, samples=2, seed=1), list[NDArray[Any]])
    assert_type(one(tensor, value_range=(-1, 1)), Tensor)
    assert_type(translate("a.png", "model", to="b"), Image.Image)
    assert_type(translate(bytearray(), one, samples=2), list[Image.Image])
    assert_type(translate(levels, one), NDArray[Any])
    assert_type(translate(tensor, one, samples=2), list[Tensor])
    assert_type(one.batch(["a.png", "b.png"]), Iterator[Image.Image])
    assert_type(one.batch([levels]), Iterator[NDArray[Any]])
    assert_type(one.batch([tensor]), Iterator[Tensor])


def calls_that_no_overload_takes(one: Translator, levels: NDArray[np.uint8]) -> None:
    # --strict reports an ignored error that isn't there.
    one([levels])  # type: ignore[call-overload]
    one(levels, samples="2")  # type: ignore[call-overload]
