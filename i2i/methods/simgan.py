"""SimGAN: a refiner that makes synthetic images look real and preserves their annotations."""

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
    """Shrivastava et al. 2017, eq. 4: synthetic images (a) are refined to look real (b); annotations stay valid.

    The refiner's loss is adversarial, region by region, plus self-regularisation; the discriminator sees an image pool,
    the history of refined images of sec. 2.3. Algorithm 1 warms up each player alone, then updates the refiner K_g
    times and the discriminator K_d times, each on a fresh minibatch. A step here is one minibatch that updates a player
    at most once, so these become a cycle of max(K_g, K_d) steps: the refiner is updated in the first K_g of them, the
    discriminator in the last K_d.

    The paper trains on grey images of 35 x 55 pixels (`channels=(1, 1)`). It states SGD at 0.001 and a batch size
    of 512, but neither momentum nor a number of steps.

    Differs from the paper: losses are means over locations and pixels, where eq. 1 to 4 are sums over them, 9 x 14
    locations of 35 x 55 pixels. A learning rate of 0.001 on sums is 0.126 on means; here it is 0.01 with a momentum of
    0.9, which comes to 0.1 (measured on drawings of eyes of 32 pixels: in 100 updates the discriminator's loss falls
    from 1.38 to 0.73, on sums at 0.001 with gradients clipped at 50 to 0.83, on means at 0.001 to 1.22). Images are
    square; each refined image is replaced by one of the pool with probability 1/2, where Algorithm 1 replaces exactly
    half.
    """

    summary = "makes renderings look real, so that their annotations stay valid"
    data = "unpaired"
    generator_spec = "refiner"
    discriminator_spec = "local"
    data_config = DataConfig(image_size=64, augment=())
    train_config = TrainConfig(
        steps=20_000, batch_size=512, optimizer="sgd", lr=1e-2, momentum=0.9, lr_decay_fraction=0.0
    )
    fewest_steps = 2000  # a tenth of those here, as the paper states none; the first 1,200 are warm-up

    @dataclass(frozen=True)
    class Config(Method.Config):
        """Losses of SimGAN, their weights, and training options."""

        adversarial: Kind = "non_saturating"
        """The adversarial loss; non_saturating is the paper's cross-entropy at each location."""
        discriminator_steps: int = 1
        """Steps of a cycle that update the discriminator (K_d of Algorithm 1)."""
        refiner_steps: int = 2
        """Steps of a cycle that update the refiner (K_g of Algorithm 1)."""
        self_weight: float = 10.0
        """Weight of self-regularisation (lambda), on a mean. The paper states none; published code has 0.5 and 1 on
        sums over 35 x 55 pixels, which are 8 and 15 here."""
        self_regularisation: Literal["pixels", "grey", "gradients"] = "pixels"
        """What self-regularisation compares: pixels, their grey level, or differences of neighbouring pixels."""
        pool_size: int = 5120
        """Size of the image pool: earlier refined images that the discriminator sees again; 0: none."""
        refiner_warmup: int = 1000
        """Warm-up: steps at the start that update the refiner alone, by self-regularisation alone."""
        discriminator_warmup: int = 200
        """Warm-up: steps after those that update the discriminator alone."""

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
            raise UsageError(
                f"simgan compares input and output, which need the same number of channels, not {a} and {b}"
            )
        self.refiner = backbones.generator(a, b)
        self.discriminator = backbones.discriminator(b)
        self.pool = ImagePool(config.pool_size)

    def forward(self, batch: Batch) -> Images:
        """Refine the synthetic images."""
        return self.Images(batch["a"], self.refiner(batch["a"]), batch["b"])

    def turns(self, step: int) -> Iterator[tuple[str, LossFn]]:
        """The refiner's warm-up, the discriminator's, then the cycles; only the cycles depend on
        `max_fake_accuracy`."""
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

    def images_for(self, player: str, images: Images) -> Images:
        """The discriminator sees refined images from the image pool (sec. 2.3)."""
        return images._replace(fake_b=self.pool(images.fake_b)) if player == "discriminator" else images

    def generator_loss(self, images: Images) -> Losses:
        """The adversarial term and self-regularisation (eq. 4)."""
        return self.terms.generator(self.discriminator, real=images.real_b, fake=images.fake_b) | self.self_loss(images)

    def self_loss(self, images: Images) -> Losses:
        """Self-regularisation (sec. 2.1): mean L1 between a refined image, or features of it, and its input."""
        kind = self.config.self_regularisation
        refined, source = images.fake_b, images.real_a
        if kind == "gradients":
            distance = (l1(refined.diff(dim=2), source.diff(dim=2)) + l1(refined.diff(dim=3), source.diff(dim=3))) / 2
        elif kind == "grey":
            distance = l1(refined.mean(1), source.mean(1))
        else:
            distance = l1(refined, source)
        return Losses({"self": self.config.self_weight * distance})

    def discriminator_loss(self, images: Images) -> Losses:
        """The adversarial loss (eq. 2), not halved."""
        return self.terms.discriminator(self.discriminator, real=images.real_b, fake=images.fake_b, weight=1.0)

    def players(self) -> dict[str, nn.Module]:
        """The refiner as the generator, and the discriminator."""
        return {"generator": self.refiner, "discriminator": self.discriminator}

    def generators(self) -> dict[str, Generator]:
        """From synthetic to real."""
        return {"a2b": self.refiner}
