"""Editing on a manifold whose every image is known: discs of any place, size and colours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from i2i.editing import ColourStroke, Editor, SketchStroke, WarpStroke
from i2i.errors import UsageError
from i2i.model_file import Model
from i2i.networks import LatentEncoder, LatentGenerator

SIZE = 32


class Discs(LatentGenerator):
    """z: x, y, radius, colour of the disc, colour of the ground; the rest does nothing."""

    latent, out_channels, image_size = 12, 3, SIZE

    def __init__(self, prior="uniform", classes=0):
        super().__init__()
        self.prior, self.classes = prior, classes

    def forward(self, z):
        z = torch.tanh(z) if self.prior == "normal" else z
        x, y, radius = 0.6 * z[:, 0, None, None], 0.6 * z[:, 1, None, None], 0.45 + 0.15 * z[:, 2, None, None]
        line = torch.linspace(-1, 1, SIZE)
        away = ((line[None, None] - x) ** 2 + (line[None, :, None] - y) ** 2 + 1e-6).sqrt()
        share = torch.sigmoid(12 * (radius - away))[:, None]
        disc, ground = z[:, 3:6, None, None], z[:, 6:9, None, None]
        if self.classes:
            ground = ground * 0 + (z[:, self.latent :] * torch.tensor([-0.9, 0.9])).sum(1)[:, None, None, None]
        return share * disc + (1 - share) * ground


class Encoder(LatentEncoder):
    latent, in_channels, image_size = 12, 3, SIZE

    def __init__(self):
        super().__init__()
        widths = [3, 16, 32, 64]
        layers = [
            part
            for before, after in itertools.pairwise(widths)
            for part in (nn.Conv2d(before, after, 4, stride=2, padding=1), nn.ReLU())
        ]
        self.layers = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 12), nn.Tanh())

    def forward(self, x):
        return self.layers(x)


def latents(count, *, seed):
    return torch.rand(count, 12, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture(scope="module")
def encoder():
    """Trained on the generator's images, as a predictor of latents is (Zhu et al. 2016, sec. 3.2)."""
    torch.manual_seed(0)
    network, generator = Encoder(), Discs()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    for step in range(150):
        images = generator(latents(32, seed=step))
        optimizer.zero_grad()
        (generator(network(images)) - images).square().mean().backward()
        optimizer.step()
    return network.eval()


def editor(encoder=None, **options):
    networks = {"z2b": Discs(**options).eval()} | ({"b2z": encoder} if encoder else {})
    classes = {"classes": ("dark", "bright")} if options.get("classes") else {}
    return Editor(Model(networks, ("latent", "discs"), classes, {}, 0), device="cpu")


def photo(seed, size=SIZE):
    image = Discs()(latents(1, seed=seed))
    pixels = nn.functional.interpolate(image, (size, size), mode="bicubic").clamp(-1, 1)
    return Image.fromarray(((pixels[0].permute(1, 2, 0).numpy() + 1) * 127.5).round().astype(np.uint8))


def pixels(image):
    return np.asarray(image).astype(float)


def test_hybrid_projection_is_better_than_the_network_and_than_optimisation_of_equal_length(encoder):
    errors = {"network": [], "optimise": [], "hybrid": []}
    for seed in range(1000, 1012):
        for by, found in errors.items():
            one = editor(encoder)
            one.project(photo(seed), by=by, evaluations=25)
            found.append(one.error(photo(seed)))
    means = {by: np.mean(found) for by, found in errors.items()}
    print(means)
    assert means["hybrid"] < 0.8 * means["network"]
    assert means["hybrid"] < 0.8 * means["optimise"]


@pytest.mark.parametrize(("prior", "smoothness"), [("uniform", 2.0), ("normal", 1.0)])  # N(0, 1) is wider
def test_a_red_stroke_makes_the_image_red_there_and_changes_little_elsewhere(prior, smoothness):
    stroke = ColourStroke([(0.05, 0.05), (0.2, 0.05)], (255, 0, 0), width=0.08)
    corner, disc = np.s_[0:3, 2:6], np.s_[10:22, 10:22]
    was, now, moved, apart = [], [], [], []
    for seed in range(10, 14):
        one = editor(prior=prior)
        before = pixels(one.sample(seed=seed))
        candidates = one.apply(stroke, smoothness=smoothness)
        assert [candidate.cost for candidate in candidates] == sorted(candidate.cost for candidate in candidates)
        after, other = pixels(candidates[0].image), pixels(editor(prior=prior).sample(seed=seed + 10))
        was.append(np.abs(before[corner] - [255, 0, 0]).mean())
        now.append(np.abs(after[corner] - [255, 0, 0]).mean())
        moved.append(np.abs(after - before)[disc].mean())
        apart.append(np.abs(other - before)[disc].mean())
    assert np.mean(now) < 0.4 * np.mean(was)
    assert np.mean(moved) < np.mean(apart)


def test_the_same_seed_gives_the_same_candidates_and_another_seed_others():
    found = []
    for seed in (0, 0, 1):
        one = editor()
        one.sample(seed=2)
        found.append([pixels(c.image) for c in one.apply(ColourStroke([(0.5, 0.5)], (0, 255, 0)), count=4, seed=seed)])
    assert all(np.array_equal(first, again) for first, again in zip(found[0], found[1], strict=True))
    assert not all(np.array_equal(first, other) for first, other in zip(found[0], found[2], strict=True))


def test_smoothness_keeps_the_code_near():
    moved = []
    for smoothness in (0.0, 5.0):
        one = editor()
        one.sample(seed=2)
        start = one._code
        best = one.apply(ColourStroke([(0.5, 0.5)], (0, 255, 0)), smoothness=smoothness)[0]
        moved.append((best.code - start).norm().item())
    assert moved[1] < 0.7 * moved[0]


def test_a_warp_moves_the_disc():
    one = editor()
    one._begin(torch.tensor([[0.0, 0, 0, 1, 1, 1, -1, -1, -1, 0, 0, 0]]) * 0.9, photo=None)
    columns = np.arange(SIZE)

    def centre(image):
        light = pixels(image).mean(2)
        return (light.sum(0) * columns).sum() / light.sum() / SIZE

    before = centre(one.image)
    one.apply(WarpStroke((0.5, 0.5), (0.7, 0.5), radius=0.25), smoothness=0.5, iterations=80)
    assert centre(one.image) - before > 0.05


def test_a_sketched_line_becomes_an_edge():
    one = editor()
    one.sample(seed=5)
    line = [(0.5, 0.1), (0.5, 0.9)]
    first = one.apply(SketchStroke(line), smoothness=0.1, iterations=1, count=1)[0].cost
    again = editor()
    again.sample(seed=5)
    assert again.apply(SketchStroke(line), smoothness=0.1, iterations=60)[0].cost < 0.95 * first


def test_strokes_add_up_until_the_image_is_fixed():
    one, areas = editor(), []
    one.sample(seed=3)
    for place, colour in ((0.05, (255, 0, 0)), (0.95, (0, 0, 255))):
        one.apply(ColourStroke([(place, place)], colour), count=4)
        areas.append(float(one._constraints.colour_mask.sum()))
    assert areas[1] > 1.5 * areas[0] > 0
    present = pixels(one.image)
    one.fix()
    assert one.candidates == []
    assert not one._constraints.colour_mask.any()
    assert np.array_equal(pixels(one.image), present)


def test_a_morph_goes_from_the_projection_to_the_chosen_candidate(encoder):
    one = editor(encoder)
    start = one.project(photo(1))
    candidates = one.apply(ColourStroke([(0.1, 0.1)], (255, 255, 0)), count=6)
    chosen = one.choose(2)
    frames = one.morph(5)
    assert len(frames) == 5
    assert np.array_equal(pixels(frames[0]), pixels(start))
    assert np.array_equal(pixels(frames[-1]), pixels(chosen))
    assert np.array_equal(pixels(chosen), pixels(candidates[2].image))


def test_an_edit_goes_back_to_the_photograph_in_its_size_and_type(encoder):
    one = editor(encoder)
    large = photo(1, size=100)
    one.project(large)
    for edited in (one.transfer(), one.blend()):
        assert np.array_equal(pixels(edited), pixels(large)), "nothing has been drawn yet"
    one.apply(ColourStroke([(0.05, 0.05), (0.3, 0.05)], (255, 0, 0)), smoothness=0.5)
    for edited in (one.transfer(), one.blend()):
        assert edited.size == (100, 100)
        assert (
            np.abs(pixels(edited) - [255, 0, 0])[:8, 8:25].mean() < np.abs(pixels(large) - [255, 0, 0])[:8, 8:25].mean()
        )
    array = np.asarray(large)
    assert one.transfer(array).shape == array.shape


def test_with_labels_the_class_stays():
    one = Editor(
        Model({"z2b": Discs(classes=2).eval()}, ("latent", "discs"), {"classes": ("dark", "bright")}, {}, 0),
        label="bright",
        device="cpu",
    )
    one.sample(seed=1)
    one.apply(ColourStroke([(0.5, 0.5)], (255, 0, 0)), count=3, iterations=5)
    assert pixels(one.image)[0, 0].mean() > 200
    with pytest.raises(UsageError, match="unknown class 'brigt'; did you mean 'bright'"):
        Editor(
            Model({"z2b": Discs(classes=2)}, ("latent", "discs"), {"classes": ("dark", "bright")}, {}, 0), label="brigt"
        )


def test_wrong_use_is_named():
    one = editor()
    with pytest.raises(UsageError, match="nothing to edit yet; project a photograph, or take a sample"):
        one.apply(ColourStroke([(0.5, 0.5)], (255, 0, 0)))
    with pytest.raises(UsageError, match="no encoder, which by=hybrid needs; use by=optimise"):
        one.project(photo(1), by="hybrid")
    one.sample()
    with pytest.raises(UsageError, match="there is no photograph to edit"):
        one.transfer()
    with pytest.raises(UsageError, match="candidate 0: there are 0"):
        one.choose(0)
    with pytest.raises(UsageError, match="a morph of 1 images"):
        one.morph(1)
    with pytest.raises(UsageError, match="must be 1 or more"):
        one.apply(count=0)


@pytest.mark.parametrize(
    ("stroke", "said"),
    [
        (lambda: ColourStroke([], (0, 0, 0)), "needs points"),
        (lambda: ColourStroke([(0.5, 0.5)], (0, 0, 256)), "expected red, green and blue from 0 to 255"),
        (lambda: SketchStroke([(0.5, float("nan"))]), "needs points"),
        (lambda: WarpStroke((0, 0), (1, 1), radius=0.0), "a stroke of width 0.0"),
    ],
)
def test_wrong_strokes_are_refused(stroke, said):
    with pytest.raises(UsageError, match=said):
        stroke()
