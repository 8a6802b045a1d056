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
Augmentation = Literal["flip", "vertical_flip", "rotate90", "affine", "colour", "sketch"]


@dataclass(frozen=True)
class DataConfig:
    """The images and their preprocessing."""

    image_size: int = 256
    """Height and width of a training image, in pixels."""
    load_size: int | None = None
    """Resize images to this size before the crop to --image-size. Default: 286/256 of --image-size, as in pix2pix, or
    --image-size itself if nothing is cropped (--crop never, or no --augment)."""
    crop: Literal["always", "before_decay", "never"] = "always"
    """Resize images to --load-size and crop them: always, never (resize to --image-size only), or before_decay: until
    the learning rate starts to decay (as in CUT)."""
    augment: tuple[Augmentation, ...] = ("flip",)
    """Random augmentations after the crop, the same for both images of a pair. Of the input only: colour, and sketch,
    for drawings, which makes lines wobbly, thick, broken, soft, grey or inverted. --augment without a value: none."""
    labels: bool = False
    """Train with class labels: each folder is a class (gan only)."""
    swap: bool = False
    """Train the reverse direction: the input is B (right half or second folder) and the target is A."""
    domains: tuple[str, str] | None = None
    """Names of A (left half or first folder) and B. If folders have these names, their names decide which is A."""
    channels: tuple[int, int] = (3, 3)
    """Channels of the input and of the target: 3 for colour, 1 for grey, 4 or 2 with alpha, or as many as a TIFF or
    .npy file has."""
    workers: int | None = None
    """Processes that load images (default: by the number of CPU cores)."""
    cache_gb: float = 2.0
    """Cache decoded images in memory, up to this many gigabytes over all workers."""
    shard_cache: str = ""
    """Folder for local copies of remote shards (default: ~/.cache/i2i/shards)."""
    shard_cache_gb: float = 50.0
    """Size of that folder, in gigabytes: room for 16 shards or more; those used least recently are removed."""
    max_megapixels: int = 178
    """Refuse larger images: a small file can decode to more pixels than fit in memory."""

    def __post_init__(self) -> None:
        check_numbers(self, positive=("image_size", "load_size", "max_megapixels"))
        if self.domains and not all(name.strip() for name in self.domains):
            raise UsageError(f"{setting('domains')} is {self.domains}; give a name for each of the two")
        if not all(1 <= count <= MOST_CHANNELS for count in self.channels):
            raise UsageError(f"{setting('channels')} is {self.channels}; each must be from 1 to {MOST_CHANNELS}")
        if self.crop == "never" and self.load_size not in (None, self.image_size):
            name, fix = setting("load_size"), setting("crop", "always")
            raise UsageError(f"{name} is {self.load_size}, but nothing is cropped; give {fix}")


@dataclass(frozen=True)
class TrainConfig:
    """Length of the training, optimizer, networks, device, and how often to log, sample and save."""

    steps: int | None = None
    """Training steps (default: as many as --epochs takes)."""
    epochs: int = 200
    """Passes over the training images."""
    min_steps: int = 0
    """Minimum number of training steps: small data sets need more passes than --epochs."""
    batch_size: int = 1
    """Images per step, over all GPUs."""
    gradient_accumulation: int = 1
    """Gradient accumulation: micro-batches per step. Batch norm, feature matching and minibatch discrimination see one
    micro-batch at a time."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or stochastic gradient descent (SGD) with momentum."""
    lr: float = 2e-4
    """Learning rate."""
    betas: tuple[float, float] = (0.5, 0.999)
    """Adam's beta1 and beta2."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 0.0
    """Weight decay: an L2 penalty on the weights."""
    historical_averaging: float = 0.0
    """Weight of historical averaging, which pulls the weights towards their mean over all steps so far."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """Learning-rate schedule: how the rate decays to 0 over the last steps (see --lr-decay-fraction)."""
    lr_decay_fraction: float = 0.5
    """Fraction of the steps, at the end of training, over which the learning rate decays."""
    warm_up: int = 0
    """Warm-up: steps over which the learning rate rises from 0."""
    clip: float = 0.0
    """Clip the gradient norm of each network to this value; 0: no clipping."""
    ema_decay: float = 0.0
    """EMA of the generator weights with this decay, such as 0.999, for sample grids and the model file; 0: no EMA."""
    generator: str | None = None
    """Generator network, such as resnet:blocks=6,width=32 (default: the generator of the method)."""
    discriminator: str | None = None
    """Discriminator network, such as patchgan:layers=1 (default: the discriminator of the method)."""
    init: str = ""
    """Start from the generators of this model: a pretrained one, a run folder, a model file, or a checkpoint (.pth) of
    another toolkit. Their networks must be those of the run (--generator). Empty: from random weights."""
    seed: int = 0
    """Random seed. The same seed gives the same run: bit for bit on a CPU, up to rounding on a GPU."""
    device: str = "auto"
    """cpu, cuda, cuda:1 or mps; auto: a GPU if there is one."""
    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """Mixed precision: bf16 is faster on recent GPUs and CPUs, fp16 is for older GPUs."""
    deterministic: bool = False
    """Use deterministic GPU algorithms where PyTorch has them; slower."""
    channels_last: bool = False
    """Use the channels-last memory format; faster on some GPUs."""
    checkpoint_activations: bool = False
    """Activation checkpointing: compute the generator's blocks again in the backward pass, which takes less memory and
    more time; for large images."""
    log_every: int = 50
    """Steps between lines of metrics.jsonl."""
    sample_every: int = 500
    """Steps between sample grids."""
    samples: int = 4
    """Images per sample grid."""
    vbn_batch: int = 16
    """Images in the reference batch of virtual batch norm (generators with norm=virtual)."""
    save_every: int = 2000
    """Steps between checkpoints."""
    validate_every: int = 2000
    """Steps between validations on held-out images (val or test); the best model is saved as best.safetensors. Methods
    for pairs are scored by L1, PSNR and SSIM; other methods need --validation-features. 0: no validation."""
    validation_images: int = 50
    """Held-out images per validation, evenly spread (of each domain, where they are unpaired)."""
    validation_features: str = ""
    """Validate by the kernel distance (KID) between the features of generated and real images, and choose the best
    model by it. The features are those of this network: efficientnet-lite0, or inception (downloads weights). Empty:
    none."""
    track: tuple[str, ...] = ()
    """Send metrics, sample grids and the model to experiment trackers: wandb, mlflow (pip install
    "i2i-toolkit[wandb]" or "i2i-toolkit[mlflow]"), or tensorboard (pip install tensorboard). --track without a value:
    none."""

    def __post_init__(self) -> None:
        every = ("log_every", "sample_every", "save_every", "samples", "vbn_batch", "validation_images")
        check_numbers(self, positive=("steps", "epochs", "batch_size", "gradient_accumulation", "lr", *every))
        if "" in (self.generator, self.discriminator):
            names = f"{setting('generator')} and {setting('discriminator')}"
            raise UsageError(f"{names} are networks, such as unet; leave out the empty one")
        if self.lr_decay_fraction > 1:
            name = setting("lr_decay_fraction")
            raise UsageError(f"{name} is {self.lr_decay_fraction}; it must be a fraction of the steps, from 0 to 1")
        if self.ema_decay >= 1:
            raise UsageError(f"{setting('ema_decay')} is {self.ema_decay}; it must be from 0 to below 1, such as 0.999")
        if self.batch_size % self.gradient_accumulation:
            parts = setting("gradient_accumulation", self.gradient_accumulation)
            raise UsageError(f"{setting('batch_size')} is {self.batch_size}; {parts} does not divide it")
        if self.seed >= 2**63:
            raise UsageError(f"{setting('seed')} is {self.seed}; it must be from 0 to below 2^63")
        if self.momentum >= 1:
            raise UsageError(f"{setting('momentum')} is {self.momentum}; it must be from 0 to below 1")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(f"{setting('betas')} is {self.betas}; each must be from 0 to below 1")


@dataclass(frozen=True)
class RunConfig:
    """What config.json holds: all that is needed to resume a run."""

    method: str
    paths: tuple[str, ...]
    options: Any
    data: DataConfig
    train: TrainConfig
    plugins: tuple[str, ...] = ()
    preset: str = ""  # whose settings are in the other fields, too


def check_numbers(config: Any, *, positive: tuple[str, ...] = ()) -> None:
    """Refuse negative, infinite or NaN numbers in a dataclass, and zero in its `positive` fields.

    Raises:
        UsageError: naming the field.
    """
    for field in fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, int | float):
            continue
        if not math.isfinite(value) or value < 0 or (value == 0 and field.name in positive):
            expected = "above 0" if field.name in positive else "0 or more"
            raise UsageError(f"{setting(field.name)} is {value}; it should be {expected}")


def to_dict(config: Any) -> dict[str, Any]:
    """A dataclass as plain values, for JSON."""
    return asdict(config)


def from_dict(kind: type[T], values: Mapping[str, Any], *, where: str, **built: Any) -> T:
    """A dataclass from plain values; fields that are left out keep their defaults, `built` ones are taken as they are.

    Raises:
        UsageError: an unknown field, or a value of the wrong type; the message gives its whole path from `where`.
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
        return tuple(_read(k, v, f"{where}[{i}]") for i, (k, v) in enumerate(zip(kinds, value, strict=True)))
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
