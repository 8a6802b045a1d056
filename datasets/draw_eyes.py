"""Draw eyes: renderings (A), and images as from a poor grey camera (B), which are not pairs, to train a refiner on.

    python datasets/draw_eyes.py data/eyes --count 2000 --test 400 --size 64 64 --seed 0

The task is that of Shrivastava et al. 2017 (SimGAN), with synthetic data only: gaze, iris and lids of both domains
come from one distribution, so that A and B differ in appearance alone, and `annotations.json` says where each iris is.
With --camera-only, lighting and texture are the same too, and B is what one camera sees: its lens, tone and noise. The
same seed draws the same files; a larger count only adds to them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from output import make_folder, make_parser
from PIL import Image
from tqdm import tqdm

Field = NDArray[np.float64]  # (H, W), one number for each pixel

LASH_SCALE = 4  # lashes are drawn this much larger, then averaged down


@dataclass(frozen=True)
class Eye:
    """Where everything is, in pixels, from the centre of the top left pixel; the lids are two arcs between corners."""

    middle: tuple[float, float]  # half-way between the corners
    reach: float  # from there to a corner
    tilt: float  # radians
    nose: int  # -1 or 1: on which side the inner corner is
    upper: float  # height of the upper lid over the line between the corners
    lower: float  # depth of the lower lid under it
    lean: float  # moves the highest point of the upper lid to the nose
    iris: tuple[float, float]
    radius: float
    pupil: float  # its radius

    def lid(self, t: Field, *, above: bool) -> Field:
        """Height of a lid at t, from -1 in one corner to 1 in the other; y points down."""
        arc = np.maximum(1 - t**2, 0)
        if above:
            return -self.upper * arc**0.85 * (1 + self.lean * self.nose * t)
        return self.lower * arc * (1 - 0.3 * self.nose * t)


@dataclass(frozen=True)
class EyeMap:
    """An eye measured at each pixel: distances in pixels, and the share of the pixel that is open eye (0 to 1)."""

    t: Field  # along the line between the corners: -1 and 1 are the corners
    over: Field  # how far above the upper lid, negative below it
    under: Field  # how far below the lower lid, negative above it
    open: Field  # between the lids
    out: Field  # distance from the centre of the iris
    angle: Field  # around the centre of the iris

    @classmethod
    def of(cls, eye: Eye, shape: tuple[int, int]) -> EyeMap:
        """Measure on an image of this height and width."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        x0, y0, cos, sin = x - eye.middle[0], y - eye.middle[1], np.cos(eye.tilt), np.sin(eye.tilt)
        t, v = (x0 * cos + y0 * sin) / eye.reach, y0 * cos - x0 * sin
        over, under = eye.lid(t, above=True) - v, v - eye.lid(t, above=False)
        opening = _inside(np.maximum(np.maximum(over, under) * 0.9, (np.abs(t) - 1) * eye.reach))
        x, y = x - eye.iris[0], y - eye.iris[1]
        return cls(t, over, under, opening, np.hypot(x, y), np.arctan2(y, x))


def draw_eye(shape: tuple[int, int], random: np.random.Generator) -> Eye:
    """An eye that shows its whole pupil and at least half of its iris."""
    height, width = shape
    unit = min(width, 1.55 * height)
    while True:
        reach = unit * random.uniform(0.36, 0.44)
        middle = (width / 2 - 0.5 + unit * random.normal(0, 0.02), height / 2 - 0.5 + unit * random.normal(0.02, 0.02))
        radius, gaze = reach * random.uniform(0.36, 0.47), random.uniform(-1, 1, 2)
        iris = (middle[0] + 0.42 * reach * gaze[0], middle[1] - 0.05 * reach + 0.2 * reach * gaze[1])
        eye = Eye(
            middle=middle,
            reach=reach,
            tilt=random.normal(0, 0.06),
            nose=int(random.choice((-1, 1))),
            upper=reach * (random.uniform(0.32, 0.56) - 0.07 * gaze[1]),
            lower=reach * random.uniform(0.2, 0.32),
            lean=random.uniform(0, 0.35),
            iris=iris,
            radius=radius,
            pupil=radius * random.uniform(0.3, 0.5),
        )
        parts = EyeMap.of(eye, shape)
        disc = _inside(parts.out - eye.radius)
        seen = (disc * parts.open).sum() / disc.sum()
        if seen >= 0.55 and parts.open[parts.out < eye.pupil + 0.7].min() > 0.98:
            return eye


def render(eye: Eye, shape: tuple[int, int], random: np.random.Generator) -> Field:
    """The renderer's image (A): the same kind of scene in even tones with hard edges, and the grain of a renderer."""
    parts = EyeMap.of(eye, shape)
    skin, white, iris = random.uniform(0.55, 0.8), random.uniform(0.86, 0.97), random.uniform(0.22, 0.5)
    ball = _blend(white, iris, _inside(parts.out - eye.radius))
    ball = _blend(ball, random.uniform(0.02, 0.08), _inside(parts.out - eye.pupil))
    image = _blend(skin * _skin(eye, parts, random), ball, parts.open)
    on_lid = np.abs(parts.t) < 1
    image = _blend(image, skin * 0.45, _inside(np.abs(parts.over) - 0.017 * eye.reach - 0.35) * on_lid)
    image = _blend(image, skin * 0.75, _inside(np.abs(parts.under) - 0.35) * on_lid)
    image = _glints(eye, parts, image * (1 - 0.9 * _lashes(eye, shape, random)), random, hard=True)
    return image * _falloff(shape, random) + random.uniform(0.02, 0.04) * random.normal(0, 1, shape)


def photograph(eye: Eye, shape: tuple[int, int], random: np.random.Generator) -> Field:
    """The camera's image (B): the same kind of scene, lit, textured, with lashes, then seen through a poor lens."""
    parts, reach = EyeMap.of(eye, shape), eye.reach
    skin = random.uniform(0.5, 0.72)
    ball = _blend(_eyeball(eye, parts, random), skin * 0.75, np.exp(-(((parts.t - eye.nose) / 0.12) ** 2)))
    shadow = np.exp(-np.maximum(-parts.over, 0) / (0.13 * reach))
    ball *= 1 - random.uniform(0.45, 0.7) * shadow
    image = _blend(skin * _skin(eye, parts, random), ball, parts.open)
    rim = np.exp(-((np.abs(parts.under) / (0.05 * reach)) ** 2)) * (np.abs(parts.t) < 1)
    image = _blend(image, skin * random.uniform(0.6, 0.9), 0.6 * rim)
    image = image * (1 - random.uniform(0.6, 0.9) * _lashes(eye, shape, random))
    return _camera(_glints(eye, parts, image, random), random)


def film(eye: Eye, shape: tuple[int, int], random: np.random.Generator) -> Field:
    """The easier camera's image (B): what the renderer draws, all of it seen through one poor lens."""
    return _camera(render(eye, shape, random), random, settings=np.random.default_rng(0))


def _eyeball(eye: Eye, parts: EyeMap, random: np.random.Generator) -> Field:
    """A round, shaded sclera; an iris with fibres, a dark limbus and a soft pupil."""
    shape, r = parts.t.shape, parts.out / eye.radius
    white = random.uniform(0.66, 0.85) * (1 - 0.35 * np.abs(parts.t) ** 2) + 0.03 * _clouds(shape, 0.06, random)
    waves = zip(random.integers(9, 40, 7), random.uniform(0, 2 * np.pi, 7), random.uniform(-1.5, 1.5, 7), strict=True)
    fibres = sum(np.sin(turns * parts.angle + phase + bend * r) for turns, phase, bend in waves) / 7
    tone = random.uniform(0.16, 0.42)
    collar = np.exp(-(((r - random.uniform(0.5, 0.62)) / 0.12) ** 2))
    lit = 0.25 * np.cos(parts.angle - random.uniform(0, 2 * np.pi)) * r
    iris = tone * (1 + random.uniform(0.35, 0.8) * fibres + 0.25 * collar + lit)
    iris *= 1 - random.uniform(0.4, 0.75) * np.clip((r - 0.72) / 0.28, 0, 1) ** 1.5
    ball = _blend(white, iris, np.clip((1.06 - r) / 0.16, 0, 1))
    return _blend(ball, random.uniform(0.03, 0.07), _inside((parts.out - eye.pupil) * 0.7))


def _skin(eye: Eye, parts: EyeMap, random: np.random.Generator) -> Field:
    """Light on the skin around an eye, about 1: a slope, the socket, the crease, the bag, the brow, pores."""
    shape, reach = parts.t.shape, eye.reach
    slope = random.uniform(-0.12, 0.12) * parts.t + random.uniform(-0.1, 0.1) * parts.over / reach
    near_nose = 0.28 * np.exp(-((parts.t - 1.15 * eye.nose) ** 2) / 0.16 - ((parts.over - 0.2 * reach) / reach) ** 2)
    fold = random.uniform(0.14, 0.26) * reach * (1 - 0.35 * parts.t**2)
    crease = random.uniform(0.15, 0.45) * np.exp(-(((parts.over - fold) / (0.055 * reach)) ** 2) - parts.t**4)
    ridge = 0.1 * np.exp(-(((parts.over - fold * 0.5) / (0.09 * reach)) ** 2) - parts.t**4)
    bag = random.uniform(0, 0.2) * np.exp(-(((parts.under - 0.33 * reach) / (0.1 * reach)) ** 2) - parts.t**2)
    socket = random.uniform(0, 0.25) * np.clip(parts.over / reach - 0.35, 0, 1)
    edge = random.uniform(0.75, 1.3) - 0.15 * parts.t**2 + 0.02 * _clouds(shape, 0.02, random)
    brow = random.uniform(0.25, 0.5) / (1 + np.exp(-(parts.over / reach - edge) / 0.07))
    brow *= 1 + 0.2 * cv2.GaussianBlur(_clouds(shape, 0.012, random), (0, 0), 0.1, sigmaY=0.03 * shape[0])
    texture = 0.025 * _clouds(shape, 0.015, random) + 0.04 * _clouds(shape, 0.09, random)
    return 1 + slope + ridge - near_nose - crease - bag - socket - brow + texture


def _lashes(eye: Eye, shape: tuple[int, int], random: np.random.Generator) -> Field:
    """Hairs that grow from both lids, and the dark edge of the upper one: how much of each pixel they cover."""
    large = np.zeros((shape[0] * LASH_SCALE, shape[1] * LASH_SCALE), np.uint8)
    turn = np.array([[np.cos(eye.tilt), np.sin(eye.tilt)], [-np.sin(eye.tilt), np.cos(eye.tilt)]])

    def line(points: NDArray[np.float64], width: float, shade: int) -> None:
        fixed = np.rint(((points @ turn + eye.middle + 0.5) * LASH_SCALE - 0.5) * 16).astype(np.int32)
        cv2.polylines(large, [fixed], False, shade, max(1, round(width * LASH_SCALE)), cv2.LINE_AA, 4)

    edge, reach = np.linspace(-0.98, 0.98, 30), eye.reach
    line(np.stack([edge * reach, eye.lid(edge, above=True)], axis=1), 0.05 * reach, 210)
    length, dense = reach * random.uniform(0.12, 0.28), random.uniform(0.6, 1)
    for above, many, long, up in ((True, int(44 * dense), 1.0, -1.0), (False, int(22 * dense), 0.5, 1.0)):
        for t in np.linspace(-0.85, 0.97, many) * -eye.nose + random.normal(0, 0.02, many):
            root = np.array([t * reach, eye.lid(t, above=above)])
            tip = np.array([t * 0.6 - 0.15 * eye.nose + random.normal(0, 0.14), up]) * length * long
            tip *= random.uniform(0.6, 1.1) * (0.75 - 0.25 * eye.nose * t)
            bow = root + tip * (0.62, 0.42)
            line(np.array([root, bow, root + tip]), 0.017 * reach, 210 if above else 110)
    return cv2.resize(large, shape[::-1], interpolation=cv2.INTER_AREA) / 255


def _glints(eye: Eye, parts: EyeMap, image: Field, random: np.random.Generator, *, hard: bool = False) -> Field:
    """One or two lamps mirrored in the cornea, as soft spots or as discs with an edge."""
    for _ in range(random.integers(1, 3)):
        way, far = random.uniform(np.pi, 2 * np.pi), eye.radius * random.uniform(0.3, 0.65)
        away = parts.out**2 + far**2 - 2 * far * parts.out * np.cos(parts.angle - way)  # squared
        size = eye.radius * random.uniform(0.1, 0.19)
        spot = _inside(np.sqrt(away) - size) if hard else np.exp(-((away / size**2) ** 2))
        image = image + random.uniform(0.5, 1.0) * spot * parts.open
    return image


def _camera(light: Field, random: np.random.Generator, *, settings: np.random.Generator | None = None) -> Field:
    """What a poor grey camera makes of the light: blur, dark corners, a tone curve of little contrast, noise.

    Each image has a camera of its own, or where `settings` are given the one that they draw.
    """
    height, width = light.shape
    lens = random if settings is None else settings
    image = cv2.GaussianBlur(light, (0, 0), max(height, width) / 64 * lens.uniform(0.55, 1.0))
    image = np.clip(image * _falloff(light.shape, lens) * lens.uniform(0.85, 1.15), 0, 1)
    image = lens.uniform(0.06, 0.14) + lens.uniform(0.62, 0.8) * image ** lens.uniform(0.75, 1.05)
    noise = random.normal(0, 1, light.shape) * np.sqrt(lens.uniform(0.008, 0.018) ** 2 + 0.0004 * image)
    return image + cv2.GaussianBlur(noise, (0, 0), 0.45)


def _falloff(shape: tuple[int, ...], random: np.random.Generator) -> Field:
    """Light that falls off towards the corners."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    return 1 - random.uniform(0.05, 0.2) * (x**2 + y**2)


def _clouds(shape: tuple[int, int], grain: float, random: np.random.Generator) -> Field:
    """Smooth noise of mean 0 and deviation 1; the grain is a fraction of the width."""
    field = cv2.GaussianBlur(random.normal(0, 1, shape), (0, 0), grain * shape[1])
    return (field - field.mean()) / field.std()


def _inside(distance: Field) -> Field:
    """How much of a pixel lies inside an edge that is this far away, negative inside."""
    return np.clip(0.5 - distance, 0, 1)


def _blend(under: Field | float, over: Field | float, cover: Field) -> Field:
    return under * (1 - cover) + over * cover


def main() -> None:
    """Parse the arguments, draw both domains, and write where each iris is."""
    parser = make_parser("Draw eyes: renderings (A), and images as from a poor grey camera (B), which are not pairs.")
    parser.add_argument(
        "folder", type=Path, help="output folder, new or empty; gets trainA, trainB, testA, testB and annotations.json"
    )
    parser.add_argument("--count", type=int, default=2000, help="training images of each domain")
    parser.add_argument("--test", type=int, default=400, help="held-out images of each domain; 0 for none")
    parser.add_argument(
        "--size",
        type=int,
        nargs=2,
        default=(64, 64),
        metavar=("HEIGHT", "WIDTH"),
        help="of the images, in pixels (default: 64 64)",
    )
    parser.add_argument(
        "--camera-only", action="store_true", help="draw the same scenes for A and B, and see B through one camera"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed; a different seed draws different eyes")
    args = parser.parse_args()
    if args.count < 1 or args.test < 0 or min(args.size) < 24 or args.seed < 0:
        parser.error(
            f"--count {args.count} --test {args.test} --size {args.size[0]} {args.size[1]} --seed {args.seed}: "
            "expected a count of 1 or more, a test and a seed of 0 or more, and a size of 24 24 or more"
        )
    make_folder(parser, args.folder)
    shape, annotations = tuple(args.size), {}
    real = film if args.camera_only else photograph
    sides = (("trainA", args.count), ("trainB", args.count), ("testA", args.test), ("testB", args.test))
    with tqdm(total=2 * (args.count + args.test), unit="eye") as progress:
        for number, (side, count) in enumerate(sides):
            if count:
                (args.folder / side).mkdir()
            for index in range(count):
                random = np.random.default_rng([args.seed, number, index])
                eye, name = draw_eye(shape, random), f"{side}/{index + 1:05d}.png"
                image = (render if side.endswith("A") else real)(eye, shape, random)
                grey = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
                Image.fromarray(grey).save(args.folder / name)
                centre = [round(float(coordinate), 2) for coordinate in eye.iris]
                annotations[name] = {"centre": centre, "radius": round(float(eye.radius), 2)}
                progress.update()
    (args.folder / "annotations.json").write_text(json.dumps(annotations, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
