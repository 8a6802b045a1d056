"""What goes wrong quietly in an adversarial game, seen while it runs and said in plain words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

_WINS = 0.995  # a discriminator that recognises this share of generated images wins completely
_FLAT = 0.02  # images in [-1, 1] whose pixels differ by less than this are of one tone
_INVERTED = -0.3  # correlation of brightness between input and output
_LINES = 5  # of metrics in a row that must agree, so that no chance is reported
_SKIPPED = 50  # steps in a row; a scale that looks for its value skips up to 20
_EXPLODED = 1000  # times what a term was at the start, or 1 where that was less
_BLACK_AND_WHITE = 0.99  # share of values at -1 or 1
_PATIENCE = 3  # validations without a better score
_KEPT = ("winning_since", "flat", "inverted", "saturated", "begun", "scores", "said")  # in a run's state


class Diagnosis(NamedTuple):
    """Something to know about a run, and what to try."""

    warning: str
    advice: str


class Diagnostics:
    """Watches a run, at each line of its metrics and each validation; says each thing once.

    Args:
        domains: the people's names of a and b.
        unpaired: whether input and output of the method should be alike in brightness.
        has_identity: whether the method has identity terms to offer.
        steps: a discriminator may win completely for this many steps.
    """

    def __init__(
        self, domains: tuple[str, str], *, unpaired: bool, has_identity: bool = False, steps: int = 2000
    ) -> None:
        self.names = {"fake_a": f"generated {domains[0]}", "fake_b": f"generated {domains[1]}"}
        self.unpaired, self.has_identity, self.steps = unpaired, has_identity, steps
        self.winning_since: int | None = None
        self.flat: dict[str, int] = {}
        self.inverted: dict[str, int] = {}
        self.saturated: dict[str, int] = {}
        self.begun: dict[str, float] = {}
        self.scores: list[tuple[int, float, float]] = []
        self.said: set[str] = set()

    def state_dict(self) -> dict[str, Any]:
        """What it has seen, as plain values."""
        return {name: sorted(kept) if name == "said" else kept for name, kept in self._seen().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what it had seen."""
        for name in self._seen().keys() & state.keys():
            setattr(self, name, set(state[name]) if name == "said" else state[name])

    def _seen(self) -> dict[str, Any]:
        return {name: vars(self)[name] for name in _KEPT}

    def unsaid(self, diagnoses: list[Diagnosis]) -> list[Diagnosis]:
        """Those that a run, before it was resumed too, has not been told."""
        new = [diagnosis for diagnosis in diagnoses if diagnosis.warning not in self.said]
        self.said |= {diagnosis.warning for diagnosis in new}
        return new

    def begin(self, losses: Mapping[str, float]) -> None:
        """Remember how large each term is at its first step."""
        for term, value in losses.items():
            self.begun.setdefault(term, abs(value))

    def look(
        self,
        step: int,
        losses: Mapping[str, float],
        signs: Mapping[str, float],
        skipped: Mapping[str, int] = MappingProxyType({}),
    ) -> list[Diagnosis]:
        """What a line of metrics shows.

        Args:
            step: the last one.
            losses: their means since the last line.
            signs: those of the last images, see `signs_of`.
            skipped: of each player, how many of its latest steps in a row gradient scaling left out.
        """
        self.begin(losses)
        found = [self._wins(step, losses.get("fake_accuracy", 0.5)), self._explodes(losses)]
        found += [self._stands_still(player, count) for player, count in skipped.items()]
        watched = {"spread": self._tone, "inversion": self._turned, "saturation": self._saturates}
        for name, value in signs.items():
            kind, _, field = name.partition("/")
            found.append(watched[kind](field, value))
        return [warning for warning in found if warning]

    def validated(self, step: int, score: float, training: float) -> list[Diagnosis]:
        """What a validation shows, of scores where lower is better, on held-out images and in training."""
        self.scores.append((step, score, training))
        best = min(self.scores, key=lambda one: one[1])
        later = [one for one in self.scores if one[0] > best[0]]
        if len(later) < _PATIENCE or score < 1.03 * best[1] or training >= best[2] or "validation" in self.said:
            return []
        self.said.add("validation")
        return [
            Diagnosis(
                f"held-out images get worse ({best[1]:.1f} at step {best[0]}, {score:.1f} now) while those of the "
                f"training get better ({best[2]:.1f}, {training:.1f}): it learns them by heart",
                "best.safetensors has the model of that step; use more images, more --augment (flip affine colour), "
                "--diffaugment, or fewer steps",
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
            f"the discriminator has recognised every generated image for {step - self.winning_since} steps: it wins "
            "completely, and the generator has little to learn from it",
            "--max-fake-accuracy 0.8 lets it sit out, --real-label 0.9 makes it less sure, --diffaugment helps where "
            "images are few; or a smaller one (--discriminator patchgan:layers=2)",
        )

    def _explodes(self, losses: Mapping[str, float]) -> Diagnosis | None:
        large = {term: value for term, value in losses.items() if abs(value) > _EXPLODED * max(self.begun[term], 1.0)}
        if not large or "explodes" in self.said:
            return None
        self.said.add("explodes")
        term, value = max(large.items(), key=lambda one: abs(one[1]))
        return Diagnosis(
            f"the loss explodes: {term} is {value:.2g} and was {self.begun[term]:.2g} at the start",
            "begin again with a lower --lr, or with --clip 1; what was learned since is of little use",
        )

    def _stands_still(self, player: str, skipped: int) -> Diagnosis | None:
        if skipped < _SKIPPED or f"skipped {player}" in self.said:
            return None
        self.said.add(f"skipped {player}")
        return Diagnosis(
            f"the {player} has not moved for {skipped} steps: its gradients overflow in float16 at every loss scale, "
            "and gradient scaling skips such steps",
            "go on with --resume --precision bf16, or float32 where the GPU has no bfloat16",
        )

    def _saturates(self, field: str, share: float) -> Diagnosis | None:
        self.saturated[field] = self.saturated.get(field, 0) + 1 if share > _BLACK_AND_WHITE else 0
        if self.saturated[field] < _LINES or f"saturated {field}" in self.said:
            return None
        self.said.add(f"saturated {field}")
        return Diagnosis(
            f"{self.names[field]} is saturated: every pixel is as dark or as bright as can be (-1 or 1), which real "
            "images are not",
            "begin again with a lower --lr, or with --clip 1: hardly any gradient passes a saturated tanh",
        )

    def _tone(self, field: str, spread: float) -> Diagnosis | None:
        self.flat[field] = self.flat.get(field, 0) + 1 if spread < _FLAT else 0
        if self.flat[field] < _LINES or f"flat {field}" in self.said:
            return None
        self.said.add(f"flat {field}")
        return Diagnosis(
            f"{self.names[field]} is of one tone: the generator gives the same at every pixel",
            "begin again with another --seed or a lower --lr; if it stays, --adversarial lsgan, or norm=instance",
        )

    def _turned(self, field: str, correlation: float) -> Diagnosis | None:
        self.inverted[field] = self.inverted.get(field, 0) + 1 if correlation < _INVERTED else 0
        if not self.unpaired or self.inverted[field] < _LINES or f"inverted {field}" in self.said:
            return None
        self.said.add(f"inverted {field}")
        return Diagnosis(
            f"{self.names[field]} is a negative of its input: what is light there is dark here (correlation "
            f"{correlation:.2f}); it seldom mends itself",
            "stop it and begin again with another --seed"
            + (", or with --identity-weight 5, which keeps colours" if self.has_identity else ""),
        )


@torch.no_grad()
def image_statistics(images: Any) -> dict[str, Tensor]:
    """What is worth watching in a step's images: each a scalar where they are.

    `spread/fake_b`: the standard deviation of a channel over a generated image's pixels, of the step's most varied
    image and channel. `inversion/fake_b`: the correlation of brightness between an input and its translation, over
    all pixels. `saturation/fake_b`: the share of values within 0.001 of -1 or 1 in generated images; 0 where most
    of the real ones' are too, as in line drawings.
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
            one, two = (x.float().mean(1).flatten(1) for x in (real, fake))
            one, two = (x - x.mean(1, keepdim=True) for x in (one, two))
            norms = (one.norm(dim=1) * two.norm(dim=1)).clamp_min(1e-6)
            found[f"inversion/{field}"] = ((one * two).sum(1) / norms).mean()
    return found


def _saturation(images: Tensor) -> Tensor:
    return (images.float().abs() > 0.999).float().mean()


def not_a_number(losses: Mapping[str, float]) -> list[str]:
    """The terms that are infinite or not a number."""
    return [term for term, value in losses.items() if not math.isfinite(value)]
