import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor

from i2i.evaluation.bootstrap import Bootstrap
from i2i.evaluation.steganography import cycle_errors, cycle_scores
from i2i.images.tensors import to_tensor

PICTURE = to_tensor(astronaut()[:64, 150:214], 3)
COVER = to_tensor(astronaut()[200:264, 200:264], 3) * 0.9


def growth(errors: np.ndarray) -> float:
    return cycle_scores([errors], Bootstrap(5))["cycle_growth"].value


def test_an_honest_cycle_passes_on_what_jpeg_changes_and_no_more() -> None:
    errors = cycle_errors(PICTURE, -PICTURE, lambda fake: -fake)
    in_float, in_eight_bit, as_jpeg, changed = errors
    assert (in_float, in_eight_bit) == pytest.approx((0, 0), abs=1e-4)
    assert as_jpeg == pytest.approx(changed)
    assert 1 < changed < 10
    assert growth(errors) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("faintness", "survives"), [(0.05, True), (0.001, False)])
def test_an_input_hidden_in_another_image_is_found(faintness: float, survives: bool) -> None:
    def back(fake: Tensor) -> Tensor:
        return ((fake - COVER) / faintness).clamp(-1, 1)

    errors = cycle_errors(PICTURE, COVER + faintness * PICTURE, back)
    in_float, in_eight_bit, as_jpeg, changed = errors
    assert in_float < 0.1
    # By hand: rounding is off by up to half a level, evenly, a quarter on average, and the way back makes it larger.
    assert in_eight_bit == pytest.approx(0.25 / faintness, rel=0.25) if survives else in_eight_bit > 50
    assert as_jpeg > 10 * changed
    assert growth(errors) > 10


def test_what_jpeg_has_no_place_for_is_tested_in_eight_bit_alone() -> None:
    bands = torch.cat([PICTURE, PICTURE[:1]])
    errors = cycle_errors(bands, bands, lambda fake: fake + 2 / 255)
    assert errors[:2] == pytest.approx([1, 1], abs=1e-3)
    assert np.isnan(errors[2:]).all()
    assert list(cycle_scores([errors, errors], Bootstrap(5))) == ["cycle_l1_float", "cycle_l1_8bit"]


def test_grey_is_compressed_as_grey() -> None:
    grey = PICTURE.mean(0, keepdim=True)
    assert growth(cycle_errors(grey, grey, lambda fake: fake)) == pytest.approx(1, abs=1e-3)
