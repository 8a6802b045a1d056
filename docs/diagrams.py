"""The drawings of the documentation as SVG; the same code gives the same text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from boxes import HEAD, LINE, Box, diagram, number


def step() -> str:
    """A training step."""
    boxes = {
        "batch": Box("image", "batch|a and b", 0, 0.5),
        "forward": Box("network", "forward", 1, 0.5),
        "images": Box("image", "Images|of the step", 2, 0.5),
        "d": Box("loss", "discriminator|_loss", 3, 0),
        "g": Box("loss", "generator|_loss", 3, 1),
        "od": Box("network", "optimizer of|discriminator", 4, 0),
        "og": Box("network", "optimizer of|generator", 4, 1),
    }
    return diagram(boxes, ["batch forward", "forward images", "images d", "images g", "d od", "g og"])


def gan() -> str:
    """A generator from noise."""
    boxes = {
        "z": Box("latent", "latent z", 0, 0),
        "G": Box("network", "generator G", 1, 0),
        "fake": Box("image", "G(z)", 2, 0),
        "real": Box("image", "real image x", 2, 1),
        "D": Box("network", "discriminator|D", 3, 0.5),
        "loss": Box("loss", "real or|generated?", 4, 0.5),
    }
    return diagram(boxes, ["z G", "G fake", "fake D", "real D", "D loss"])


def pix2pix() -> str:
    """A conditional GAN and L1."""
    boxes = {
        "x": Box("image", "input x", 0, 0),
        "G": Box("network", "generator G|U-Net", 1, 0),
        "fake": Box("image", "output G(x)", 2, 0),
        "y": Box("image", "target y", 2, 2),
        "l1": Box("loss", "100 · L1", 2, 1),
        "D": Box("network", "discriminator|D, 70 x 70 px", 3, 1),
        "x2": Box("image", "input x", 3, 0),
        "loss": Box("loss", "real or|generated pair?", 4, 1),
    }
    return diagram(boxes, ["x G", "G fake", "fake l1", "y l1", "fake D", "y D", "x2 D", "D loss"])


def pix2pixhd() -> str:
    """Coarse to fine, and three scales."""
    boxes = {
        "x": Box("image", "input x", 0, 1),
        "half": Box("network", "global|generator, 1/2", 1, 0),
        "G": Box("network", "local|enhancer", 1, 1),
        "fake": Box("image", "output G(x)", 2, 1),
        "d1": Box("network", "D₁: full size", 3, 0),
        "d2": Box("network", "D₂: 1/2", 3, 1),
        "d3": Box("network", "D₃: 1/4", 3, 2),
        "loss": Box("loss", "adversarial,|feature matching", 4, 1),
        "vgg": Box("loss", "VGG features|to the target", 2, 2),
    }
    arrows = ["x half", "x G", "half G", "G fake", "fake d1", "fake d2", "fake d3", "d1 loss", "d2 loss", "d3 loss"]
    return diagram(boxes, [*arrows, "fake vgg"])


def cyclegan() -> str:
    """Two cycles."""
    boxes: dict[str, Box] = {}
    arrows: list[str] = []
    for row, (a, b, forward, back) in enumerate((("a", "b", "G", "F"), ("b", "a", "F", "G"))):
        y = 2 * row
        boxes |= {
            f"in{row}": Box("image", f"real {a}", 0, y),
            f"there{row}": Box("network", f"generator {forward}", 1, y),
            f"fake{row}": Box("image", f"fake {b}: {forward}({a})", 2, y),
            f"back{row}": Box("network", f"generator {back}", 3, y),
            f"out{row}": Box("image", f"{back}({forward}({a}))", 4, y),
            f"D{row}": Box("network", f"D of {b.upper()}", 2, y + 1),
            f"adv{row}": Box("loss", "real or|generated?", 3, y + 1),
            f"cycle{row}": Box("loss", f"10 · L1 to {a}", 4, y + 1),
        }
        arrows += [f"in{row} there{row}", f"there{row} fake{row}", f"fake{row} back{row}", f"back{row} out{row}"]
        arrows += [f"fake{row} D{row}", f"D{row} adv{row}", f"out{row} cycle{row}"]
    return diagram(boxes, arrows)


def cut() -> str:
    """A contrast of patches."""
    boxes = {
        "x": Box("image", "input x", 0, 1),
        "G": Box("network", "generator G", 1, 0),
        "fake": Box("image", "output G(x)", 2, 0),
        "D": Box("network", "discriminator", 3, 0),
        "adv": Box("loss", "real or|generated?", 4, 0),
        "e1": Box("network", "encoder of G,|MLP", 2, 1),
        "e2": Box("network", "encoder of G,|MLP", 2, 2),
        "v": Box("latent", "patch v", 3, 1),
        "keys": Box("latent", "same patch v⁺,|others v⁻", 3, 2),
        "nce": Box("loss", "PatchNCE", 4, 1.5),
    }
    arrows = ["x G", "G fake", "fake D", "D adv", "fake e1", "x e2", "e1 v", "e2 keys", "v nce", "keys nce"]
    return diagram(boxes, arrows)


def simgan() -> str:
    """A refiner."""
    boxes = {
        "x": Box("image", "rendering x", 0, 0),
        "R": Box("network", "refiner R", 1, 0),
        "fake": Box("image", "refined R(x)", 2, 0),
        "pool": Box("image", "pool of older|R(x)", 3, 0),
        "D": Box("network", "discriminator,|by region", 4, 0.5),
        "real": Box("image", "real image", 3, 1),
        "loss": Box("loss", "real or|refined?", 5, 0.5),
        "self": Box("loss", "10 · L1 to x", 2, 1),
    }
    return diagram(boxes, ["x R", "R fake", "fake pool", "pool D", "real D", "D loss", "fake self"])


def bicyclegan() -> str:
    """Two cycles over a latent."""
    boxes = {
        "B": Box("image", "target B", 0, 0),
        "E": Box("network", "encoder E", 1, 0),
        "z": Box("latent", "z", 2, 0),
        "G": Box("network", "generator G", 3, 0),
        "B2": Box("image", "G(A, z)", 4, 0),
        "l1": Box("loss", "10 · L1 to B", 5, 0),
        "kl": Box("loss", "KL to N(0, 1)", 2, -1),
        "d1": Box("network", "discriminator", 4, -1),
        "A": Box("image", "input A", 3, 1),
        "n": Box("latent", "z of N(0, 1)", 0, 2),
        "G2": Box("network", "generator G", 3, 2),
        "fake": Box("image", "G(A, z)", 4, 2),
        "E2": Box("network", "encoder E", 5, 2),
        "l2": Box("loss", "0.5 · L1 to z", 5, 1),
        "d2": Box("network", "discriminator", 4, 3),
    }
    arrows = ["B E", "E z", "z G", "G B2", "B2 l1", "z kl", "B2 d1", "A G", "A G2", "n G2", "G2 fake", "fake E2"]
    return diagram(boxes, [*arrows, "E2 l2", "fake d2"])


def ian() -> str:
    """An encoder on the discriminator's trunk."""
    boxes = {
        "x": Box("image", "image x", 0, 0),
        "trunk": Box("network", "trunk", 1, 0),
        "head": Box("network", "layers to|latents", 2, 0),
        "z": Box("latent", "z", 3, 0),
        "G": Box("network", "decoder G", 4, 0),
        "x2": Box("image", "x̂ or G(z)", 5, 0),
        "n": Box("latent", "z of N(0, 1)", 3, 1),
        "loss": Box("loss", "real, recon-|structed, drawn", 1, 1),
        "l1": Box("loss", "L1 and features|to those of x", 5, 1),
        "kl": Box("loss", "KL to N(0, 1)", 2, 1),
    }
    return diagram(boxes, ["x trunk", "trunk head", "head z", "z G", "G x2", "n G", "trunk loss", "x2 l1", "head kl"])


def editing() -> str:
    """Projection, strokes, transfer."""
    boxes = {
        "photo": Box("image", "photograph", 0, 0),
        "P": Box("network", "encoder P,|then L-BFGS", 1, 0),
        "z0": Box("latent", "latent z₀", 2, 0),
        "adam": Box("network", "search near z₀", 3, 0),
        "z": Box("latent", "latent z", 4, 0),
        "G": Box("network", "generator G", 4, 1),
        "strokes": Box("loss", "strokes", 3, -1),
        "morph": Box("image", "images from|z₀ to z", 3, 1),
        "transfer": Box("network", "motion and|change of colour", 2, 1),
        "edited": Box("image", "edited|photograph", 1, 1),
    }
    arrows = ["photo P", "P z0", "z0 adam", "strokes adam", "adam z", "z G", "G morph", "morph transfer"]
    return diagram(boxes, [*arrows, "transfer edited"])


def distill() -> str:
    """A student and its teacher."""
    boxes = {
        "x": Box("image", "input x", 0, 1),
        "T": Box("network", "teacher T,|fixed", 1, 0),
        "Tx": Box("image", "T(x)", 2, 0),
        "S": Box("network", "student G,|narrow", 1, 2),
        "Sx": Box("image", "G(x)", 2, 2),
        "features": Box("loss", "features", 1, 1),
        "output": Box("loss", "L1", 2, 1),
        "D": Box("network", "discriminator", 3, 2),
        "adv": Box("loss", "real or|generated pair?", 4, 2),
    }
    arrows = ["x T", "x S", "T Tx", "S Sx", "T features", "S features", "Tx output", "Sx output", "Sx D", "D adv"]
    return diagram(boxes, arrows)


# What each package is for, and the packages that it imports; imports that follow from others are left out. A test
# compares them with the code.
PACKAGES: Mapping[str, tuple[str, Sequence[str]]] = {
    "cli": ("commands", ("training", "web")),
    "training": ("loop, checkpoints", ("methods", "evaluation", "report")),
    "web": ("server, page, API", ("editing",)),
    "methods": ("pix2pix, cut, ...", ("losses", "model_file", "pretrained")),
    "evaluation": ("scores", ("inference", "data")),
    "report": ("report.html", ()),
    "editing": ("strokes, transfer", ("inference",)),
    "inference": ("translator, tiles", ("model_file", "images", "pretrained")),
    "data": ("layouts, check", ("images",)),
    "losses": ("one file per loss", ("networks",)),
    "model_file": ("safetensors", ("networks",)),
    "images": ("bytes and pixels", ()),
    "networks": ("generators, ...", ()),
    "pretrained": ("Hub, downloads", ()),
}
PLACES = {
    "cli": (2.2, 0),
    "training": (1.3, 1),
    "web": (3.6, 1),
    "report": (0.2, 2),
    "methods": (1.3, 2),
    "evaluation": (2.4, 2),
    "editing": (3.6, 2),
    "inference": (3.6, 3),
    "losses": (0.6, 4.2),
    "model_file": (1.7, 4.2),
    "pretrained": (2.7, 5.2),
    "data": (2.5, 3),
    "images": (3.9, 4.2),
    "networks": (1.2, 5.2),
}


def imports() -> str:
    """The packages and their imports."""
    boxes = {name: Box("network", f"{name}|{note}", *PLACES[name]) for name, (note, _) in PACKAGES.items()}
    return diagram(boxes, [f"{a} {b}" for a, (_, others) in PACKAGES.items() for b in others], down=True)


def generator_costs() -> str:
    """Goodfellow 2016, fig. 16: what the generator minimises, as a function of D(G(z))."""
    curves: Sequence[tuple[str, str, Callable[[float], float]]] = (
        ("minimax", "#6f80dd", lambda d: math.log(1 - d)),
        ("non_saturating", "#00897b", lambda d: -math.log(d)),
        ("maximum_likelihood", "#e07b00", lambda d: -d / (1 - d)),
    )
    width, height, low, high = 560, 260, -5.0, 5.0

    def point(d: float, cost: float) -> str:
        return f"{number(40 + d * (width - 60))},{number(20 + (high - cost) / (high - low) * (height - 60))}"

    parts = [HEAD.format(width=width, height=height)]
    parts += [f'<polyline points="{point(0, 0)} {point(1, 0)}" stroke="{LINE}" fill="none"/>']
    parts += [f'<polyline points="{point(0, low)} {point(0, high)}" stroke="{LINE}" fill="none"/>']
    for index, (name, colour, cost) in enumerate(curves):
        xs = [n / 400 for n in range(1, 400)]
        points = " ".join(point(x, cost(x)) for x in xs if low <= cost(x) <= high)
        parts += [f'<polyline points="{points}" stroke="{colour}" stroke-width="2.5" fill="none"/>']
        parts += [f'<text x="{width - 170}" y="{30 + 20 * index}" fill="{colour}">{name}</text>']
    for text, x, y in (("0", 36, height - 18), ("1", width - 24, height - 18), ("D(G(z))", 260, height - 18)):
        parts += [f'<text x="{x}" y="{y}" fill="{LINE}">{text}</text>']
    parts += [f'<text x="24" y="{number(20 + (height - 60) / 2 + 5)}" fill="{LINE}">0</text>']
    return "\n".join([*parts, "</svg>", ""])


def logo() -> str:
    """Two overlapping images, one drawn and one filled."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 48 48">\n'
        '<rect x="4" y="4" width="27" height="27" rx="4" fill="none" stroke="#9fe3d9" stroke-width="3"/>\n'
        '<path d="M8 26l7-9 5 6 3-3 4 6" fill="none" stroke="#9fe3d9" stroke-width="2.5" stroke-linejoin="round"/>\n'
        '<rect x="17" y="17" width="27" height="27" rx="4" fill="#26a69a"/>\n'
        '<path d="M20 40l8-11 5 7 3-4 5 8z" fill="#ffffff"/><circle cx="37" cy="24" r="3" fill="#ffe082"/>\n</svg>\n'
    )


DRAWINGS: Mapping[str, Callable[[], str]] = {
    draw.__name__: draw
    for draw in (
        step, gan, pix2pix, pix2pixhd, cyclegan, cut, simgan, bicyclegan, ian, editing, distill, imports,
        generator_costs, logo,
    )
}  # fmt: skip
