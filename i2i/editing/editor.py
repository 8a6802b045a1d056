"""What apps import to edit photographs: project, draw, choose, morph, and carry the edit back to the photograph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from i2i.device import isolated, pick_device
from i2i.editing.constraints import Constraints
from i2i.editing.latent_space import LatentSpace
from i2i.editing.projection import optimise, reconstruction_error
from i2i.editing.strokes import Stroke
from i2i.editing.transfer import Pixels, blend_edit, transfer_edit
from i2i.errors import UsageError, setting
from i2i.images.adapters import adapt
from i2i.images.array_adapters import ImageAdapter
from i2i.images.arrays import to_pixels
from i2i.images.decoded import DecodedImage
from i2i.images.inputs import ImageLike
from i2i.images.pillow import to_pil
from i2i.inference.sampler import label_codes
from i2i.model_file import Model, load_model, read_header
from i2i.networks import LatentEncoder, LatentGenerator
from i2i.plugins import load_plugins
from i2i.pretrained import model_file
from i2i.seeding import seeded

Projection: TypeAlias = Literal["hybrid", "optimise", "network"]

ITERATIONS = 40  # of `apply`
_LR, _BETAS = 0.1, (0.5, 0.999)
_TRANSFER_FRAMES = 8


class Candidate(NamedTuple):
    """An image that fits the strokes.

    Attributes:
        image: the image.
        cost: how far it is from what the strokes ask, and from the image before; lower is better.
        code: what the generator makes it from, (1, length).
    """

    image: Image.Image
    cost: float
    code: Tensor


class Editor:
    """Edits images on the manifold of a generator from a latent (Zhu et al. 2016, iGAN; Brock et al. 2016).

    Methods change the editor, which one thread may use at a time.

    Args:
        model: a loaded model file with a latent generator, and an encoder for the fast start of projections.
        label: the class to stay in, where the model has classes; the first unless given.
        device: `auto`, `cpu`, `cuda`, ...

    Attributes:
        image_size: height and width of the images, in pixels.
        candidates: the images that fit the strokes, best first; see `apply`.

    Raises:
        UsageError: the model generates no images from latents, or there is no such label or device.
    """

    def __init__(self, model: Model, *, label: str | None = None, device: str = "auto") -> None:
        generator = model.generators.get("z2b")
        if not isinstance(generator, LatentGenerator):
            raise UsageError("this model has no images to edit on; use one that i2i train gan or ian has made")
        encoder = model.generators.get("b2z")
        self.device = pick_device(device)
        with isolated(self.device):
            self._encoder = encoder.to(self.device) if isinstance(encoder, LatentEncoder) else None
            code = label_codes(1, label, tuple(model.preprocess.get("classes", ())))
            self._space = LatentSpace(generator.to(self.device), code.to(self.device))
        self.image_size, self._channels = generator.image_size, generator.out_channels
        self._start: Tensor | None = None
        self._code: Tensor | None = None
        self._photo: ImageLike | None = None
        self.candidates: list[Candidate] = []
        self._constraints = Constraints.none(self._channels, self.image_size)

    @classmethod
    def load(cls, model: str | Path, *, label: str | None = None, device: str = "auto") -> Editor:
        """Load a model: the name of a pretrained model, a model file, or a run's folder.

        Raises:
            UsageError: there is no such model, it can't be read, or as for `Editor`.
        """
        load_plugins()
        file = model_file(model)
        directions = {"z2b", "b2z"} & read_header(file)["maps"].keys()
        if "z2b" not in directions:
            raise UsageError(f"{model} translates images; edit with a model that i2i train gan or ian has made")
        return cls(load_model(file, directions=directions), label=label, device=device)

    @property
    def image(self) -> Image.Image:
        """The present image, `image_size` pixels high and wide."""
        with self._computing():
            return self._pictures(self._current())[0]

    def sample(self, *, seed: int = 0) -> Image.Image:
        """Start from a generated image in place of a photograph."""
        with self._computing():
            self._begin(self._space.random(1, seeded(seed)), photo=None)
        return self.image

    def project(
        self, photo: ImageLike, *, by: Projection | None = None, evaluations: int = 100, seed: int = 0
    ) -> Image.Image:
        """Start from the generated image that is nearest to a photograph (Zhu et al. 2016, sec. 3).

        Args:
            photo: an image of any size, as `translate()` takes it; it is resized to `image_size`.
            by: `network`: the encoder's guess; `optimise`: by gradients from a random image; `hybrid`: by gradients
                from the guess. Hybrid unless given, or optimise where the model has no encoder.
            evaluations: of the generator and its gradient, at most.
            seed: of the random image.

        Raises:
            ImageError: the photograph can't be read.
            UsageError: the model has no encoder for this way.
        """
        by = by or ("hybrid" if self._encoder else "optimise")
        if by != "optimise" and self._encoder is None:
            raise UsageError(
                f"this model has no encoder, which {setting('by', by)} needs; use {setting('by', 'optimise')}"
            )
        with self._computing():
            target = self._target(photo)
            if self._encoder is not None and by != "optimise":
                with torch.no_grad():
                    start = self._space.code(self._encoder(target))
            else:
                start = self._space.random(1, seeded(seed))
            code = start if by == "network" else optimise(self._space, target, start, evaluations=evaluations)
            self._begin(code, photo=photo)
        return self.image

    def error(self, photo: ImageLike) -> float:
        """The mean squared difference of the present image from a photograph, in [-1, 1] squared."""
        with self._computing(), torch.no_grad():
            images = self._space.images(self._current())
            return float(reconstruction_error(images, self._target(photo)))

    def apply(
        self,
        *strokes: Stroke,
        iterations: int = ITERATIONS,
        count: int = 16,
        keep: int = 8,
        smoothness: float = 5.0,
        seed: int = 0,
    ) -> list[Candidate]:
        """Find images that fit the strokes so far and these, near the present image; the best becomes the present one.

        Source: Zhu et al. 2016, sec. 4.1, as in its code: Adam, learning rate 0.1, from `count` codes around the
        present one.

        Args:
            strokes: `ColourStroke`, `SketchStroke`, `WarpStroke`.
            iterations: steps of Adam.
            count: starting points.
            keep: candidates to return, at most.
            smoothness: weight of the distance from the present code.
            seed: of the starting points; the same seed gives the same candidates.

        Returns:
            The candidates, best first.

        Raises:
            UsageError: no photograph or sample to start from, or a number below 1.
        """
        if min(iterations, count, keep) < 1:
            raise UsageError("iterations, count and keep must be 1 or more")
        with self._computing():
            present = self._current()
            with torch.no_grad():
                image = self._space.images(present)
            self._constraints = self._constraints.with_strokes(strokes, image)
            constraints = self._constraints.to(self.device)
            free = self._space.free(self._space.around(present, count, seeded(seed))).requires_grad_()

            def costs() -> Tensor:
                codes = self._space.bound(free)
                return constraints.cost(self._space.images(codes)) + smoothness * (codes - present).square().mean(1)

            optimizer = torch.optim.Adam([free], lr=_LR, betas=_BETAS)
            for _ in range(iterations):
                optimizer.zero_grad(set_to_none=True)
                costs().sum().backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            with torch.no_grad():
                found = costs()
                order = found.argsort(stable=True)[:keep]
                codes = self._space.bound(free)[order]
                pictures = self._pictures(codes)
            self.candidates = [
                Candidate(picture, float(cost), code[None])
                for picture, cost, code in zip(pictures, found[order], codes, strict=True)
            ]
            self._code = self.candidates[0].code
        return self.candidates

    def choose(self, index: int) -> Image.Image:
        """Make a candidate the present image.

        Raises:
            UsageError: there is no such candidate.
        """
        if not 0 <= index < len(self.candidates):
            raise UsageError(f"candidate {index}: there are {len(self.candidates)}, counted from 0")
        self._code = self.candidates[index].code
        return self.candidates[index].image

    def fix(self) -> None:
        """Keep the present image, and forget the strokes that led to it."""
        self.candidates = []
        self._constraints = Constraints.none(self._channels, self.image_size)

    def restart(self) -> None:
        """Go back to the projection, or the sample, and forget all strokes."""
        if self._start is not None:
            self._code = self._start
        self.fix()

    def morph(self, count: int = 16) -> list[Image.Image]:
        """Images on the way from the projection to the present image, both included.

        Raises:
            UsageError: nothing to start from, or fewer than 2 images.
        """
        if count < 2:
            raise UsageError(f"a morph of {count} images; it needs 2 or more, both ends included")
        with self._computing(), torch.no_grad():
            return self._pictures(self._way(count))

    def transfer(self, photo: ImageLike | None = None) -> Any:
        """Carry the edit over to the photograph, by motion and colour, so that its details stay.

        Args:
            photo: the one that was projected, unless given; of any size.

        Returns:
            The edited photograph, of the type that came in.

        Raises:
            UsageError: there is no photograph.
        """
        with self._computing(), torch.no_grad():
            frames = [_to_array(image) for image in self._space.images(self._way(_TRANSFER_FRAMES))]
        return self._edited(photo, lambda pixels: transfer_edit(pixels, frames))

    def blend(self, photo: ImageLike | None = None) -> Any:
        """Show the present image where it differs from the projection, and the photograph elsewhere; see `transfer`."""
        with self._computing(), torch.no_grad():
            before, after = (_to_array(image) for image in self._space.images(self._way(2)))
        return self._edited(photo, lambda pixels: blend_edit(pixels, before, after))

    def _edited(self, photo: ImageLike | None, change: Any) -> Any:
        photo = self._photo if photo is None else photo
        if photo is None:
            raise UsageError("there is no photograph to edit; project one, or give it")
        with isolated():
            adapter = adapt(photo, channels=self._channels)
            changed = np.stack([change(_to_array(image)) for image in _read(adapter)])
            adapter.write(torch.from_numpy(changed).permute(0, 3, 1, 2), top=0, left=0)
            return adapter.result()

    def _begin(self, code: Tensor, *, photo: ImageLike | None) -> None:
        self._start = self._code = code.detach()
        self._photo = photo
        self.fix()

    def _current(self) -> Tensor:
        if self._code is None:
            raise UsageError("there is nothing to edit yet; project a photograph, or take a sample")
        return self._code

    def _way(self, count: int) -> Tensor:
        present = self._current()
        assert self._start is not None
        weights = torch.linspace(0, 1, count, dtype=torch.float32, device=self.device)[:, None]
        return torch.lerp(self._start, present, weights)

    def _target(self, photo: ImageLike) -> Tensor:
        pixels = _read(adapt(photo, channels=self._channels))[:1]
        size = (self.image_size, self.image_size)
        return F.interpolate(pixels, size, mode="bicubic", antialias=True).clamp(-1, 1).to(self.device)

    def _pictures(self, codes: Tensor) -> list[Image.Image]:
        with torch.no_grad():
            return [to_pil(DecodedImage(to_pixels(image.float()))) for image in self._space.images(codes)]

    @contextmanager
    def _computing(self) -> Iterator[None]:
        with isolated(self.device), torch.enable_grad():
            yield


def _read(adapter: ImageAdapter) -> Tensor:
    rows, columns = (np.arange(side) for side in adapter.shape[1:])
    return torch.as_tensor(adapter.read(rows, columns))


def _to_array(image: Tensor) -> Pixels:
    return np.ascontiguousarray(image.detach().cpu().permute(1, 2, 0).numpy(), dtype=np.float32)
