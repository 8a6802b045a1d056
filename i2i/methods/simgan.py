"""SimGAN: a refiner that makes synthetic images look real and leaves what they show where it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig, check_numbers
from i2i.errors import UsageError
from i2i.losses import Kind, l1
from i2i.methods.base import Batch, Losses, LossFn, Method, methods
from i2i.methods.image_pool import ImagePool
from i2i.networks import Backbones, Generator


@methods.register("simgan")
class SimGAN(Method):
    """Shrivastava et al. 2017, eq. 4: synthetic images (a) refined to look real (b), and annotations that still hold.

    The refiner's loss is adversarial, region by region, plus self-regularisation; the discriminator sees a history of
    refined images. Algorithm 1 warms up each player alone, then lets the refiner move K_g times and the
    discriminator K_d times, each on a fresh minibatch. A step here is one minibatch that moves a player at most once,
    so these become places in a cycle of max(K_g, K_d) steps: the refiner moves in its first K_g, the discriminator in
    its last K_d.

    The paper trains on grey images of 35 x 55 pixels (--channels 1 1). It names SGD at 0.001 and 512 images in a
    step, but neither momentum nor a number of steps.

    Differs from the paper: losses are means over locations and pixels, where eq. 1 to 4 are sums over them, 9 x 14
    locations of 35 x 55 pixels. A rate of 0.001 on sums is 0.126 on means; here it is 0.01 with a momentum of 0.9,
    which comes to 0.1 (measured on drawn eyes of 32 pixels: in 100 updates the discriminator's loss falls from 1.38 to
    0.73, on sums at 0.001 with gradients clipped at 50 to 0.83, on means at 0.001 to 1.22). Images are square; each
    refined image has an even chance to be replaced by one of the history, where algorithm 1 replaces exactly half.
    """

    summary = "renderings made to look real, with annotations that still hold"
    data = "unpaired"
    generator_spec = "refiner"
    discriminator_spec = "local"
    data_config = DataConfig(image_size=64, augment=())
    train_config = TrainConfig(
        steps=20_000, batch_size=512, optimizer="sgd", lr=1e-2, momentum=0.9, lr_decay_fraction=0.0
    )
    fewest_steps = 2000  # a tenth of those here, as the paper names none; the first 1,200 warm the players up

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of SimGAN, their weights, and tricks of the training."""

        adversarial: Kind = "non_saturating"
        """The adversarial loss; non_saturating is the paper's cross-entropy at each location."""
        discriminator_steps: int = 1
        """Steps of a cycle in which the discriminator moves (K_d of Algorithm 1)."""
        refiner_steps: int = 2
        """Steps of a cycle in which the refiner moves (K_g of Algorithm 1)."""
        self_weight: float = 10.0
        """Weight of self-regularisation (lambda), on a mean. The paper names none; published code has 0.5 and 1 on
        sums over 35 x 55 pixels, which are 8 and 15 here."""
        self_regularisation: Literal["pixels", "grey", "gradients"] = "pixels"
        """What should stay: the pixels, the mean of their channels, or their differences from their neighbours."""
        history: int = 5120
        """Size of the image pool: earlier refined images that the discriminator sees again; 0: none."""
        refiner_warmup: int = 1000
        """First the refiner alone moves for so many steps, by self-regularisation alone."""
        discriminator_warmup: int = 200
        """Then the discriminator alone for so many."""

        def __post_init__(self) -> None:
            super().__post_init__()
            check_numbers(self, positive=("refiner_steps",))

    class Images(NamedTuple):
        """Each (N, C, H, W) in [-1, 1]."""

        real_a: Tensor
        fake_b: Tensor
        real_b: Tensor

    config: Config

    def __init__(self, config: Config, backbones: Backbones) -> None:
        super().__init__(config)
        a, b = backbones.channels
        if a != b:
            raise UsageError(f"simgan compares input and output, which need as many channels, not {a} and {b}")
        self.refiner = backbones.generator(a, b)
        self.discriminator = backbones.discriminator(b)
        self.history = ImagePool(config.history)

    def forward(self, batch: Batch) -> Images:
        """Refine the synthetic images."""
        return self.Images(batch["a"], self.refiner(batch["a"]), batch["b"])

    def turns(self, step: int) -> Iterator[tuple[str, LossFn]]:
        """The refiner's warm-up, the discriminator's, and then the cycles; balance counts in these alone."""
        config = self.config
        index = step - config.refiner_warmup
        if index < 0:
            yield "generator", self.self_loss
            return
        index -= config.discriminator_warmup
        if index < 0:
            yield "discriminator", self.discriminator_loss
            return
        cycle = max(config.refiner_steps, config.discriminator_steps)
        if index % cycle < config.refiner_steps:
            yield "generator", self.generator_loss
        if index % cycle >= cycle - config.discriminator_steps and self.discriminator_moves():
            yield "discriminator", self.discriminator_loss

    def generator_loss(self, images: Images) -> Losses:
        """To pass for real, and to stay near the input (eq. 4)."""
        return self.generator_terms(self.discriminator, real=images.real_b, fake=images.fake_b) | self.self_loss(images)

    def self_loss(self, images: Images) -> Losses:
        """Self-regularisation (sec. 2.1): the mean L1 distance of a refined image from its input, or of features."""
        kind = self.config.self_regularisation
        refined, given = images.fake_b, images.real_a
        if kind == "gradients":
            distance = (l1(refined.diff(dim=2), given.diff(dim=2)) + l1(refined.diff(dim=3), given.diff(dim=3))) / 2
        elif kind == "grey":
            distance = l1(refined.mean(1), given.mean(1))
        else:
            distance = l1(refined, given)
        return Losses({"self": self.config.self_weight * distance})

    def discriminator_loss(self, images: Images) -> Losses:
        """The adversarial loss (eq. 2), not halved, on refined images new and old.

        Each has an even chance to be an old one, where Algorithm 1 takes exactly half of the minibatch.
        """
        shown = self.history(images.fake_b)
        return self.discriminator_terms(self.discriminator, real=images.real_b, fake=shown, weight=1.0)

    def players(self) -> dict[str, nn.Module]:
        """The refiner as the generator, and the discriminator."""
        return {"generator": self.refiner, "discriminator": self.discriminator}

    def generators(self) -> dict[str, Generator]:
        """From synthetic to real."""
        return {"a2b": self.refiner}
