"""A run's settings: frozen dataclasses, each field documented where it is declared, and config.json."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar

from i2i.errors import UsageError, setting, unknown

T = TypeVar("T")
MOST_CHANNELS = 512
Augmentation = Literal["flip", "vertical_flip", "rotate90", "affine", "colour"]


@dataclass(frozen=True)
class DataConfig:
    """The images, and how they are prepared."""

    image_size: int = 256
    """Height and width of a training image, in pixels."""
    load_size: int | None = None
    """Resize images to this, then crop them to --image-size. Unless given: 286 for 256, as in pix2pix, or
    --image-size where nothing is cropped (--crop never, or no --augment)."""
    crop: Literal["always", "before_decay", "never"] = "always"
    """When images are resized to --load-size and cropped; before_decay: until the learning rate begins to fall (as in
    CUT). Otherwise they are resized to --image-size."""
    augment: tuple[Augmentation, ...] = ("flip",)
    """Random augmentations after the crop, the same for both images of a pair (colour: the input alone). Give nothing
    after it for none."""
    labels: bool = False
    """Train with labels: each folder is a class (gan)."""
    swap: bool = False
    """Train the other direction: the input is B, the right half or the second folder, and the target is A."""
    domains: tuple[str, str] | None = None
    """Names of A (the left half or the first folder) and B. Folders with these names set the direction."""
    channels: tuple[int, int] = (3, 3)
    """Channels of the input and of the target: 3 colour, 1 grey, 4 or 2 with alpha, or those of a TIFF or .npy file."""
    workers: int | None = None
    """Processes that read and prepare images; by the number of cores unless given."""
    cache_gb: float = 2.0
    """Keep decoded images in memory, up to this many gigabytes in all workers together."""
    max_megapixels: int = 178
    """Refuse larger images: a small file can hold one that fills the memory."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("image_size", "load_size", "max_megapixels"))
        if self.domains and not all(name.strip() for name in self.domains):
            raise UsageError(f"domains {self.domains}: give both a name")
        if not all(1 <= count <= MOST_CHANNELS for count in self.channels):
            raise UsageError(f"channels {self.channels}: each should be from 1 to {MOST_CHANNELS}")
        if self.crop == "never" and self.load_size not in (None, self.image_size):
            raise UsageError(
                f"load size {self.load_size}: nothing is cropped; add {setting('crop', 'always')}, or leave "
                f"out {setting('load_size')}"
            )


@dataclass(frozen=True)
class TrainConfig:
    """Length of the training, optimizer, networks, machine, and what is written how often."""

    steps: int | None = None
    """Training steps; given by --epochs unless set."""
    epochs: int = 200
    """Passes over the training images."""
    min_steps: int = 0
    """Train for this many steps where the epochs are fewer: small data sets need more passes."""
    batch_size: int = 1
    """Images per step, of all GPUs together."""
    gradient_accumulation: int = 1
    """Gradient accumulation: micro-batches per step. Batch norm, feature matching and minibatch discrimination see one
    micro-batch at a time."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam or stochastic gradient descent."""
    lr: float = 2e-4
    """Learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 0.0
    """Weight of an L2 penalty on the weights."""
    historical_averaging: float = 0.0
    """Weight of historical averaging: pulls the weights towards their mean over all steps so far."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Learning-rate schedule: how the rate falls to 0 over the last steps (see --lr-decay-fraction)."""
    lr_decay_fraction: float = 0.5
    """Share of the steps, at the end, in which the learning rate falls."""
    warm_up: int = 0
    """Warm-up: steps in which the learning rate rises from 0."""
    clip: float = 0.0
    """Clip the gradient of each network to this norm; 0: never."""
    ema_decay: float = 0.0
    """EMA of the generators' weights with this decay, such as 0.999, for samples and the model file; 0: none."""
    generator: str | None = None
    """Generator, such as resnet:blocks=6,width=32; the method's own unless given."""
    discriminator: str | None = None
    """Discriminator, such as patchgan:layers=1; the method's own unless given."""
    seed: int = 0
    """Random seed. The same seed gives the same run: bit for bit on the CPU, up to rounding on a GPU."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto takes a GPU where there is one."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """bf16: bfloat16 where it is safe, faster on recent GPUs and CPUs. fp16: for older GPUs."""
    deterministic: bool = False
    """Use deterministic algorithms on a GPU, where there are any; slower."""
    channels_last: bool = False
    """Use the channels-last memory format, which is faster on some GPUs."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int = 500
    """Steps between sample grids."""
    samples: int = 4
    """Images in a sample grid."""
    vbn_batch: int = 16
    """Images in the reference batch of virtual batch norm (generators with norm=virtual)."""
    save_every: int = 2000
    """Steps between checkpoints."""
    validate_every: int = 2000
    """Steps between validations on held-out pairs; the best model is kept as best.safetensors. 0: never."""
    validation_images: int = 50
    """Held-out pairs in a validation, spread over all of them."""
    tensorboard: bool = False
    """Also write logs for TensorBoard (pip install tensorboard)."""

    def __post_init__(self) -> None:
        every = ("log_every", "sample_every", "save_every", "samples", "vbn_batch", "validation_images")
        check_numbers(self, positive=("steps", "epochs", "batch_size", "gradient_accumulation", "lr", *every))
        if "" in (self.generator, self.discriminator):
            raise UsageError(
                f"{setting('generator')} and {setting('discriminator')} are networks, such as unet; leave them out for "
                "the method's own"
            )
        if self.lr_decay_fraction > 1:
            raise UsageError(f"lr_decay_fraction is {self.lr_decay_fraction}; it is a share of the steps, from 0 to 1")
        if self.ema_decay >= 1:
            raise UsageError(
                f"ema_decay is {self.ema_decay}; it is a share of the past, from 0 to below 1, such as 0.999"
            )
        if self.batch_size % self.gradient_accumulation:
            fitting = math.ceil(self.batch_size / self.gradient_accumulation) * self.gradient_accumulation
            raise UsageError(
                f"batch size {self.batch_size} can't be divided into {self.gradient_accumulation} micro-batches; use "
                f"{setting('batch_size', fitting)}"
            )
        if self.seed >= 2**63:
            raise UsageError(f"seed is {self.seed}; it is from 0 to below 2^63")
        if self.momentum >= 1:
            raise UsageError(f"momentum is {self.momentum}; it is from 0 to below 1")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"betas is {self.betas}; each is from 0 to below 1")


@dataclass(frozen=True)
class RunConfig:
    """All settings of a run, as config.json holds them.

    Attributes:
        method: its name.
        paths: the folders of images; none for a dataset of the caller's.
        options: the method's own settings, a `Method.Config`.
        data: how images are prepared.
        train: how long, with which optimizer, and what is written.
        plugins: modules to import before the method is looked up.
    """

    method: str
    paths: tuple[str, ...]
    options: Any
    data: DataConfig
    train: TrainConfig
    plugins: tuple[str, ...] = ()


def check_numbers(config: Any, *, positive: tuple[str, ...] = ()) -> None:
    """Refuse numbers of a dataclass that are negative, infinite or NaN, and zero for the `positive` ones.

    Raises:
        UsageError: naming the field.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, int | float):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and field.name in positive):
            expected = "above 0" if field.name in positive else "0 or more"
            raise UsageError(f"{field.name} is {value}; it should be {expected}")


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain values for JSON."""
    return asdict(config)


def from_dict(kind: type[T], values: Mapping[str, Any], *, where: str, **built: Any) -> T:
    """Make a dataclass from plain values; missing fields keep their defaults, `built` ones are taken as they are.

    Raises:
        UsageError: an unknown field, or a value of another type; the message gives its path from `where`.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} is {values!r}; it should hold settings by name")
    hints = typing.get_type_hints(kind)
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in names:
            raise unknown(f"setting in {where}", name, names)
    read = {n: _read(hints[n], v, f"{where}: {n}") for n, v in values.items() if n not in built}
    try:
        return kind(**read, **built)
    except TypeError as error:
        raise UsageError(f"{where}: {error}") from None


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(typing.cast(type, hint), value, where=where)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in inner:
            return None
        return _read(next(kind for kind in inner if kind is not type(None)), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise UsageError(f"{where} should hold {len(kinds)} values, not {len(value)}")
        items = enumerate(zip(kinds, value, strict=True))
        return tuple(_read(kind, item, f"{where}[{index}]") for index, (kind, item) in items)
    if origin is Literal and value in inner:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is Any or (
        isinstance(hint, type) and isinstance(value, hint) and (hint is bool) == isinstance(value, bool)
    ):
        return value
    raise UsageError(f"{where} is {value!r}; it should be {_describe(hint)}")


def _describe(hint: Any) -> str:
    if typing.get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(hint)))
    return str(getattr(hint, "__name__", hint))
