import numpy as np
import pytest
import torch
from skimage.data import astronaut
from torch import Tensor

from i2i.evaluation.bootstrap import Bootstrap
from i2i.evaluation.steganography import cycle_errors, cycle_scores
from i2i.images.tensors import to_tensor

IMAGE = to_tensor(astronaut()[:64, 150:214], 3)
COVER = to_tensor(astronaut()[200:264, 200:264], 3) * 0.9


def growth(errors: np.ndarray) -> float:
    return cycle_scores([errors], Bootstrap(5))["cycle_growth"].value


def test_an_honest_cycle_grows_by_what_jpeg_changes() -> None:
    errors = cycle_errors(IMAGE, -IMAGE, lambda fake: -fake)
    in_float, in_eight_bit, as_jpeg, changed = errors
    assert (in_float, in_eight_bit) == pytest.approx((0, 0), abs=1e-4)
    assert as_jpeg == pytest.approx(changed)
    assert 1 < changed < 10
    assert growth(errors) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(("faintness", "survives"), [(0.05, True), (0.001, False)])
def test_an_input_hidden_in_another_image_is_detected(faintness: float, survives: bool) -> None:
    def back(fake: Tensor) -> Tensor:
        return ((fake - COVER) / faintness).clamp(-1, 1)

    errors = cycle_errors(IMAGE, COVER + faintness * IMAGE, back)
    in_float, in_eight_bit, as_jpeg, changed = errors
    assert in_float < 0.1
    # By hand: the rounding error is uniform up to 0.5, 0.25 on average, and the way back amplifies it.
    assert in_eight_bit == pytest.approx(0.25 / faintness, rel=0.25) if survives else in_eight_bit > 50
    assert as_jpeg > 10 * changed
    assert growth(errors) > 10


def test_images_that_jpeg_cannot_hold_are_scored_without_it() -> None:
    bands = torch.cat([IMAGE, IMAGE[:1]])
    errors = cycle_errors(bands, bands, lambda fake: fake + 2 / 255)
    assert errors[:2] == pytest.approx([1, 1], abs=1e-3)
    assert np.isnan(errors[2:]).all()
    assert list(cycle_scores([errors, errors], Bootstrap(5))) == ["cycle_l1_float", "cycle_l1_8bit"]


def test_grey_is_compressed_as_grey() -> None:
    grey = IMAGE.mean(0, keepdim=True)
    assert growth(cycle_errors(grey, grey, lambda fake: fake)) == pytest.approx(1, abs=1e-3)
