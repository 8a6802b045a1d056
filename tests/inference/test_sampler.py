"""Drawing images from a latent: what a seed fixes, walks, labels, and models that don't draw."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from i2i import Sampler, Translator, UsageError
from i2i.model_file import Model, save_model
from i2i.networks import LatentGenerator, build_generator, build_latent_generator
from i2i.spec import Spec

LETTERS = ("alpha", "beta", "gamma")
SPECS = ["dcgan:width=4,latent=6", "dcgan:width=4,latent=6,norm=virtual", "mlp:width=8,latent=6"]


def model(spec: str = SPECS[0], *, classes: tuple[str, ...] = (), channels: int = 3) -> Model:
    """A model whose images differ enough to be told apart."""
    torch.manual_seed(0)
    network = build_latent_generator(spec, out_channels=channels, image_size=16, classes=len(classes))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter *= (10 if "dcgan" in spec else 2) if parameter.dim() > 1 else 1
        for _ in range(20):  # until the averages of batch norm are those of its inputs
            network(torch.cat([torch.rand(8, 6) * 2 - 1, torch.zeros(8, len(classes))], dim=1))
    preprocess = {"image_size": 16, **({"classes": list(classes)} if classes else {})}
    return Model({"z2b": network}, ("latent", "letters"), preprocess, {}, 0)


def sampler(spec: str = SPECS[0], *, classes: tuple[str, ...] = ()) -> Sampler:
    return Sampler(model(spec, classes=classes), device="cpu")


def levels(image: Image.Image) -> NDArray[np.int64]:
    return np.asarray(image).astype(int)


def alike(one: list[Image.Image], two: list[Image.Image]) -> bool:
    """Whether two lists of images are the same but for the rounding of a level."""
    return len(one) == len(two) and all(np.abs(levels(a) - levels(b)).max() <= 1 for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_seed_draws_the_same_images(spec: str) -> None:
    one = sampler(spec)
    first = one(5, seed=3)
    assert [image.size for image in first] == [(16, 16)] * 5
    assert {image.mode for image in first} == {"RGB"}
    torch.rand(3)
    assert [image.tobytes() for image in one(5, seed=3)] == [image.tobytes() for image in first]
    assert len({image.tobytes() for image in first}) == 5
    assert not alike(one(5, seed=4), first)
    assert [image.tobytes() for image in one(2)] == [image.tobytes() for image in one(2, seed=0)]


@pytest.mark.parametrize("spec", SPECS)
def test_a_larger_count_adds_to_the_images(spec: str) -> None:
    one = sampler(spec)
    many = one(70, seed=3)
    for count in (1, 2, 17, 64, 65):
        assert alike(one(count, seed=3), many[:count])


def test_latents_fill_the_cube_that_training_draws_from() -> None:
    z = sampler().latents(2000, seed=1)
    assert z.shape == (2000, 6)
    assert -1 <= z.min() < -0.99
    assert 0.99 < z.max() < 1
    assert z.mean().abs() < 0.03


def test_drawing_leaves_the_random_stream_alone() -> None:
    one = sampler()
    before = torch.get_rng_state()
    one(3)
    one.walk(1, 3)
    assert torch.equal(torch.get_rng_state(), before)


def test_an_image_is_the_output_of_the_network() -> None:
    one = sampler()
    with torch.no_grad():
        y = one.generator(one.latents(3, seed=2))
    wanted = ((y + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(int)
    assert wanted.std() > 10
    for image, expected in zip(one(3, seed=2), wanted, strict=True):
        assert np.abs(levels(image) - expected).max() <= 1


def test_grey_networks_draw_grey_images() -> None:
    drawn = Sampler(model(channels=1), device="cpu")(2)
    assert {image.mode for image in drawn} == {"L"}


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_change_no_image(batch_size: int) -> None:
    one = sampler()
    z = one.latents(7)
    assert alike(one.draw(z, batch_size=batch_size), one(7))


@pytest.mark.parametrize("spec", SPECS)
def test_a_walk_goes_from_each_latents_image_to_the_nexts(spec: str) -> None:
    one = sampler(spec)
    walks = one.walk(3, 5, seed=2)
    assert [len(walk) for walk in walks] == [5, 5, 5]
    images = one(4, seed=2)
    assert alike([walk[0] for walk in walks], images[:3])
    assert alike([walk[-1] for walk in walks], images[1:])
    assert not alike(images[:3], images[1:])


class Shown(LatentGenerator):
    """Notes the latents it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.latent, self.classes, self.out_channels, self.image_size = 6, 0, 1, 4
        self.spec = Spec("shown")
        self.seen: list[Tensor] = []

    def forward(self, z: Tensor) -> Tensor:
        self.seen.append(z)
        return torch.zeros(len(z), 1, 4, 4)


def test_a_walk_is_a_straight_line_of_even_steps() -> None:
    network = Shown()
    one = Sampler(Model({"z2b": network}, ("latent", "x"), {}, {}, 0), device="cpu")
    one.walk(2, 9, seed=2)
    ends = one.latents(3, seed=2)
    for index, path in enumerate(network.seen):
        assert torch.equal(path[0], ends[index])
        assert torch.equal(path[-1], ends[index + 1])
        steps = path.diff(dim=0)
        torch.testing.assert_close(steps, steps[:1].expand(8, -1), rtol=0, atol=1e-6)
    assert len(network.seen) == 2


@pytest.mark.parametrize("spec", SPECS)
def test_a_walk_is_smooth(spec: str) -> None:
    # No jump between neighbours (Radford et al. 2016, sec. 6.1): the largest step is not far above the mean one.
    (walk,) = sampler(spec).walk(1, 24, seed=2)
    images = np.stack([levels(image) for image in walk]).astype(float)
    steps = np.sqrt(((images[1:] - images[:-1]) ** 2).sum((1, 2, 3)))
    assert steps.mean() > 0
    assert steps.max() / steps.mean() < 3
    assert steps.max() < 0.3 * np.sqrt(((images[-1] - images[0]) ** 2).sum())


def test_the_shortest_walk_is_its_two_ends() -> None:
    one = sampler()
    (walk,) = one.walk(1, 2, seed=4)
    assert alike(walk, one(2, seed=4))


@pytest.mark.parametrize("steps", [1, 0, -3])
def test_a_walk_has_two_steps_or_more(steps: int) -> None:
    with pytest.raises(UsageError, match=f"^a walk of {steps} steps; it needs 2 or more, both ends included$"):
        sampler().walk(1, steps)


@pytest.mark.parametrize("count", [0, -1])
def test_nothing_to_draw_is_an_error(count: int) -> None:
    with pytest.raises(UsageError, match=f"^{count} images; ask for 1 or more$"):
        sampler()(count)


def test_labels_go_in_turn_or_as_they_are_asked_for() -> None:
    one = sampler(classes=LETTERS)
    assert one.classes == LETTERS
    z = one.latents(5, seed=1)
    codes = torch.eye(3)
    with torch.no_grad():
        in_turn = one.generator(torch.cat([z, codes[[0, 1, 2, 0, 1]]], dim=1))
        all_beta = one.generator(torch.cat([z, codes[[1] * 5]], dim=1))
    for drawn, wanted in ((one(5, seed=1), in_turn), (one(5, seed=1, label="beta"), all_beta)):
        expected = ((wanted + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(int)
        assert all(np.abs(levels(image) - e).max() <= 1 for image, e in zip(drawn, expected, strict=True))
    assert not alike(one(5, seed=1), one(5, seed=1, label="beta"))


def test_a_walk_keeps_its_label_and_each_has_its_own() -> None:
    one = sampler(classes=LETTERS)
    walks, ends = one.walk(4, 3, seed=1), one.latents(5, seed=1)
    for index, label in enumerate(("alpha", "beta", "gamma", "alpha")):
        assert alike([walks[index][0], walks[index][-1]], one.draw(ends[index : index + 2], label=label))
    for walk, index in zip(one.walk(2, 3, seed=1, label="gamma"), range(2), strict=True):
        assert alike([walk[0], walk[-1]], one.draw(ends[index : index + 2], label="gamma"))


def test_an_unknown_label_names_the_nearest() -> None:
    one = sampler(classes=LETTERS)
    expected = "^unknown class 'bata'; did you mean 'beta'\\? there are: alpha, beta, gamma$"
    for ask in (lambda: one(2, label="bata"), lambda: one.walk(2, 3, label="bata")):
        with pytest.raises(UsageError, match=expected):
            ask()


def test_a_model_without_classes_knows_no_label() -> None:
    with pytest.raises(UsageError, match="label 'beta': this model was trained without labels"):
        sampler()(2, label="beta")
    assert sampler().classes == ()


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("classes", [(), LETTERS])
def test_a_model_file_draws_the_same_images(spec: str, classes: tuple[str, ...], tmp_path: Path) -> None:
    made = model(spec, classes=classes)
    save_model(tmp_path / "model.safetensors", made)
    expected = [image.tobytes() for image in Sampler(made, device="cpu")(4, seed=1)]
    for given in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        loaded = Sampler.load(given, device="cpu")
        assert [image.tobytes() for image in loaded(4, seed=1)] == expected
        assert (loaded.classes, loaded.image_size) == (classes, 16)


def test_threads_may_share_a_sampler(tmp_path: Path) -> None:
    save_model(tmp_path / "model.safetensors", model(SPECS[1]))
    one = Sampler.load(tmp_path, device="cpu")
    alone = [Sampler.load(tmp_path, device="cpu")(2, seed=seed) for seed in range(6)]
    results: list[list[Image.Image]] = [[]] * 6

    def work(seed: int) -> None:
        results[seed] = one(2, seed=seed)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(alike(a, b) for a, b in zip(alone, results, strict=True))


def test_each_kind_of_model_says_which_command_takes_it(tmp_path: Path) -> None:
    unet = build_generator("unet:depth=2,width=4", in_channels=3, out_channels=3)
    save_model(tmp_path / "translates.safetensors", Model({"a2b": unet}, ("a", "b"), {}, {}, 0))
    save_model(tmp_path / "draws.safetensors", model())
    with pytest.raises(UsageError, match=r"^this model translates images; use it with translate"):
        Sampler.load(tmp_path / "translates.safetensors", device="cpu")
    with pytest.raises(
        UsageError, match=r"^this model generates images from a latent; use Sampler, or: i2i sample MODEL OUT$"
    ):
        Translator.load(tmp_path / "draws.safetensors", device="cpu")


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="'cuda:99' can't be used here"):
        Sampler(model(), device="cuda:99")


def test_classes_that_are_not_those_of_the_network_are_refused() -> None:
    with pytest.raises(UsageError, match="this model names 1 classes, and its network has 3"):
        Sampler(replace(model(classes=LETTERS), preprocess={"image_size": 16, "classes": ("a",)}), device="cpu")
