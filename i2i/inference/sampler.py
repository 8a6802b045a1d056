"""Generate images with a model that takes only a latent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from i2i.device import isolated, pick_device
from i2i.errors import UsageError, setting, unknown
from i2i.images.arrays import to_pixels
from i2i.images.decoded import DecodedImage
from i2i.images.pillow import to_pil
from i2i.inference.loading import load_direction
from i2i.model_file import Model
from i2i.networks import LatentGenerator
from i2i.seeding import seeded

_DIRECTION = "z2b"


class Sampler:
    """A trained generator of images from latents; several threads may use it at once.

    Attributes:
        classes: names of the labels it was trained with; empty if there are none.
        image_size: height and width of its images, in pixels.
        generator: the network.

    Args:
        model: a loaded model file; see `Sampler.load`.
        device: `auto`, `cpu`, `cuda`, ...

    Raises:
        UsageError: the model translates images instead, its classes aren't those of its network, or there is no
            such device.
    """

    def __init__(self, model: Model, *, device: str = "auto") -> None:
        generator = model.generators[_direction_of(model.generators)]
        assert isinstance(generator, LatentGenerator)
        self.device = pick_device(device)
        with isolated(self.device):
            self.generator = generator.to(self.device).eval()
        self.classes: tuple[str, ...] = tuple(model.preprocess.get("classes", ()))
        self.image_size = generator.image_size
        if len(self.classes) != generator.classes:
            raise UsageError(f"this model names {len(self.classes)} classes, and its network has {generator.classes}")

    @classmethod
    def load(cls, model: str | Path, *, device: str = "auto") -> Sampler:
        """Load a model: a model file, a run's folder, or the name of a pretrained model.

        Raises:
            UsageError: there is no such model, it can't be read, or it translates images.
        """
        return cls(load_direction(model, lambda header: _direction_of(header["maps"])), device=device)

    def __call__(self, count: int = 1, *, seed: int = 0, label: str | None = None) -> list[Image.Image]:
        """Generate images; the same seed gives the same images, and a larger count adds to them.

        Args:
            count: number of images.
            seed: of the latents.
            label: name of the class to generate; by default all classes in turn.

        Raises:
            UsageError: there is no such class.
        """
        return self.draw(self.latents(count, seed=seed), label=label)

    def walk(self, count: int, steps: int, *, seed: int = 0, label: str | None = None) -> list[list[Image.Image]]:
        """Interpolate linearly from each of `count` latents to the next, in `steps` images, both ends included.

        Args:
            count: number of walks.
            steps: images of a walk, 2 or more.
            seed: of the latents.
            label: name of the class to generate; by default each walk has the next class.

        Raises:
            UsageError: there is no such class, fewer than 2 steps, or fewer than 1 walk.
        """
        if steps < 2:
            raise UsageError(f"a walk of {steps} steps; it needs 2 or more, both ends included")
        if count < 1:
            raise UsageError(f"{count} walks; ask for 1 or more")
        ends = self.latents(count + 1, seed=seed)
        weights = torch.linspace(0, 1, steps, dtype=torch.float32, device="cpu")
        walks = []
        for index in range(count):
            path = torch.stack([torch.lerp(ends[index], ends[index + 1], weight) for weight in weights])
            in_turn = self.classes[index % len(self.classes)] if self.classes else None
            walks.append(self.draw(path, label=label or in_turn))
        return walks

    def latents(self, count: int, *, seed: int = 0) -> Tensor:
        """Latents (count, latent) from the generator's prior, drawn with a seed.

        Raises:
            UsageError: the count is below 1, or the seed below 0.
        """
        if count < 1:
            raise UsageError(f"{count} images; ask for 1 or more")
        with isolated():
            return self.generator.draw(count, generator=seeded(seed))

    def draw(self, latents: Tensor, *, label: str | None = None, batch_size: int = 64) -> list[Image.Image]:
        """Generate the image of each latent (N, latent)."""
        with isolated(self.device):
            codes = torch.cat([latents, label_codes(len(latents), label, self.classes)], dim=1)
            drawn: list[Tensor] = []
            for batch in torch.split(codes, batch_size):
                drawn += self.generator(batch.to(self.device)).float()
            return [to_pil(DecodedImage(to_pixels(image))) for image in drawn]


def label_codes(count: int, label: str | None, classes: Sequence[str]) -> Tensor:
    """One-hot codes (count, classes) of a label, or of all classes in turn where none is given.

    Raises:
        UsageError: there is no such class.
    """
    if label is not None and not classes:
        raise UsageError(f"label {label!r}: this model was trained without {setting('labels')}")
    if label is not None and label not in classes:
        raise unknown("class", label, classes)
    if not classes:
        return torch.zeros(count, 0, dtype=torch.float32)
    indices: Sequence[int] = [classes.index(label)] * count if label else range(count)
    return F.one_hot(torch.tensor(indices) % len(classes), len(classes)).float()


def _direction_of(directions: Iterable[str]) -> str:
    if _DIRECTION not in directions:
        raise UsageError("this model translates images; use it with translate")
    return _DIRECTION
