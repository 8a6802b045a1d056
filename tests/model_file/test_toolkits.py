"""Checkpoints of other toolkits: what is recognised, what it computes, and what is refused.

The names of the weights are written down here as those toolkits have them, and the results are compared with the
published networks in plain tensor operations.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from i2i import Translator, UsageError, translate
from i2i.cli import main
from i2i.model_file import load_model, read_header
from support import published
from support.images import noise

WIDTH = 4
X = torch.rand(1, 3, 64, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape) * (0.2 if len(shape) > 1 else 0.1)


def normed(name: str, channels: int) -> dict[str, Tensor]:
    """Batch norm, without the counter that old checkpoints lack."""
    return {
        f"{name}.weight": 1 + drawn(channels),
        f"{name}.bias": drawn(channels),
        f"{name}.running_mean": torch.zeros(channels),
        f"{name}.running_var": torch.ones(channels),
    }


def unet(depth: int = 5, *, norm: str = "batch", channels: tuple[int, int] = (3, 3)) -> dict[str, Tensor]:
    """UnetGenerator of pytorch-CycleGAN-and-pix2pix: block inside block."""
    widths = [WIDTH * min(2**level, 8) for level in range(depth)]

    def convolution(name: str, *shape: int, bias: bool, out: int) -> dict[str, Tensor]:
        return {f"{name}.weight": drawn(*shape, 4, 4)} | ({f"{name}.bias": drawn(out)} if bias else {})

    def block(name: str, level: int) -> dict[str, Tensor]:
        outermost, innermost = level == 0, level == depth - 1
        bias, index = norm == "instance", 0 if outermost else 1
        taken = channels[0] if outermost else widths[level - 1]
        found = convolution(f"{name}.{index}", widths[level], taken, bias=bias, out=widths[level])
        index += 1
        if not outermost and not innermost:
            found |= normed(f"{name}.{index}", widths[level]) if norm == "batch" else {}
            index += 1
        if not innermost:
            found |= block(f"{name}.{index}.model", level + 1)
            index += 1
        index += 1  # ReLU
        below, above = widths[level] * (1 if innermost else 2), channels[1] if outermost else widths[level - 1]
        found |= convolution(f"{name}.{index}", below, above, bias=bias or outermost, out=above)
        if not outermost and norm == "batch":
            found |= normed(f"{name}.{index + 1}", above)
        return found

    return block("model.model", 0)


def resnet(blocks: int = 2, *, cut: bool = False) -> dict[str, Tensor]:
    """ResnetGenerator of pytorch-CycleGAN-and-pix2pix, or that of CUT with its filters."""

    def layer(index: str, out: int, taken: int, size: int, *, up: bool = False) -> dict[str, Tensor]:
        shape = (taken, out) if up else (out, taken)
        return {f"model.{index}.weight": drawn(*shape, size, size), f"model.{index}.bias": drawn(out)}

    index, step = 1, 4 if cut else 3
    found = layer("1", WIDTH, 3, 7)
    for level in range(2):
        index = 4 + step * level
        found |= layer(str(index), WIDTH * 2 ** (level + 1), WIDTH * 2**level, 3)
        found |= {f"model.{index + 3}.filt": torch.ones(8, 1, 3, 3)} if cut else {}
    index += step
    for _ in range(blocks):
        for convolution in (1, 5):
            found |= layer(f"{index}.conv_block.{convolution}", 4 * WIDTH, 4 * WIDTH, 3)
        index += 1
    for level in (1, 0):
        found |= {f"model.{index}.filt": torch.ones(8, 1, 4, 4)} if cut else {}
        index += 1 if cut else 0
        found |= layer(str(index), WIDTH * 2**level, WIDTH * 2 ** (level + 1), 3, up=not cut)
        index += 3
    return found | layer(str(index + 1), 3, WIDTH, 7)


def bicyclegan(depth: int = 6, latent: int = 3) -> dict[str, Tensor]:
    """G_Unet_add_all of BicycleGAN, whose decoder takes the skip second."""
    widths = [WIDTH * min(2**level, 8) for level in range(depth)]

    def block(name: str, level: int) -> dict[str, Tensor]:
        taken = (widths[level - 1] if level else 3) + latent
        down = f"{name}.down.{1 if level else 0}"
        found = {f"{down}.weight": drawn(widths[level], taken, 4, 4), f"{down}.bias": drawn(widths[level])}
        if level < depth - 1:
            found |= block(f"{name}.submodule", level + 1)
        below, above = widths[level] * (1 if level == depth - 1 else 2), widths[level - 1] if level else 3
        return found | {f"{name}.up.1.weight": drawn(below, above, 4, 4), f"{name}.up.1.bias": drawn(above)}

    return block("model", 0)


def enhancer() -> dict[str, Tensor]:
    """LocalEnhancer of pix2pixHD with two halvings and a block in the global generator, and a block of its own."""

    def layer(name: str, out: int, taken: int, size: int, *, up: bool = False) -> dict[str, Tensor]:
        shape = (taken, out) if up else (out, taken)
        return {f"{name}.weight": drawn(*shape, size, size), f"{name}.bias": drawn(out)}

    w = WIDTH
    found = layer("model.1", w, 3, 7) | layer("model.4", 2 * w, w, 3) | layer("model.7", 4 * w, 2 * w, 3)
    for convolution in (1, 5):
        found |= layer(f"model.10.conv_block.{convolution}", 4 * w, 4 * w, 3)
    found |= layer("model.11", 2 * w, 4 * w, 3, up=True) | layer("model.14", w, 2 * w, 3, up=True)
    found |= layer("model1_1.1", w // 2, 3, 7) | layer("model1_1.4", w, w // 2, 3)
    for convolution in (1, 5):
        found |= layer(f"model1_2.0.conv_block.{convolution}", w, w, 3)
    return found | layer("model1_2.1", w // 2, w, 3, up=True) | layer("model1_2.5", 3, w // 2, 7)


def weights_of(checkpoint: dict[str, Tensor]) -> list[Tensor]:
    return [tensor for name, tensor in checkpoint.items() if not name.endswith(("running_mean", "running_var", "filt"))]


def saved(path: Path, checkpoint: object) -> Path:
    torch.save(checkpoint, path)
    return path


def bicyclegan_published(checkpoint: dict[str, Tensor], z: Tensor) -> Tensor:
    """The same with the halves of each decoder layer's input in the published order."""

    def turned() -> Iterator[Tensor]:
        for name, tensor in checkpoint.items():
            skipped = ".up." in name and name.endswith("weight") and name.count("submodule") < 5
            yield torch.cat(tensor.chunk(2)[::-1]) if skipped else tensor

    return published.unet(list(turned()), with_room(X), depth=6, norm="instance", z=z)


def with_room(x: Tensor) -> Tensor:
    """An image that halves six times."""
    return x.repeat(1, 1, 2, 4)


@pytest.mark.parametrize("wrapped", ["plainly", "by DataParallel", "in a dict"])
@pytest.mark.parametrize(
    ("checkpoint", "expected", "method"),
    [
        (lambda: unet(norm="batch"), lambda w: published.unet(w, X, depth=5, norm="batch"), "pix2pix"),
        (lambda: unet(norm="instance"), lambda w: published.unet(w, X, depth=5, norm="instance"), "pix2pix"),
        (resnet, lambda w: published.resnet(w, X, blocks=2), "cyclegan"),
        (lambda: resnet(5, cut=True), lambda w: published.cut_resnet(w, X, blocks=5)[0], "cut"),
    ],
)
def test_it_computes_what_was_published(
    checkpoint: Callable, expected: Callable, method: str, wrapped: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    tensors = checkpoint()
    if wrapped == "by DataParallel":
        content: object = {f"module.{name}": tensor for name, tensor in tensors.items()}
    else:
        content = tensors if wrapped == "plainly" else {"state_dict": tensors, "epoch": 3}
    model = load_model(saved(tmp_path / "latest_net_G.pth", content))
    torch.testing.assert_close(model.generators["a2b"](X), expected(weights_of(tensors)), atol=1e-5, rtol=1e-4)
    assert model.config["method"] == method


def test_the_latent_of_bicyclegan_and_its_order_of_skips(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors, z = bicyclegan(), torch.randn(1, 3)
    generator = load_model(saved(tmp_path / "x.pth", tensors)).generators["a2b"]
    assert generator.spec.options["latent"] == 3
    torch.testing.assert_close(generator(with_room(X), z), bicyclegan_published(tensors, z), atol=1e-5, rtol=1e-4)


def test_the_enhancer_of_pix2pixhd(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = enhancer()
    generator = load_model(saved(tmp_path / "x.pth", tensors)).generators["a2b"]
    options = {"depth": 2, "blocks": 1, "enhancers": 1, "enhancer_blocks": 1, "width": WIDTH}
    assert {name: generator.spec.options[name] for name in options} == options
    expected = published.coarse_to_fine(weights_of(tensors), X, depth=2, blocks=1, enhancer_blocks=1)
    torch.testing.assert_close(generator(X), expected, atol=1e-5, rtol=1e-4)


def test_pix2pix_keeps_its_dropout_where_its_code_has_it(tmp_path: Path) -> None:
    options = load_model(saved(tmp_path / "x.pth", unet(7))).generators["a2b"].spec.options
    assert (options["dropout"], options["dropout_layers"], options["dropout_at_inference"]) == (0.5, "code", True)
    generator = load_model(tmp_path / "x.pth").generators["a2b"]
    assert [any("Dropout" in type(layer).__name__ for layer in up) for up in generator.up] == [
        *(False, True, True, False, False, False, False)
    ]


def test_it_is_used_like_a_model_file(pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    file, output = saved(tmp_path / "latest_net_G.pth", resnet()), tmp_path / "model.safetensors"
    image = noise(40, 50, 3)
    expected = translate(image, file)
    assert read_header(file)["maps"].keys() == {"a2b"}
    assert main(["info", str(file)]) == 0
    assert main(["import", str(file), str(output), "--domains", "horse", "zebra", "--image-size", "64"]) == 0
    assert "horse -> zebra, a ResNet of pytorch-CycleGAN-and-pix2pix" in capsys.readouterr().out
    translator = Translator.load(output)
    assert (translator.domains, translator.image_size) == (("horse", "zebra"), 64)
    assert np.array_equal(translator(image), expected)
    half = tmp_path / "half.safetensors"
    assert main(["import", str(file), str(half), "--half"]) == 0
    assert half.stat().st_size < 0.7 * output.stat().st_size
    assert np.abs(translate(image, half).astype(int) - expected).max() <= 2
    assert main(["import", str(file), str(output)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    words = ["train", "pix2pix", str(pairs), "--init", str(file), "--generator", "resnet:blocks=2,width=4"]
    words += ["--discriminator", "patchgan:width=4,layers=1", "--image-size", "32", "--steps", "1", "--lr", "1e-30"]
    words += ["--workers", "0", "--validate-every", "0", "--run", str(tmp_path / "run")]
    assert main(words) == 0
    assert np.array_equal(translate(image, tmp_path / "run"), expected)
    for other in ("resnet:blocks=1,width=4", "resnet:blocks=2,width=4,dropout=0.5"):
        assert main([*words[:-1], str(tmp_path / "other"), "--generator", other]) == 2
        assert "use --generator resnet:in_channels=3" in capsys.readouterr().err
    file.unlink()  # a run that is resumed has weights of its own
    assert main(["train", "pix2pix", "--run", str(tmp_path / "run"), "--resume", "--steps", "2", "--workers", "0"]) == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--image-size", "100000"], "from 1 to 65536"),
        (["--domains", "a", "a"], "two different names"),
    ],
)
def test_what_a_model_file_can_not_hold_is_refused(
    flags: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = saved(tmp_path / "x.pth", resnet())
    assert main(["import", str(file), str(tmp_path / "x.safetensors"), *flags]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "x.safetensors").exists()


def test_a_file_that_asks_for_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    huge = {**unet(), "model.model.0.weight": torch.zeros(1).expand(2**16, 3, 4, 4)}
    plain = saved(tmp_path / "plain.pth", {"model.1.weight": torch.zeros(2**22)})
    packed = tmp_path / "packed.pth"
    with zipfile.ZipFile(plain) as entries, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries.infolist():
            archive.writestr(entry.filename, entries.read(entry))
    assert packed.stat().st_size < 2**16
    wide = {**unet(), "model.model.0.weight": torch.zeros(2**13, 3, 4, 4)}
    sparse = {"model.1.weight": torch.zeros(2, 2).to_sparse()}
    for file, message in (
        (saved(tmp_path / "huge.pth", huge), "no plain tensor of weights, or larger than the file"),
        (packed, "its entries are packed"),
        (saved(tmp_path / "wide.pth", wide), "far larger than"),
        (saved(tmp_path / "sparse.pth", sparse), "no plain tensor of weights|no checkpoint of weights alone"),
        (saved(tmp_path / "meta.pth", {"model.1.weight": torch.zeros(9, device="meta")}), "no plain tensor of weights"),
    ):
        with pytest.raises(UsageError, match=message):
            load_model(file)


def test_damaged_checkpoints_end_in_a_line(tmp_path: Path) -> None:
    whole, rng = saved(tmp_path / "x.pth", resnet()).read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[rng.integers(0, len(damaged), 40)] = rng.integers(0, 256, 40)
        (tmp_path / "x.pth").write_bytes(damaged[: rng.integers(100, len(damaged))].tobytes())
        with pytest.raises(UsageError, match=r"^[^\n]*$"):
            load_model(tmp_path / "x.pth")


class Harmful:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("harmed"),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model.0.weight": torch.zeros(4, 3, 4, 4)}, "no generator that i2i knows; nearest is"),
        ({"weights": Harmful()}, "no checkpoint of weights alone"),
        ([1, 2], "holds a list"),
        ({**resnet(), "epoch": 3}, "'epoch' beside weights"),
        ({**resnet(), "model.4.weight": torch.zeros(8, 4, 5, 5)}, "would have shape (8, 4, 5, 5), where"),
        ({name: tensor for name, tensor in unet().items() if ".6." not in name}, "layers with weights, where"),
        ({**resnet(), "model.1.bias": torch.full((WIDTH,), torch.nan)}, "NaN or infinite"),
        (unet(norm="instance", channels=(11, 3)), "may be BicycleGAN's with --where_add input"),
    ],
)
def test_what_is_not_known_is_refused(
    content: object, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path / "x.pth", content)
    with pytest.raises(UsageError) as refused:
        Translator.load(file)
    assert message in refused.value.args[0]
    assert "\n" not in refused.value.args[0]
    assert not (tmp_path / "harmed").exists()
