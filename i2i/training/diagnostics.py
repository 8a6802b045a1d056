"""Diagnostics of adversarial training: silent failures, and what to try."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from i2i.errors import setting

_WINS = 0.995  # fake_accuracy above which the discriminator wins completely
_FLAT = 0.02  # standard deviation of pixels in [-1, 1] below which an image is a single colour
_INVERTED = -0.3  # correlation of brightness between input and output
_LINES = 5  # log lines in a row that must agree, so that chance is not reported
_SKIPPED = 50  # steps in a row; a loss scale that is still being found skips up to 20
_EXPLODED = 1000  # times the first value of a term, or times 1 where that was less
_SATURATED = 0.99  # share of values at -1 or 1
_PATIENCE = 3  # validations without a better score
_STATE = ("winning_since", "flat", "inverted", "saturated", "begun", "scores", "said")  # in a checkpoint


class Diagnosis(NamedTuple):
    """A warning about a run, and what to try; both may name settings (`i2i.errors.setting`)."""

    warning: str
    advice: str


class Diagnostics:
    """Watches the metrics and validations of a run; gives each warning once.

    Args:
        domains: names of a and b.
        unpaired: whether input and output should be alike in brightness.
        inversion_advice: what keeps the method's generators from inverting colours; see `Method`.
        steps: a discriminator may win completely for this many steps.
    """

    def __init__(
        self, domains: tuple[str, str], *, unpaired: bool, inversion_advice: str = "", steps: int = 2000
    ) -> None:
        self.names = {"fake_a": f"generated {domains[0]}", "fake_b": f"generated {domains[1]}"}
        self.unpaired, self.inversion_advice, self.steps = unpaired, inversion_advice, steps
        self.winning_since: int | None = None
        self.flat: dict[str, int] = {}
        self.inverted: dict[str, int] = {}
        self.saturated: dict[str, int] = {}
        self.begun: dict[str, float] = {}
        self.scores: list[tuple[int, float, float]] = []
        self.said: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """Its state as plain values."""
        return {name: sorted(value) if name == "said" else value for name, value in self._state().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a state; what it lacks stays as it is."""
        for name in self._state().keys() & state.keys():
            setattr(self, name, set(state[name]) if name == "said" else state[name])

    def new(self, diagnoses: list[Diagnosis]) -> list[Diagnosis]:
        """The diagnoses that are new to the run; it keeps them when it is resumed."""
        new = [diagnosis for diagnosis in diagnoses if diagnosis.warning not in self.said]
        self.said |= {diagnosis.warning for diagnosis in new}
        return new

    def begin(self, losses: Mapping[str, float]) -> None:
        """Remember the first value of each term."""
        for term, value in losses.items():
            self.begun.setdefault(term, abs(value))

    def look(
        self,
        step: int,
        losses: Mapping[str, float],
        statistics: Mapping[str, float],
        skipped: Mapping[str, int] = MappingProxyType({}),
    ) -> list[Diagnosis]:
        """Diagnose a line of metrics.

        Args:
            step: steps done.
            losses: the mean of each term since the last line, and `fake_accuracy`.
            statistics: `image_statistics` of the last images.
            skipped: of each player, how many of its latest steps in a row gradient scaling skipped.
        """
        self.begin(losses)
        found = [self._wins(step, losses.get("fake_accuracy", 0.5)), self._explodes(losses)]
        found += [self._is_skipped(player, count) for player, count in skipped.items()]
        checks = {"spread": self._is_flat, "inversion": self._is_inverted, "saturation": self._is_saturated}
        for name, value in statistics.items():
            kind, _, field = name.partition("/")
            found.append(checks[kind](field, value))
        return [warning for warning in found if warning]

    def validated(self, step: int, score: float, training: float) -> list[Diagnosis]:
        """Diagnose a validation by its scores, lower is better, on held-out and on training images."""
        self.scores.append((step, score, training))
        best = min(self.scores, key=lambda entry: entry[1])
        later = [entry for entry in self.scores if entry[0] > best[0]]
        if len(later) < _PATIENCE or score < 1.03 * best[1] or training >= best[2] or "validation" in self.said:
            return []
        self.said.add("validation")
        return [
            Diagnosis(
                f"overfitting: the L1 distance of held-out pairs rises ({best[1]:.1f} at step {best[0]}, {score:.1f} "
                f"now) while that of training pairs falls ({best[2]:.1f}, {training:.1f})",
                "best.safetensors has the best model so far; use more images, more augmentation "
                f"({setting('augment', 'flip affine colour')}), {setting('diffaugment')}, or fewer steps",
            )
        ]

    def _wins(self, step: int, fake_accuracy: float) -> Diagnosis | None:
        if not fake_accuracy > _WINS:
            self.winning_since = None
            return None
        self.winning_since = step if self.winning_since is None else self.winning_since
        if step - self.winning_since < self.steps or "wins" in self.said:
            return None
        self.said.add("wins")
        return Diagnosis(
            f"the discriminator wins completely: fake_accuracy has been above {_WINS} for "
            f"{step - self.winning_since} steps, and the generator learns little from it",
            f"{setting('max_fake_accuracy', 0.8)} lets it skip updates, {setting('real_label', 0.9)} makes it less "
            f"certain, {setting('diffaugment')} helps where images are few; or a smaller one "
            f"({setting('discriminator', 'patchgan:layers=2')})",
        )

    def _explodes(self, losses: Mapping[str, float]) -> Diagnosis | None:
        large = {term: value for term, value in losses.items() if abs(value) > _EXPLODED * max(self.begun[term], 1.0)}
        if not large or "explodes" in self.said:
            return None
        self.said.add("explodes")
        term, value = max(large.items(), key=lambda item: abs(item[1]))
        return Diagnosis(
            f"the loss explodes: {term} is {value:.2g} and was {self.begun[term]:.2g} at the start",
            f"train again with a lower {setting('lr')}, or with {setting('clip', 1)}; this run will hardly recover",
        )

    def _is_skipped(self, player: str, skipped: int) -> Diagnosis | None:
        if skipped < _SKIPPED or f"skipped {player}" in self.said:
            return None
        self.said.add(f"skipped {player}")
        return Diagnosis(
            f"the {player} has not been updated for {skipped} steps: its gradients overflow in float16 at every loss "
            "scale, and gradient scaling skips such steps",
            f"resume with {setting('precision', 'bf16')}, or float32 where the GPU has no bfloat16",
        )

    def _is_saturated(self, field: str, share: float) -> Diagnosis | None:
        self.saturated[field] = self.saturated.get(field, 0) + 1 if share > _SATURATED else 0
        if self.saturated[field] < _LINES or f"saturated {field}" in self.said:
            return None
        self.said.add(f"saturated {field}")
        return Diagnosis(
            f"{self.names[field]} is saturated: every pixel is -1 or 1, unlike in real images",
            f"train again with a lower {setting('lr')}, or with {setting('clip', 1)}: hardly any gradient passes a "
            "saturated tanh",
        )

    def _is_flat(self, field: str, spread: float) -> Diagnosis | None:
        self.flat[field] = self.flat.get(field, 0) + 1 if spread < _FLAT else 0
        if self.flat[field] < _LINES or f"flat {field}" in self.said:
            return None
        self.said.add(f"flat {field}")
        return Diagnosis(
            f"{self.names[field]} is a single colour: the generator gives the same value at every pixel",
            f"train again with another {setting('seed')} or a lower {setting('lr')}; if it persists, "
            f"{setting('adversarial', 'lsgan')}, or norm=instance",
        )

    def _is_inverted(self, field: str, correlation: float) -> Diagnosis | None:
        self.inverted[field] = self.inverted.get(field, 0) + 1 if correlation < _INVERTED else 0
        if not self.unpaired or self.inverted[field] < _LINES or f"inverted {field}" in self.said:
            return None
        self.said.add(f"inverted {field}")
        return Diagnosis(
            f"{self.names[field]} is inverted: light areas of the input become dark (correlation {correlation:.2f}), "
            "which seldom recovers",
            f"stop the run and train again with another {setting('seed')}"
            + (f", or with {self.inversion_advice}" if self.inversion_advice else ""),
        )

    def _state(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in _STATE}


@torch.no_grad()
def image_statistics(images: Any) -> dict[str, Tensor]:
    """Statistics of a step's images for `Diagnostics.look`: scalars on their device.

    `spread/fake_b`: the standard deviation of a channel over the pixels of a generated image, the largest of all images
    and channels. `inversion/fake_b`: the correlation of brightness between an input and its translation, over all
    pixels. `saturation/fake_b`: the share of values within 0.001 of -1 or 1 in generated images; 0 where most values of
    real images are too, as in line drawings.
    """
    found: dict[str, Tensor] = {}
    for field, source, like in (("fake_b", "real_a", "real_b"), ("fake_a", "real_b", "real_a")):
        fake = getattr(images, field, None)
        if fake is None:
            continue
        fake = fake.float()
        found[f"spread/{field}"] = fake.flatten(2).std(2).max()
        target = getattr(images, like, None)
        if target is not None:
            found[f"saturation/{field}"] = _saturation(fake) * (_saturation(target) < 0.5)
        real = getattr(images, source, None)
        if real is not None and real.shape[2:] == fake.shape[2:] and {real.shape[1], fake.shape[1]} <= {1, 3}:
            x, y = (image.float().mean(1).flatten(1) for image in (real, fake))
            x, y = (brightness - brightness.mean(1, keepdim=True) for brightness in (x, y))
            norms = (x.norm(dim=1) * y.norm(dim=1)).clamp_min(1e-6)
            found[f"inversion/{field}"] = ((x * y).sum(1) / norms).mean()
    return found


def _saturation(images: Tensor) -> Tensor:
    return (images.float().abs() > 0.999).float().mean()


def not_finite(losses: Mapping[str, float]) -> list[str]:
    """The terms that are NaN or infinite."""
    return [term for term, value in losses.items() if not math.isfinite(value)]
