"""Draw the lines of photographs: pairs "line drawing | photo" to train sketch-to-photo on, from any folder of photos.

    python datasets/draw_lines.py photos data/sketches --method xdog --size 256 --validation 0.1 --seed 0

A drawing is dark lines on white, where the photo has edges at the scale of a pen. The same photos and settings give the
same files. Another seed holds out other photos; adding a photo leaves most of the others in their split.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from output import make_folder, make_parser
from tqdm import tqdm

from i2i.errors import ImageError
from i2i.images.decoded import DecodedImage, PixelArray, as_eight_bit
from i2i.images.formats import suffixes_in_words
from i2i.images.reading import images_in, read
from i2i.images.writing import write

Field = NDArray[np.float32]  # (H, W), one number for each pixel; (H, W, 2) x and y; (H, W, 3) RGB, 0 to 1


def draw_xdog(photo: Field, *, width: float, detail: float) -> Field:
    """Draw with a flow-based eXtended difference of Gaussians: lines that follow the edges, swell and taper.

    Source: Winnemoeller, Kyprianidis, Olsen 2012: a difference of Gaussians across the edge, smoothed along it, and
    their soft threshold, 1 + tanh(phi (u - epsilon)) under epsilon, 1 over it. Here p is without limit, so that dark
    fur stays paper and only lines are left; u is measured against the lines nearby, so that dim photos have lines too.

    Args:
        photo: (H, W, 3).
        width: of a line, in pixels.
        detail: 0 to 1; the larger, the fainter an edge may be and still get a line.

    Returns:
        (H, W), from 0, ink, to 1, paper.
    """
    photo = _quiet(photo, width, detail)
    along = _flow(photo, 1.6 * width)
    # An edge between two colours of one lightness is dark on one side in some channel.
    lines = _smooth_along(np.minimum(_across(photo, along, 0.45 * width).min(axis=-1), 0), along, 3.5 * width)
    power = cv2.GaussianBlur(lines * lines, (0, 0), 16 * width)
    u = lines / (np.sqrt(0.35 * power + 0.65 * power.mean()) + 0.002)
    epsilon = 0.65 * detail - 1
    drawing = np.where(u >= epsilon, 1, 1 + np.tanh(3 * (u - epsilon))).astype(np.float32)
    return _without_specks(drawing, 9 * width * width)


def draw_canny(photo: Field, *, width: float, detail: float) -> Field:
    """Draw Canny's edges: lines of one width. The thresholds are quantiles of the photo's own gradients.

    Source: Canny 1986. Arguments and result are those of `draw_xdog`.
    """
    photo = cv2.GaussianBlur(_quiet(photo, width, detail), (0, 0), 0.9 * width)
    dx, dy = _gradient(photo)
    steep = np.hypot(dx, dy)
    strongest = steep.argmax(axis=-1)[..., None]  # of the three channels
    dx, dy, steep = (np.take_along_axis(part, strongest, axis=-1)[..., 0] for part in (dx, dy, steep))
    high = max(float(np.quantile(steep, 0.97 - 0.16 * detail)), 0.015)
    unit = 16000 / max(float(steep.max()), high)
    whole = [np.rint(part * unit).astype(np.int16) for part in (dx, dy)]
    edges = cv2.Canny(*whole, 0.4 * high * unit, high * unit, L2gradient=True)
    edges = (_without_specks(1 - edges.astype(np.float32) / 255, 10 * width) < 0.5).astype(np.uint8)
    away = cv2.distanceTransform(1 - edges, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.clip(away - width / 2 + 0.5, 0, 1)


METHODS: dict[str, Callable[..., Field]] = {"xdog": draw_xdog, "canny": draw_canny}


def crop(image: DecodedImage, size: int) -> PixelArray:
    """The square in the middle at this size, (size, size, 3) uint8; what is transparent becomes white.

    Raises:
        ImageError: it is neither grey nor RGB.
    """
    if image.pixels.shape[-1] not in (1, 3):
        raise ImageError(f"an image of {image.pixels.shape[-1]} channels; expected grey or RGB")
    pixels = np.broadcast_to(as_eight_bit(image.pixels), (*image.pixels.shape[:2], 3))
    if image.alpha is not None:
        alpha = as_eight_bit(image.alpha)[..., None] / 255
        pixels = np.rint(pixels * alpha + 255 * (1 - alpha)).astype(np.uint8)
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA if side > size else cv2.INTER_CUBIC)


def names(paths: Sequence[Path]) -> list[str]:
    """A file name without suffix for each path, folders folded into it; none comes twice, in any case of letters."""
    taken: set[str] = set()
    result = []
    for path in paths:
        plain = name = "_".join(path.with_suffix("").parts)
        count = 1
        while name.casefold() in taken:
            count += 1
            name = f"{plain}-{count}"
        taken.add(name.casefold())
        result.append(name)
    return result


def held_out(paths: Sequence[Path], *, share: float, seed: int) -> set[Path]:
    """This share of the paths, drawn by their names; one at least where the share is not 0."""
    count = max(1, round(share * len(paths))) if share else 0
    return set(sorted(paths, key=lambda path: hashlib.sha256(f"{seed}/{path.as_posix()}".encode()).digest())[:count])


def _quiet(photo: Field, width: float, detail: float) -> Field:
    """Smooth fur, grass and grain, and keep the edges."""
    for _ in range(3):
        photo = cv2.bilateralFilter(photo, 0, 0.2 - 0.08 * detail, 1.8 * width)
    return photo


def _gradient(photo: Field) -> tuple[Field, Field]:
    """Derivatives to the right and down."""
    across = cv2.Sobel(photo, cv2.CV_32F, 1, 0, scale=1 / 8)
    return across, cv2.Sobel(photo, cv2.CV_32F, 0, 1, scale=1 / 8)


def _flow(photo: Field, reach: float) -> Field:
    """Which way the edges run, (H, W, 2) of unit length: across the steepest change, as a structure tensor has it."""
    dx, dy = _gradient(photo)
    xx, xy, yy = (
        cv2.GaussianBlur(part.sum(axis=-1), (0, 0), reach, borderType=cv2.BORDER_REFLECT)
        for part in (dx * dx, dx * dy, dy * dy)
    )
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def _across(photo: Field, along: Field, sigma: float) -> Field:
    """The difference of two Gaussians, of sigma and 1.6 sigma, on the line across the edge; negative in dark lines."""
    steps = np.arange(-int(np.ceil(4 * sigma)), int(np.ceil(4 * sigma)) + 1)
    near, far = (np.exp(-(steps**2) / (2 * s * s)) for s in (sigma, 1.6 * sigma))
    points, normal = _grid(photo.shape), np.stack([-along[..., 1], along[..., 0]], axis=-1)
    total = np.zeros_like(photo)
    for step, weight in zip(steps, near / near.sum() - far / far.sum(), strict=True):
        total += np.float32(weight) * _sample(photo, points + np.float32(step) * normal)
    return total


def _smooth_along(field: Field, along: Field, sigma: float) -> Field:
    """A Gaussian of sigma on the line that follows the edge from each pixel, both ways."""
    total, weights = field.copy(), 1.0
    for way in (1, -1):
        points, heading = _grid(field.shape), way * along
        for step in range(1, int(np.ceil(2 * sigma)) + 1):
            points = points + heading
            turn = _sample(along, points)
            back = (turn * heading).sum(axis=-1, keepdims=True) < 0  # the flow has no sign
            heading = np.where(back, -turn, turn)
            weight = float(np.exp(-(step**2) / (2 * sigma * sigma)))
            total += np.float32(weight) * _sample(field, points)
            weights += weight
    return total / np.float32(weights)


def _grid(shape: tuple[int, ...]) -> Field:
    """Coordinates of each pixel, (H, W, 2)."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    return np.stack([x, y], axis=-1)


def _sample(field: Field, points: Field) -> Field:
    return cv2.remap(field, points, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def _without_specks(drawing: Field, least: float) -> Field:
    """Remove connected pieces with less ink than this, counted in black pixels."""
    count, labels = cv2.connectedComponents((drawing < 0.9).astype(np.uint8), connectivity=8)
    ink = np.bincount(labels.ravel(), (1 - drawing).ravel(), count)
    return np.where((ink < least)[labels], np.float32(1), drawing)


def main(words: Sequence[str] | None = None) -> int:
    """Parse the arguments and draw every photo of a folder; return 1 where some can't be read, else 0."""
    parser = make_parser('Make pairs "line drawing | photo" from a folder of photographs.')
    parser.add_argument("photos", type=Path, help="folder of photographs; sub-folders are searched too")
    parser.add_argument("out", type=Path, help="output folder, new or empty; gets train and val")
    parser.add_argument(
        "--method", choices=sorted(METHODS), default="xdog", help="xdog: brush lines; canny: thin lines"
    )
    parser.add_argument("--size", type=int, default=256, help="width and height of each half, in pixels")
    parser.add_argument(
        "--line-width", type=float, help="in pixels; if left out, 1.5 at size 256 and in proportion at others"
    )
    parser.add_argument("--detail", type=float, default=0.5, help="0 to 1; larger values draw fainter edges too")
    parser.add_argument("--validation", type=float, default=0.1, help="share of the photos to hold out; 0 for none")
    parser.add_argument("--seed", type=int, default=0, help="random seed; a different seed holds out different photos")
    args = parser.parse_args(words)
    width = max(1, 1.5 * args.size / 256) if args.line_width is None else args.line_width
    if args.size < 16 or not 0 <= args.validation < 1 or args.seed < 0:
        parser.error(
            f"--size {args.size} --validation {args.validation} --seed {args.seed}: "
            "expected a size of 16 or more, a validation from 0 to less than 1 and a seed of 0 or more"
        )
    if not 0 <= args.detail <= 1 or not 0.5 <= width <= args.size / 8:
        parser.error(
            f"--line-width {width:g} --detail {args.detail}: "
            f"expected a line width from 0.5 to {args.size / 8:g} at this size, and a detail from 0 to 1"
        )
    if not args.photos.is_dir():
        parser.error(f"{args.photos}: there is no such folder")
    if args.out.resolve().is_relative_to(args.photos.resolve()):
        parser.error(f"{args.out}: it is inside {args.photos}, where the photos are; name a folder outside it")
    paths = [path.relative_to(args.photos) for path in images_in(args.photos)]
    if not paths:
        parser.error(f"{args.photos}: no images in it or its sub-folders; expected {suffixes_in_words()}")
    make_folder(parser, args.out)
    validation = held_out(paths, share=args.validation, seed=args.seed)
    failed = 0
    for path, name in zip(tqdm(paths, unit="photo"), names(paths), strict=True):
        try:
            photo = crop(read((args.photos / path).read_bytes()), args.size)
        except (ImageError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error).removeprefix("these bytes: ")
            tqdm.write(f"{args.photos / path}: {reason}", file=sys.stderr)
            failed += 1
            continue
        lines = METHODS[args.method](photo.astype(np.float32) / 255, width=width, detail=args.detail)
        drawing = np.rint(lines * 255).astype(np.uint8)[..., None].repeat(3, axis=-1)
        split = "val" if path in validation else "train"
        write(DecodedImage(np.concatenate([drawing, photo], axis=1)), args.out / split / f"{name}.png")
    if failed:
        print(f"{failed} of {len(paths)} images can't be read", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
