"""Load a PyTorch checkpoint of another toolkit: its generator is recognised by the names and shapes of its weights."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, TypeAlias

import torch
from torch import Tensor

from i2i.device import isolated
from i2i.errors import UsageError
from i2i.model_file.rebuild import Listed, limited_to
from i2i.networks import Generator, build_generator
from i2i.networks.skip_init import SkipInit
from i2i.plugins import discover
from i2i.registry import Registry
from i2i.spec import Spec

SUFFIXES = (".pth", ".pt", ".ckpt", ".bin")
Tensors: TypeAlias = Mapping[str, Tensor]
Layer: TypeAlias = dict[str, Tensor]  # `weight`, `bias`, `running_mean`, ... of a convolution or a norm
_WRAPPED = ("state_dict", "model_state_dict", "netG", "net_g", "generator", "params", "model")
_COUNTER = "num_batches_tracked"  # older checkpoints lack it
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)  # of weights, and of counters


class Recognised(NamedTuple):
    """A generator of another toolkit.

    Attributes:
        generator: with its weights, in evaluation mode, on the CPU.
        toolkit: what wrote it, in words.
        method: the method that most likely trained it.
        image_size: height and width, in pixels, of the images that it most likely learned from.
    """

    generator: Generator
    toolkit: str
    method: str
    image_size: int


class Layout(ABC):
    """How a toolkit names the weights of a generator; it registers itself in `layouts` and is found in this folder.

    Attributes:
        toolkit: what writes such files, in words.
        telling: an entry that a checkpoint of this layout has and no other.
        method: the method that trains it.
        image_size: height and width of training images, in pixels, by the toolkit's defaults.
    """

    toolkit: ClassVar[str]
    telling: ClassVar[str]
    method: ClassVar[str]
    image_size: ClassVar[int] = 256

    def fits(self, tensors: Tensors) -> bool:
        """Whether a checkpoint has this layout."""
        return self.telling in tensors

    @abstractmethod
    def spec(self, tensors: Tensors) -> tuple[str, dict[str, Any]]:
        """Our generator and its options, in_channels and out_channels among them.

        Raises:
            UsageError: it has something that our generator lacks. Other errors say that entries are missing.
        """

    def layers(self, tensors: Tensors) -> list[Layer]:
        """The convolutions and norms in our order, which is that of the file unless a subclass says otherwise."""
        return list(layers_of(tensors).values())

    def trained_by(self, generator: Generator) -> str:  # noqa: ARG002
        """The method that most likely trained a generator of this layout."""
        return self.method


layouts: Registry[Layout] = Registry("layout of weights", base=Layout)


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a PyTorch checkpoint, by its suffix."""
    return path.suffix.lower() in SUFFIXES


def load_checkpoint(path: Path) -> Recognised:
    """Load the generator of a PyTorch checkpoint, without running code that may be in it.

    Raises:
        UsageError: it can't be read, or is no generator that is known; the message says what is nearest.
    """
    discover("i2i.model_file.toolkits")
    with isolated():
        tensors = _read(path)
        layout = next((built for built in map(_build, layouts) if built.fits(tensors)), None)
        if layout is None:
            raise UsageError(_unknown(path, tensors))
        try:
            generator = _rebuild(layout, tensors)
        except UsageError as error:
            raise UsageError(f"{path} looks like {layout.toolkit}: {error.args[0]}") from None
        except Exception as error:  # an entry is missing, or has a shape that no such generator has
            raise UsageError(f"{path} looks like {layout.toolkit}, but isn't whole ({error})") from None
    return Recognised(generator, layout.toolkit, layout.trained_by(generator), layout.image_size)


def _rebuild(layout: Layout, tensors: Tensors) -> Generator:
    """The generator of a checkpoint, which is no larger than its tensors."""
    name, options = layout.spec(tensors)
    if min(options["in_channels"], options["out_channels"]) < 1:
        raise UsageError(f"{options['in_channels']} channels in and {options['out_channels']} out")
    given = {name: Listed(str(tensor.dtype), tuple(tensor.shape)) for name, tensor in tensors.items()}
    with torch.random.fork_rng(devices=[]), SkipInit(), torch.device("meta"), limited_to(given):
        planned = build_generator(Spec(name, options))
    state = _fitted(planned, layout.layers(tensors))
    with torch.random.fork_rng(devices=[]), SkipInit():
        generator = build_generator(planned.spec)
    generator.load_state_dict(state)
    return generator.eval().requires_grad_(False)


def layers_of(tensors: Tensors) -> dict[str, Layer]:
    """The tensors of each convolution and norm by the prefix of their names, in the order of the file.

    Filters of fixed values and the statistics of norms without weights are left out: they are computed.
    """
    layers: dict[str, Layer] = {}
    for name, tensor in tensors.items():
        prefix, _, leaf = name.rpartition(".")
        layers.setdefault(prefix, {})[leaf] = tensor
    return {prefix: layer for prefix, layer in layers.items() if "weight" in layer}


def convolutions_of(layers: Iterable[Layer]) -> list[Tensor]:
    """The weights of the convolutions among layers."""
    return [layer["weight"] for layer in layers if layer["weight"].dim() == 4]


def norm_of(layers: list[Layer]) -> str | None:
    """The norm of a generator, by its layers: only batch norm has weights; before instance norm, layers have biases."""
    if any(layer["weight"].dim() == 1 for layer in layers):
        return "batch"
    return "instance" if all("bias" in layer for layer in layers) else None


def _build(name: str) -> Layout:
    layout: Layout = layouts[name]()
    return layout


def _read(path: Path) -> dict[str, Tensor]:
    try:
        _check_archive(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file") from None
    except Exception as error:  # PyTorch has many kinds for damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:120]
        raise UsageError(
            f"{path} is no checkpoint of weights alone ({reason}); save the generator's state_dict() with the toolkit "
            "that wrote it"
        ) from None
    for key in _WRAPPED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping):
        raise UsageError(f"{path} holds a {type(content).__name__}, where the weights of a generator are expected")
    tensors = {str(name).removeprefix("module."): value for name, value in content.items()}
    room = path.stat().st_size
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise UsageError(f"{path} holds {name[:80]!r} beside weights, where those of a generator are expected")
        dense = tensor.layout == torch.strided and tensor.device.type == "cpu"
        room -= tensor.numel() * tensor.element_size() if dense else 0
        if not dense or tensor.dtype not in _DTYPES or room < 0:
            raise UsageError(f"{path} is damaged: {name[:80]} is no plain tensor of weights, or larger than the file")
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise UsageError(f"{path}: {name[:80]} has NaN or infinite values")
    return tensors


def _check_archive(path: Path) -> None:
    """Refuse a zip file that unpacks to more than it holds; PyTorch packs nothing."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("its entries are packed")


def _fitted(planned: Generator, layers: list[Layer]) -> dict[str, Tensor]:
    """The state of a generator, built without memory, with the weights of these layers in its own order."""
    wanted_state = planned.state_dict()
    ours = layers_of(wanted_state)
    if len(ours) != len(layers):
        raise UsageError(f"it has {len(layers)} layers with weights, where '{planned.spec}' has {len(ours)}")
    state = {}
    for (prefix, wanted), given in zip(ours.items(), layers, strict=True):
        for leaf in given.keys() - wanted.keys() - {_COUNTER}:
            raise UsageError(f"a {leaf} of shape {tuple(given[leaf].shape)} has no place in '{planned.spec}'")
        for leaf, tensor in wanted.items():
            if leaf not in given:  # a layer without bias is one whose bias is 0
                state[f"{prefix}.{leaf}"] = torch.zeros(tensor.shape, dtype=tensor.dtype)
            elif given[leaf].shape != tensor.shape:
                shapes = f"{tuple(given[leaf].shape)}, where '{planned.spec}' has {tuple(tensor.shape)}"
                raise UsageError(f"{prefix}.{leaf} would have shape {shapes}")
            else:
                state[f"{prefix}.{leaf}"] = given[leaf].to(tensor.dtype)
    return state


def _unknown(path: Path, tensors: Tensors) -> str:
    def alike(layout: Layout) -> int:
        start = layout.telling.partition(".")[0]
        return sum(name.startswith(start) for name in tensors)

    nearest = max(map(_build, layouts), key=alike)
    found = ", ".join(list(tensors)[:3]) or "nothing"
    return (
        f"{path} holds {found[:160]}, ..., which is no generator that i2i knows; nearest is {nearest.toolkit}, which "
        f"has {nearest.telling}. A discriminator or an encoder can't translate"
    )
