"""translate() on every type, at every size, alone and in company."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import io
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from i2i import Generator, ImageError, Spec, Translator, UsageError, translate
from i2i.inference.memory import free_memory
from i2i.inference.options import Callbacks
from i2i.model_file import Model, save_model
from i2i.networks import build_generator
from support.forked import Server


class Same(Generator):
    """Changes nothing."""

    def __init__(self, *, multiple: int = 1, smallest: int = 1) -> None:
        super().__init__()
        self.in_channels = self.out_channels = 3
        self.multiple, self.smallest = multiple, smallest
        self.spec = Spec("same")
        self.seen: list[tuple[int, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.seen.append(tuple(x.shape))
        return x


class Red(Same):
    """Gives red, whatever it is shown."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.ones_like(x[:, 0]), -torch.ones_like(x[:, 0]), -torch.ones_like(x[:, 0])], dim=1)


def translator(generator: Generator) -> Translator:
    return Translator.from_model(Model({"a2b": generator}, ("a", "b"), {}, {}, 0), device="cpu")


@pytest.fixture
def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_every_type_comes_back_as_it_went_in(run: Path, photo: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "photo.png")
    array = np.asarray(photo)
    tensor = torch.from_numpy(array.copy()).permute(2, 0, 1)
    expected = np.asarray(translate(photo, run))
    assert expected.shape == (37, 53, 3)
    for given in (tmp_path / "photo.png", str(tmp_path / "photo.png"), png(photo)):
        result = translate(given, run)
        assert isinstance(result, Image.Image)
        assert (np.asarray(result) == expected).all()
    assert (translate(array, run) == expected).all()
    assert torch.equal(translate(tensor, run), torch.from_numpy(expected.copy()).permute(2, 0, 1))
    inside = tensor.float() / 127.5 - 1
    for given in (inside, inside.numpy().transpose(1, 2, 0)):
        result = translate(given, run)
        assert type(result) is type(given)
        assert result.shape == given.shape
        pixels = (torch.as_tensor(result) + 1) * 127.5
        wanted = torch.from_numpy(expected.astype(np.float32))
        assert (pixels.round() == (wanted.permute(2, 0, 1) if isinstance(result, Tensor) else wanted)).all()
    batch = translate(torch.stack([tensor, tensor.flip(-1)]), run)
    assert batch.shape == (2, 3, 37, 53)
    assert (batch[0].float() - translate(tensor, run).float()).abs().max() <= 1


@pytest.mark.parametrize(
    "make",
    [
        lambda: Image.new("L", (9, 7), 77),
        lambda: Image.new("LA", (9, 7), (77, 30)),
        lambda: Image.new("RGB", (9, 7), (1, 2, 3)),
        lambda: Image.new("RGBA", (9, 7), (1, 2, 3, 4)),
        lambda: Image.fromarray(np.arange(63, dtype=np.uint16).reshape(7, 9) * 1000),
    ],
)
def test_an_identity_gives_the_identical_image(make: Callable[[], Image.Image]) -> None:
    image = make()
    result = translator(Same(multiple=4, smallest=16))(image)
    assert result.mode == image.mode
    assert result.tobytes() == image.tobytes()


def test_grey_stays_grey_until_there_is_colour_and_alpha_stays() -> None:
    red = translator(Red())
    assert red(Image.new("L", (4, 4))).mode == "RGB"
    result = np.asarray(red(Image.new("RGBA", (4, 4), (9, 9, 9, 40))))
    assert (result == (255, 0, 0, 40)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (16, 16), (17, 33), (300, 5)])
def test_any_size_is_padded_to_what_the_network_takes_and_cropped_back(size: tuple[int, int]) -> None:
    generator = Same(multiple=16, smallest=32)
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert (translator(generator)(image) == image).all()
    _, _, height, width = generator.seen[0]
    assert height % 16 == width % 16 == 0
    assert min(height, width) >= 32
    assert height - size[0] < 32
    assert width - size[1] < 32


def test_neighbours_of_one_size_go_together_and_order_is_kept() -> None:
    generator = Same()
    images = [np.full((h, 5, 3), n, np.uint8) for n, h in enumerate([4, 4, 4, 6, 6, 4])]
    results = list(translator(generator).batch(iter(images), batch_size=2))
    assert [shape[0] for shape in generator.seen] == [2, 1, 2, 1]
    assert [int(result[0, 0, 0]) for result in results] == list(range(6))


def test_an_image_is_the_same_alone_and_in_a_batch(run: Path) -> None:
    images = [np.random.default_rng(n).integers(0, 256, (32, 32, 3), dtype=np.uint8) for n in range(4)]
    one = Translator.load(run, device="cpu")
    alone = [one(image) for image in images]
    for together, single in zip(one.batch(images), alone, strict=True):
        assert np.abs(together.astype(int) - single).max() <= 1


def test_threads_may_share_a_translator(run: Path) -> None:
    one = Translator.load(run, device="cpu")
    images = [np.random.default_rng(n).integers(0, 256, (32, 48, 3), dtype=np.uint8) for n in range(8)]
    alone = [one(image) for image in images]
    results: list[Any] = [None] * len(images)

    def work(index: int) -> None:
        results[index] = one(images[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((a == b).all() for a, b in zip(alone, results, strict=True))


def test_a_result_can_be_used_in_a_loss(run: Path) -> None:
    weight = nn.Parameter(torch.ones(()))
    (translate(-torch.ones(3, 32, 32), run) * weight).sum().backward()
    assert weight.grad is not None


def test_a_model_that_knows_both_ways(unpaired: Path, tmp_path: Path) -> None:
    from i2i.cli import main

    small = ["--generator", "resnet:blocks=1,width=4", "--discriminator", "patchgan:layers=1,width=4"]
    words = ["--image-size", "32", "--steps", "2", "--domains", "drawing", "photo", "--run", str(tmp_path / "run")]
    assert main(["train", "cyclegan", str(unpaired), *small, *words]) == 0
    image = Image.new("RGB", (20, 20), (200, 30, 90))
    to_photo, to_drawing = (Translator.load(tmp_path / "run", to=name, device="cpu") for name in ("photo", "drawing"))
    assert (to_photo.direction, to_photo.domains) == ("a2b", ("drawing", "photo"))
    assert (to_drawing.direction, to_drawing.domains) == ("b2a", ("photo", "drawing"))
    assert to_photo(image).tobytes() == translate(image, tmp_path / "run").tobytes()
    assert to_drawing(image).tobytes() == translate(image, tmp_path / "run", to="drawing").tobytes()
    assert to_photo(image).tobytes() != to_drawing(image).tobytes()
    with pytest.raises(UsageError, match="did you mean 'photo'"):
        translate(image, tmp_path / "run", to="photos")


def test_a_changed_model_file_is_loaded_again(run: Path, unpaired: Path, tmp_path: Path) -> None:
    from i2i.model_file import load_model, save_model

    file = tmp_path / "model.safetensors"
    file.write_bytes((run / "model.safetensors").read_bytes())
    image = Image.new("RGB", (32, 32), (200, 30, 90))
    before = translate(image, file)
    model = load_model(file)
    with torch.no_grad():
        for parameter in model.generators["a2b"].parameters():
            parameter.mul_(2)
    save_model(file, model)
    assert translate(image, file).tobytes() != before.tobytes()


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("nowhere.png", "nowhere.png"),
        (b"no image", "not an image"),
        (12, "int is not an image"),
        (np.zeros((4, 4, 3), np.int64), "int64"),
        (np.zeros((4,), np.uint8), "shape"),
        (torch.full((3, 4, 4), 7.0), r"\[-1, 1\]"),
        (torch.zeros(5, 4, 4), "5 channels"),
    ],
)
def test_non_images_are_refused(image: Any, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        translator(Same())(image)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with many outputs for an input, which differ enough to be told apart."""
    torch.manual_seed(0)
    spec = "unet:depth=3,width=4,norm=instance,dropout=0,latent=4"
    generator = build_generator(spec, in_channels=3, out_channels=3)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 10 if parameter.dim() > 1 else 1
    file = tmp_path_factory.mktemp("many") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 16}, {}, 0))
    return file


def apart(one: Any, two: Any) -> int:
    """The largest difference of two images, in levels."""
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(two)).max())


def test_a_seed_chooses_one_of_many_outputs(many: Path, photo: Image.Image) -> None:
    one = Translator.load(many, device="cpu")
    first = one(photo, seed=3)
    assert first.size == photo.size
    torch.rand(3)
    assert one(photo, seed=3).tobytes() == first.tobytes()
    assert translate(photo, many, device="cpu", seed=3).tobytes() == first.tobytes()
    assert translate(photo, one, seed=3).tobytes() == first.tobytes()
    outputs = [one(photo, seed=seed) for seed in range(5)]
    assert min(apart(outputs[i], outputs[j]) for i in range(5) for j in range(i)) > 5
    assert one(photo).tobytes() == outputs[0].tobytes()


def test_a_seed_is_a_latent_from_the_normal_distribution(many: Path, photo: Image.Image) -> None:
    one = Translator.load(many, device="cpu")
    x = torch.from_numpy(np.asarray(photo.crop((0, 0, 32, 16))).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    z = torch.from_numpy(np.random.default_rng(7).standard_normal((1, 4), np.float32))
    with torch.no_grad():
        torch.testing.assert_close(one(x, seed=7), one.backend.generator(x, z))


def test_seeds_leave_the_random_state_alone(many: Path, photo: Image.Image) -> None:
    before = torch.get_rng_state()
    translate(photo, many, device="cpu", samples=2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(("seed", "seeds"), [(None, [0, 1, 2]), (0, [0, 1, 2]), (5, [5, 6, 7])])
def test_samples_are_those_of_the_seeds_that_follow(
    many: Path, photo: Image.Image, seed: int | None, seeds: list[int]
) -> None:
    one = Translator.load(many, device="cpu")
    found = one(photo, seed=seed, samples=3)
    assert isinstance(found, list)
    assert [apart(image, one(photo, seed=of)) <= 1 for image, of in zip(found, seeds, strict=True)] == [True] * 3
    assert [image.tobytes() for image in translate(photo, many, device="cpu", seed=seed, samples=3)] == [
        image.tobytes() for image in found
    ]
    assert len(one(photo, samples=1)) == 1


def test_samples_have_the_type_of_the_input(many: Path, photo: Image.Image) -> None:
    one = Translator.load(many, device="cpu")
    for given in (np.asarray(photo), -torch.ones(3, 16, 16), -torch.ones(2, 3, 16, 16)):
        for result in one(given, samples=2):
            assert type(result) is type(given)
            assert result.shape == given.shape


def test_the_images_of_a_batch_tensor_share_their_seed(many: Path) -> None:
    one = Translator.load(many, device="cpu")
    x = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    y = one(x.expand(3, -1, -1, -1), seed=4)
    torch.testing.assert_close(y, one(x, seed=4).expand(3, -1, -1, -1), rtol=0, atol=1e-4)


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_each_image_of_a_batch_has_its_own_seed(many: Path, batch_size: int) -> None:
    one = Translator.load(many, device="cpu")
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (16, wide, 3), dtype=np.uint8) for wide in (16, 16, 24, 16, 16)]
    seeds = [4, 0, 4, 9, 4]
    alone = [one(image, seed=seed) for image, seed in zip(images, seeds, strict=True)]
    together = list(one.batch(iter(images), batch_size=batch_size, seeds=iter(seeds)))
    assert [apart(a, b) <= 1 for a, b in zip(alone, together, strict=True)] == [True] * 5
    as_0 = list(one.batch(images, batch_size=batch_size))
    assert [apart(a, b) <= 1 for a, b in zip(as_0, together, strict=True)] == [False, True, False, False, False]
    assert [apart(a, one(image)) <= 1 for a, image in zip(as_0, images, strict=True)] == [True] * 5


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_seeds_as_images(many: Path, count: int) -> None:
    images = [np.zeros((16, 16, 3), np.uint8)] * 3
    with pytest.raises(ValueError, match=r"argument 2 is (shorter|longer) than argument 1"):
        list(Translator.load(many, device="cpu").batch(images, seeds=range(count)))


def test_a_seed_of_a_model_with_one_output_is_refused(run: Path, photo: Image.Image) -> None:
    one, said = Translator.load(run, device="cpu"), "this model gives one output for an input; leave out seed and samp"
    for options in ({"seed": 0}, {"samples": 1}, {"seed": 2, "samples": 3}):
        with pytest.raises(UsageError, match=said):
            one(photo, **options)
        with pytest.raises(UsageError, match=said):
            translate(photo, run, device="cpu", **options)
    with pytest.raises(UsageError, match=said):
        list(one.batch([photo], seeds=[0]))


@pytest.mark.parametrize("samples", [0, -1])
def test_no_samples_are_refused(many: Path, photo: Image.Image, samples: int) -> None:
    with pytest.raises(UsageError, match=f"^samples {samples}: it must be 1 or more$"):
        translate(photo, many, device="cpu", samples=samples)


def test_threads_may_share_a_translator_of_many_outputs(many: Path) -> None:
    one = Translator.load(many, device="cpu")
    images = [np.random.default_rng(n).integers(0, 256, (16, 24, 3), dtype=np.uint8) for n in range(6)]
    alone = [one(image, seed=seed) for seed, image in enumerate(images)]
    results: list[Any] = [None] * len(images)

    def work(index: int) -> None:
        results[index] = one(images[index], seed=index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((a == b).all() for a, b in zip(alone, results, strict=True))


def made(spec: str) -> Generator:
    """A small network whose outputs differ from place to place."""
    torch.manual_seed(0)
    generator = build_generator(spec, in_channels=3, out_channels=3)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 5 if parameter.dim() > 1 else 1
    return generator


@pytest.fixture(scope="module")
def resnet() -> Translator:
    return translator(made("resnet:blocks=1,width=4"))


def scene(height: int, width: int, channels: int, dtype: Any = np.uint8) -> Any:
    """An image that is darker on the left, so that its tiles have other statistics than it has: (H, W, C)."""
    noise = np.random.default_rng(0).uniform(0, 0.3, (height, width, channels))
    values = noise + np.linspace(0, 0.7, width)[:, None]
    if np.issubdtype(dtype, np.floating):
        return (values * 2 - 1).astype(dtype)
    return (values * np.iinfo(dtype).max).astype(dtype)


def values(image: Any) -> Any:
    """What an image holds, from 0 or -1 to 1."""
    array = image.numpy() if isinstance(image, Tensor) else np.asarray(image)
    return array.astype(np.float64) / (np.iinfo(array.dtype).max if np.issubdtype(array.dtype, np.integer) else 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda _: Image.fromarray(scene(37, 53, 3)),
        lambda _: Image.fromarray(scene(37, 53, 4)),
        lambda _: Image.fromarray(scene(37, 53, 4)).convert("LA"),
        lambda folder: folder / "photo.png",
        lambda folder: str(folder / "photo.png"),
        lambda folder: (folder / "photo.png").read_bytes(),
        lambda _: scene(37, 53, 3),
        lambda _: scene(37, 53, 1)[..., 0],
        lambda _: scene(37, 53, 4, np.uint16),
        lambda _: scene(37, 53, 3, np.float32),
        lambda _: scene(37, 53, 3, np.float64),
        lambda _: torch.from_numpy(scene(37, 53, 3, np.float32)).permute(2, 0, 1),
        lambda _: torch.from_numpy(scene(37, 53, 3)).permute(2, 0, 1),
        lambda _: torch.from_numpy(np.stack([scene(24, 36, 3), 255 - scene(24, 36, 3)])).permute(0, 3, 1, 2),
        lambda _: torch.from_numpy(np.stack([scene(9, 36, 3, np.float32)] * 2)).permute(0, 3, 1, 2),
    ],
    ids=[
        *("image", "rgba", "la", "path", "name", "bytes", "levels", "grey", "deep", "floats", "doubles", "tensor"),
        *("level-tensor", "batch", "float-batch"),
    ],
)
def test_tiles_give_every_type_the_same_image(resnet: Translator, make: Callable[[Path], Any], tmp_path: Path) -> None:
    Image.fromarray(scene(37, 53, 3)).save(tmp_path / "photo.png")
    given = make(tmp_path)
    whole, tiles = resnet(given), resnet(given, tile=16)
    assert type(tiles) is type(whole)
    if isinstance(whole, Image.Image):
        assert (tiles.mode, tiles.size) == (whole.mode, whole.size)
    one, other = values(tiles), values(whole)
    assert one.shape == other.shape
    assert getattr(tiles, "dtype", None) == getattr(whole, "dtype", None)
    assert np.abs(one - other).max() <= 1.01 / 255
    assert (one == other).mean() > 0.9 or np.abs(one - other).max() < 1e-4
    assert other.std() > 0.05


def test_tiles_by_their_own_statistics_would_give_another_image(resnet: Translator) -> None:
    image = scene(40, 80, 3)
    whole, left = resnet(image), resnet(np.ascontiguousarray(image[:, :40]))
    assert apart(resnet(image, tile=40), whole) <= 1
    assert apart(left[:, :24], whole[:, :24]) > 20


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 3), (17, 33), (50, 5)])
@pytest.mark.parametrize(("multiple", "smallest"), [(1, 8), (4, 8), (16, 32)])
def test_an_identity_in_tiles_gives_the_identical_image(size: tuple[int, int], multiple: int, smallest: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
    one = translator(Same(multiple=multiple, smallest=smallest))
    for tile in (1, 3, 7, 16, 1000):
        assert (one(image, tile=tile) == image).all()


@pytest.mark.parametrize("tile", [0, -8])
def test_a_tile_without_pixels_is_refused(resnet: Translator, photo: Image.Image, tile: int) -> None:
    for call in (lambda: resnet(photo, tile=tile), lambda: translate(photo, resnet, tile=tile)):
        with pytest.raises(UsageError, match=f"^tile {tile}: it must be 1 or more pixels$"):
            call()


def test_samples_in_tiles_are_those_of_the_same_seeds(many: Path, photo: Image.Image) -> None:
    one = Translator.load(many, device="cpu")
    whole, tiles = (one(photo, seed=5, samples=3, tile=tile) for tile in (None, 24))
    assert [apart(a, b) <= 1 for a, b in zip(tiles, whole, strict=True)] == [True] * 3
    assert apart(tiles[0], tiles[1]) > 5
    assert apart(translate(photo, many, device="cpu", seed=6, tile=24), whole[1]) <= 1
    images = [scene(16, 24, 3), scene(40, 16, 3)]
    together = zip(one.batch(images, seeds=[3, 9], tile=16), one.batch(images, seeds=[3, 9]), strict=True)
    assert [apart(a, b) <= 1 for a, b in together] == [True] * 2


def test_on_progress_is_called_for_each_image_in_tiles(resnet: Translator) -> None:
    shares: list[float] = []
    list(resnet.batch([scene(32, 32, 3)] * 2, tile=16, callbacks=Callbacks(on_progress=shares.append)))
    assert shares.count(1) == 2
    assert shares[-1] == 1
    list(resnet.batch([scene(32, 32, 3)], callbacks=Callbacks(on_progress=shares.append)))
    assert shares.count(1) == 2


def test_threads_may_share_a_translator_that_others_use_in_tiles(resnet: Translator) -> None:
    images = [np.roll(scene(32, 48, 3), 7 * n, axis=1) for n in range(3)]
    whole = [resnet(image) for image in images]
    tiles = [resnet(image, tile=16) for image in images]
    results: list[Any] = [None] * 6

    def work(index: int) -> None:
        results[index] = resnet(images[index // 2], tile=16 if index % 2 else None)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((a == b).all() for a, b in zip(results[::2], whole, strict=True))
    assert all((a == b).all() for a, b in zip(results[1::2], tiles, strict=True))


def test_tiles_leave_the_network_as_it_was(resnet: Translator, photo: Image.Image) -> None:
    generator, whole = resnet.backend.generator, resnet(photo)
    before = {key: value.clone() for key, value in generator.state_dict().items()}
    kinds = [type(module) for module in generator.modules()]
    resnet(photo, tile=16)
    after = generator.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert [type(module) for module in generator.modules()] == kinds
    assert resnet(photo).tobytes() == whole.tobytes()


class Shared(list[Any]):
    """A list that copies of its owner share."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        return self


class Repeated(nn.Module):
    """An image with each channel many times over, which takes no memory, for they are the same."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, None].expand(-1, -1, self.times, -1, -1)


class Wide(Same):
    """Changes nothing, in a way that would need much memory for each pixel."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.seen = Shared()
        self.repeat, self.weight = Repeated(times), nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        return self.repeat(super().forward(x))[:, :, 0]


needs_free_memory = pytest.mark.skipif(
    free_memory(torch.device("cpu")) is None, reason="needs a system that says how much memory is free"
)


@needs_free_memory
@pytest.mark.parametrize(("times", "taken"), [(1, (1050, 1000)), (10**8, (525, 1000))])
def test_an_image_too_large_for_the_memory_is_translated_in_tiles_at_once(times: int, taken: tuple[int, int]) -> None:
    generator = Wide(times)  # 10^8: 4.8 GB for a pixel
    image = np.random.default_rng(0).integers(0, 256, (1050, 1000, 3), dtype=np.uint8)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = translator(generator)(image)
    assert (result == image).all()
    images = [shape for shape in generator.seen if 1000 in shape]
    assert {shape[2:] for shape in images} == {taken}
    words = "1000 x 1050 pixels are too many at once for the memory: translated in tiles of 1024"
    assert [str(one.message) for one in said] == [words] * (times > 1)


@needs_free_memory
def test_on_fallback_is_called_with_the_index_of_an_image_too_large_for_the_memory() -> None:
    told: list[tuple[int, str]] = []
    shares: list[float] = []
    images = [np.zeros((1050, 1000, 3), np.uint8)] * 2
    callbacks = Callbacks(on_progress=shares.append, on_fallback=lambda index, said: told.append((index, said)))
    assert len(list(translator(Wide(10**8)).batch(images, callbacks=callbacks))) == 2
    words = "1000 x 1050 pixels are too many at once for the memory: translated in tiles of 1024"
    assert told == [(0, words), (1, words)]
    assert shares == [0.5, 1] * 2


class Layers(Same):
    """A network that needs 512 bytes for each pixel."""

    def __init__(self) -> None:
        super().__init__()
        layers = nn.Conv2d(3, 64, 1), nn.InstanceNorm2d(64), nn.ReLU(), nn.Conv2d(64, 3, 3, padding=1), nn.Tanh()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def translate_with_little_memory(mebibytes: int) -> None:
    """Print what is said of a limit, and how near to the whole image the result is, in dB."""
    resource, libc = importlib.import_module("resource"), ctypes.CDLL(None)
    # Memory that is freed goes back to the system, however large the pieces (mallopt: M_MMAP_THRESHOLD, M_ARENA_MAX).
    assert libc.mallopt(-3, 1_000_000)
    assert libc.mallopt(-8, 1)
    torch.manual_seed(0)
    one = translator(Layers())
    image = np.random.default_rng(0).uniform(-1, 1, (600, 800, 3)) * np.linspace(0, 1, 600)[:, None, None]
    one(image[:64, :64], tile=32)  # what is loaded on first use
    expected = one(image)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + mebibytes * 2**20, resource.RLIM_INFINITY))
    try:
        torch.empty(600, 800, 128)
    except RuntimeError:
        print("limited")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = one(image)
    print(*(warning.message for warning in said))
    print(10 * np.log10(4 / np.square(result - expected).mean().clip(1e-30)))


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's limit to a program's memory")
def test_an_image_is_translated_in_tiles_when_memory_runs_out(forks: Server) -> None:
    # So few pixels are always tried. At the full size 64 channels are 117 MiB, and two such tensors are needed at once.
    done = forks.run(translate_with_little_memory, 150).wait()
    assert done.code == 0, done.stderr
    limited, said, decibels = done.stdout.splitlines()
    assert limited == "limited"
    assert said == "800 x 600 pixels are too many at once for the memory: translated in tiles of 512"
    assert float(decibels) > 60


def test_value_range_of_floats_from_0_to_1(run: Path, photo: Image.Image) -> None:
    one = Translator.load(run, device="cpu")
    expected = np.asarray(one(photo)) / 255
    shares = np.asarray(photo) / 255
    for given in (shares, shares.astype(np.float32), torch.from_numpy(shares).permute(2, 0, 1)):
        result: Any = one(given, value_range=(0, 1))
        assert result.dtype == given.dtype
        found = result.permute(1, 2, 0).numpy() if isinstance(result, Tensor) else result
        assert np.abs(found - expected).max() < 0.6 / 255
    (again,) = one.batch([shares * 1000], value_range=(0, 1000))
    assert np.abs(again / 1000 - expected).max() < 0.6 / 255
    assert np.abs(translate(shares, one, value_range=(0, 1)) - expected).max() < 0.6 / 255
    assert (one(np.asarray(photo), value_range=(0, 1)) == np.asarray(one(photo))).all()  # levels have their own


def test_floats_of_doubtful_range_warn_at_the_callers_line() -> None:
    one, shares = translator(Same()), np.random.default_rng(0).random((5, 7, 3))
    for given in (shares, torch.from_numpy(shares).permute(2, 0, 1)[None]):
        with pytest.warns(UserWarning, match=r"read as \[-1, 1\]; where white is 1 .* value_range=\(0, 1\)") as said:
            one(given)
        assert [warning.filename for warning in said] == [__file__]
    for value_range in ((-1, 1), (0, 1)):
        one(shares, value_range=value_range)  # without a word, which would be an error here
    one(shares * 2 - 1)


SETTINGS: dict[str, Callable[[], Any]] = {
    "device": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


@pytest.fixture(scope="module")
def dreamer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file with all that is drawn or made on the way: dropout, a latent, and padding."""
    torch.manual_seed(0)
    generator = build_generator("unet:depth=3,width=8,dropout=0.5,latent=2", in_channels=3, out_channels=3)
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter *= 10 if parameter.dim() > 1 else 1
    file = tmp_path_factory.mktemp("dreamer") / "model.safetensors"
    save_model(file, Model({"a2b": generator}, ("a", "b"), {"image_size": 16}, {}, 0))
    return file


@pytest.fixture(scope="module")
def dream(dreamer: Path) -> tuple[Translator, dict[int | None, bytes]]:
    """Its translator, and what it makes of a photo in the usual settings, as a whole and in tiles."""
    one = Translator.load(dreamer, device="cpu")
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 53, 3), dtype=np.uint8))
    return one, {tile: one(image, tile=tile, seed=3).tobytes() for tile in (None, 16)}


@pytest.mark.parametrize("setting", [*SETTINGS, "dtype", "random state"])
def test_a_translation_depends_on_its_arguments_alone(
    setting: str, dreamer: Path, dream: tuple[Translator, dict[int | None, bytes]], photo: Image.Image
) -> None:
    before, expected = dream
    pixels = torch.from_numpy(np.asarray(photo).copy()).permute(2, 0, 1).float() / 127.5 - 1
    inside = before(pixels, seed=3)
    torch.set_default_dtype(torch.float64 if setting == "dtype" else torch.float32)
    try:
        with SETTINGS.get(setting, contextlib.nullcontext)():
            if setting == "random state":
                torch.manual_seed(9)
            state, dtype, graded = torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled()
            for one in (before, Translator.load(dreamer, device="cpu")):
                for tile in (None, 16) if one is before or setting in ("device", "dtype") else (None,):
                    assert one(photo, tile=tile, seed=3).tobytes() == expected[tile]
                result = one(pixels, seed=3)
                assert torch.equal(result, inside)
                assert not result.is_inference()
            assert torch.equal(torch.get_rng_state(), state)
            assert (torch.get_default_dtype(), torch.is_grad_enabled()) == (dtype, graded)
    finally:
        torch.set_default_dtype(torch.float32)
