"""Findings about pairs whose images don't lie on each other."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import numpy as np

from i2i.data.check.alignment import CorrelationMap, Shift, common_shift, outliers, unrelated
from i2i.data.check.findings import DomainImages, FileGroup, Finding, counted, paths_of


def check_shifts(a: DomainImages, b: DomainImages, correlations: CorrelationMap) -> Iterable[Finding]:
    """Find a shift that all pairs share, pairs that are shifted against the others, and sets of unrelated pairs."""
    common = common_shift(correlations)
    if common and unrelated(correlations, common):
        message = f"the images of {a.domain} and {b.domain} don't seem to show the same things: their outlines differ"
        advice = "check whether the partners belong together; if not, train without pairs (cyclegan, cut)"
        yield Finding("unrelated", "warning", message, advice)
    if common is None or not common.clear:
        return
    width, height = (statistics.median(getattr(image, side) for image in b.images) for side in ("width", "height"))
    distance = np.hypot(common.right * width, common.down * height)
    # What is below a pixel at 256 x 256 is lost in training.
    if distance >= max(1.0, min(width, height) / 256) and distance >= 4 * common.error * max(width, height):
        message = (
            f"{b.domain} is shifted by {_in_words(common, width, height)} against {a.domain} in all pairs "
            f"(±{common.error * width:.1f}; the correlation peak is {common.clarity:.0f} times the spread)"
        )
        yield Finding("shift", "warning", message, f"shift {b.domain} back, or crop both so that they align")
    files = []
    for index, shift in outliers(correlations, common).items():
        image = b.images[index]
        relative = shift._replace(right=shift.right - common.right, down=shift.down - common.down)
        paths = paths_of((a.sources[index], b.sources[index]))
        files.append(FileGroup(paths, _in_words(relative, image.width, image.height)))
    if files:
        message = f"{counted(len(files), 'pair', 'is')} shifted unlike the others ({b.domain} against {a.domain})"
        yield Finding("outlier", "warning", message, "look at them; correct or remove them", tuple(files))


def _in_words(shift: Shift, width: float, height: float) -> str:
    right, down = shift.right * width, shift.down * height
    parts = [(right, "right", "left"), (down, "down", "up")]
    words = [f"{abs(by):.1f} pixels {plus if by > 0 else minus}" for by, plus, minus in parts if abs(by) >= 0.5]
    return " and ".join(words)
