"""A run's settings: frozen dataclasses, each field documented where it is declared, and config.json."""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Literal, TypeVar

from i2i.errors import UsageError, unknown

T = TypeVar("T")
MOST_CHANNELS = 512
Augmentation = Literal["flip", "vertical_flip", "rotate90", "affine", "colour"]


@dataclass(frozen=True)
class DataConfig:
    """Which pictures, and how they are prepared."""

    image_size: int = 256
    """Height and width of a training picture, in pixels."""
    load_size: int | None = None
    """Pictures are resized to this, then cropped: as in pix2pix 286 for 256 unless given, and 256 where nothing is
    cropped (--crop never, or no --augment)."""
    crop: Literal["always", "before_decay", "never"] = "always"
    """When pictures are resized to --load-size and cropped: before_decay until the learning rate begins to fall (as CUT
    does), and else to --image-size."""
    augment: tuple[Augmentation, ...] = ("flip",)
    """Changes made at random to both pictures of a pair alike (colour: to the input alone), after the crop."""
    labels: bool = False
    """Folders are classes: train with labels (gan)."""
    swap: bool = False
    """Train the other direction: the input is B, the right half or the second folder, and the target is A."""
    domains: tuple[str, str] | None = None
    """Names of A, the left half or the first folder, and of B. Folders with these names set the direction."""
    channels: tuple[int, int] = (3, 3)
    """Channels of what you have and what you want: 3 colour, 1 grey, 4 or 2 with alpha, or those of a TIFF or .npy."""
    workers: int | None = None
    """Processes that prepare pictures; chosen by the number of cores unless given."""
    cache_gb: float = 2.0
    """Decoded pictures are kept in memory up to this many gigabytes, all workers together."""
    max_megapixels: int = 178
    """Refuse pictures of more: a small file may hold one that fills the memory."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("image_size", "load_size", "max_megapixels"))
        if not all(1 <= count <= MOST_CHANNELS for count in self.channels):
            raise UsageError(f"channels is {self.channels}; each is from 1 to {MOST_CHANNELS}")
        if self.crop == "never" and self.load_size not in (None, self.image_size):
            raise UsageError(f"load_size is {self.load_size}, but nothing is cropped; add --crop always")


@dataclass(frozen=True)
class TrainConfig:
    """How long and how to train."""

    steps: int | None = None
    """Training steps; --epochs counts them unless given."""
    epochs: int = 200
    """Passes over the data."""
    min_steps: int = 0
    """Train for this many steps where the epochs are fewer: small data sets need more passes."""
    batch_size: int = 1
    """Pictures in a step, of all processes together."""
    accumulate: int = 1
    """Gradient accumulation: micro-batches per step. Batch norm and feature matching see one micro-batch at a time."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or stochastic gradient descent."""
    lr: float = 2e-4
    """Learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's decay rates."""
    momentum: float = 0.9
    """Momentum of sgd."""
    weight_decay: float = 0.0
    """Weight of an L2 penalty on the weights."""
    historical_averaging: float = 0.0
    """Weight of a pull of each player's weights towards their mean over the steps so far."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls to zero over the last steps (see --decay)."""
    decay: float = 0.5
    """The last share of the steps, over which the learning rate falls."""
    warm_up: int = 0
    """Steps over which the learning rate first rises from zero."""
    clip: float = 0.0
    """Scale each player's gradient down to this norm where it is larger; 0: never."""
    ema: float = 0.0
    """Keep the mean of the translators' weights over the steps, this the share of the past: 0.999; 0: none."""
    generator: str | None = None
    """Backbone of the generators, such as resnet:blocks=6,width=32; the method's own unless given."""
    discriminator: str | None = None
    """Backbone of the discriminators, such as patchgan:layers=1; the method's own unless given."""
    seed: int = 0
    """The same seed gives the same run: on the CPU bit for bit, on a GPU to the rounding of its kernels."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:1, mps."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """bf16 computes in bfloat16 where it is safe: faster on recent GPUs and CPUs. fp16 is for older GPUs."""
    deterministic: bool = False
    """On a GPU use algorithms that give the same result each time, where there are such; slower."""
    channels_last: bool = False
    """Keep pictures in memory pixel by pixel, which some GPUs prefer."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int = 500
    """Steps between sample grids."""
    samples: int = 4
    """Pictures in a sample grid."""
    reference: int = 16
    """Pictures in the reference batch of virtual batch norm, for a generator with norm=virtual."""
    save_every: int = 2000
    """Steps between saved states."""
    validate_every: int = 2000
    """Steps between scores on held-out pairs; the best model so far is kept as best.safetensors. 0: never."""
    validation_pictures: int = 50
    """Held-out pairs that are scored, spread over all of them."""
    tensorboard: bool = False
    """Also write what TensorBoard shows (pip install tensorboard)."""

    def __post_init__(self) -> None:
        every = ("log_every", "sample_every", "save_every", "samples", "reference", "validation_pictures")
        check_numbers(self, positive=("steps", "epochs", "batch_size", "accumulate", "lr", *every))
        if self.decay > 1:
            raise UsageError(f"decay is {self.decay}; it is a share of the steps, from 0 to 1")
        if self.ema >= 1:
            raise UsageError(f"ema is {self.ema}; it is a share of the past, from 0 to below 1, such as 0.999")
        if self.batch_size % self.accumulate:
            raise UsageError(f"batch_size {self.batch_size} can't be worked on in {self.accumulate} equal parts")
        if self.seed >= 2**63:
            raise UsageError(f"seed is {self.seed}; it is from 0 to below 2^63")
        if self.momentum >= 1:
            raise UsageError(f"momentum is {self.momentum}; it is from 0 to below 1")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"betas is {self.betas}; each is from 0 to below 1")


@dataclass(frozen=True)
class RunConfig:
    """All that config.json holds: enough to go on with a run."""

    method: str
    paths: tuple[str, ...]
    options: Any
    data: DataConfig
    train: TrainConfig
    plugins: tuple[str, ...] = ()


def check_numbers(config: Any, *, positive: tuple[str, ...] = ()) -> None:
    """Refuse numbers of a dataclass that are negative, infinite or none at all, and zero for the `positive` ones.

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
    """A dataclass as plain values that JSON holds."""
    return asdict(config)


def from_dict(kind: type[T], values: Mapping[str, Any], *, where: str, **built: Any) -> T:
    """Make a dataclass of plain values; fields it leaves out keep their defaults, `built` ones are taken as they are.

    Raises:
        UsageError: a field that there isn't, or of the wrong kind; the message gives its whole path from `where`.
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
        return _read(next(one for one in inner if one is not type(None)), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        kinds = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
        if len(kinds) != len(value):
            raise UsageError(f"{where} should hold {len(kinds)} values, not {len(value)}")
        return tuple(_read(kind, one, f"{where}[{i}]") for i, (kind, one) in enumerate(zip(kinds, value, strict=True)))
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
