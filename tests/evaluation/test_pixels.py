import numpy as np
import pytest

from i2i.errors import UsageError
from i2i.evaluation.pixels import check_grey_or_colour, pixels_of


def test_pixels_of_every_depth_are_scaled_to_255() -> None:
    for white in (np.uint8(255), np.uint16(65535), np.float32(1)):
        assert pixels_of(np.full((1, 1, 1), white))[0, 0, 0] == 255
    assert pixels_of(np.array([[[257]]], np.uint16))[0, 0, 0] == 1


def test_feature_networks_refuse_more_channels_than_colour() -> None:
    for channels in (1, 3):
        check_grey_or_colour(channels, requested_by="lpips")
    with pytest.raises(UsageError, match="lpips needs grey or colour images, and this model's have 4 channels"):
        check_grey_or_colour(4, requested_by="lpips")
