import math

import pytest
import torch
from torch import Tensor, nn

from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError
from i2i.losses import AdversarialLoss, patch_nce
from i2i.methods import methods
from i2i.methods.cut import Projections
from i2i.networks import Backbones, Generator, generators
from i2i.spec import Spec
from support.methods import at_zero, config, make, noise

METHODS = ["cut", "fastcut"]
# Places of the five feature maps of 32 pixels: the image, both convolutions before a blur halves, and two blocks.
PLACES = [32 * 32, 32 * 32, 16 * 16, 8 * 8, 8 * 8]


def pictures(seed, count=2):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def seeded(function, *given, seed=0, **more):
    torch.manual_seed(seed)
    return function(*given, **more)


@pytest.mark.parametrize(
    ("method_name", "nce", "identity", "mirrors", "epochs", "decay"),
    [("cut", 1.0, 1.0, False, 400, 0.5), ("fastcut", 10.0, 0.0, True, 200, 0.25)],
)
def test_defaults_are_the_papers(method_name, nce, identity, mirrors, epochs, decay):
    method = methods[method_name]
    options, train = method.Config(), method.train_config
    assert (options.nce_weight, options.identity_weight, options.flip_equivariance) == (nce, identity, mirrors)
    assert (options.patches, options.temperature, options.adversarial) == (256, 0.07, "lsgan")
    # 200 + 200 epochs, the latter with a falling rate; 150 + 50.
    assert (train.epochs, train.lr_decay_fraction) == (epochs, decay)
    assert (train.lr, train.betas, train.batch_size) == (2e-4, (0.5, 0.999), 1)
    assert train == TrainConfig(epochs=epochs, lr_decay_fraction=decay)
    # The second phase of the authors' code sees images whole, as the test does.
    assert method.data_config == DataConfig(crop="before_decay")


@pytest.mark.parametrize("method_name", METHODS)
def test_its_own_networks_are_the_published_ones(method_name):
    method = methods[method_name]
    own = Backbones(Spec.parse(method.generator_spec), Spec.parse(method.discriminator_spec), image_size=256)
    with torch.device("meta"):
        built = method(method.Config(), own)
    assert sum(p.numel() for p in built.generator.parameters()) == 11_378_179
    assert sum(p.numel() for p in built.discriminator.parameters()) == 2_764_737
    # A linear layer from the channels of each of the five maps to 256, and one from 256 to 256.
    projections = sum(channels * 256 + 256 + 256 * 256 + 256 for channels in (3, 128, 256, 256, 256))
    assert projections == 560_384
    moving = sum(p.numel() for p in built.players()["generator"].parameters())
    assert moving == 11_378_179 + projections


@pytest.mark.parametrize("patches", [256, 50])
@pytest.mark.parametrize("method_name", METHODS)
def test_uninformative_features_cost_the_log_of_the_number_of_positions(method_name, patches):
    method = at_zero(method_name, patches=patches)
    expected = sum(math.log(min(patches, indices)) for indices in PLACES) / 5
    assert method.contrast(pictures(1), pictures(2)).item() == pytest.approx(expected, rel=1e-6)
    # Nor do vectors of unit length that are all the same.
    for layer in method.projections.layers:
        nn.init.constant_(layer[-1].bias, 0.5)
    assert method.contrast(pictures(1), pictures(2)).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("method_name", "terms"), [("cut", {"nce": 1.0, "identity": 1.0}), ("fastcut", {"nce": 10.0})])
def test_terms_in_closed_form(method_name, terms):
    method = at_zero(method_name)
    images = method(noise(method_name))
    indices = sum(math.log(min(64, indices)) for indices in PLACES) / 5
    expected = {"adversarial": 1.0} | {term: pytest.approx(weight * indices) for term, weight in terms.items()}
    assert {term: value.item() for term, value in method.generator_loss(images).items()} == expected
    # Half of (0 - 1)^2 + 0^2.
    assert {term: value.item() for term, value in method.discriminator_loss(images).items()} == {"adversarial": 0.5}


def test_weights_are_applied_and_a_weight_of_0_leaves_the_identity_out():
    def terms(**options):
        method = make("cut", **options)
        images = method(noise("cut"))
        return {term: value.item() for term, value in seeded(method.generator_loss, images).items()}

    plain, weighted = terms(), terms(nce_weight=3.0, identity_weight=0.5)
    assert weighted["nce"] == pytest.approx(3 * plain["nce"])
    assert weighted["identity"] == pytest.approx(0.5 * plain["identity"])
    assert set(terms(identity_weight=0.0)) == set(terms()) - {"identity"} == {"adversarial", "nce"}


@pytest.mark.parametrize("method_name", METHODS)
def test_the_discriminator_sees_outputs_and_patch_nce_contrasts_them_with_their_inputs(method_name):
    method = make(method_name).eval()
    batch = noise(method_name)
    images = method(batch)
    assert not images.mirrored
    fake = method.generator(batch["a"])
    torch.testing.assert_close(images.fake_b, fake)
    judge, loss = method.discriminator, AdversarialLoss("lsgan")
    torch.testing.assert_close(
        method.discriminator_loss(images)["adversarial"], 0.5 * loss.discriminator(judge(batch["b"]), judge(fake))
    )
    losses = seeded(method.generator_loss, images)
    torch.testing.assert_close(losses["adversarial"], loss.generator(judge(fake)))
    torch.manual_seed(0)
    expected = {"nce": method.config.nce_weight * method.contrast(fake, batch["a"])}
    if method_name == "cut":
        expected["identity"] = method.contrast(method.generator(batch["b"]), batch["b"])
    for term, value in expected.items():
        torch.testing.assert_close(losses[term], value)


def test_contrast_is_the_mean_of_patch_nce_over_the_maps():
    method = make("cut", patches=5000, temperature=0.2)
    output, source = pictures(1), pictures(2)
    all_places = [torch.arange(indices) for indices in PLACES]
    queries, keys = (method.projections(method.generator.features(x), all_places) for x in (output, source))
    each = [patch_nce(query, key, temperature=0.2) for query, key in zip(queries, keys, strict=True)]
    torch.testing.assert_close(method.contrast(output, source), torch.stack(each).mean())


@pytest.mark.parametrize("method", METHODS)
def test_queries_and_keys_are_of_the_same_positions(method):
    # Where every place is taken their order doesn't matter, as long as it is the same of both.
    output, source = pictures(1), pictures(2)
    everywhere, somewhere = make(method, patches=32 * 32), make(method, patches=16)
    values = [seeded(everywhere.contrast, output, source, seed=seed) for seed in range(3)]
    torch.testing.assert_close(values[0], values[1])
    torch.testing.assert_close(values[0], values[2])
    assert seeded(somewhere.contrast, output, source, seed=0) != seeded(somewhere.contrast, output, source, seed=1)
    # An image's own patch resembles it fully, and others less.
    with torch.no_grad():
        assert somewhere.contrast(output, output) < math.log(16)


def test_projections_are_two_layers_and_of_unit_length():
    torch.manual_seed(0)
    projections = Projections([3, 8])
    features = [torch.randn(2, 3, 6, 5), torch.randn(2, 8, 3, 4)]
    indices = [torch.tensor([7, 0, 29]), torch.tensor([11, 5])]
    found = projections(features, indices)
    assert [one.shape for one in found] == [(2, 3, 256), (2, 2, 256)]
    for one in found:
        torch.testing.assert_close(one.norm(dim=2), torch.ones(one.shape[:2]))
    # Place 7 of rows of 5 is the second row's third.
    first, _, second = projections.layers[0]
    expected = second(first(features[0][1, :, 1, 2]).relu())
    torch.testing.assert_close(found[0][1, 0], expected / expected.norm())


def test_projections_are_initialised_as_by_glorot_and_bengio_with_gain_002():
    torch.manual_seed(0)
    for layer in Projections([3, 128, 256]).layers:
        for linear in (layer[0], layer[2]):
            expected = 0.02 * math.sqrt(2 / (linear.in_features + linear.out_features))
            count = linear.weight.numel()
            assert linear.weight.std().item() == pytest.approx(expected, rel=5 / (2 * count) ** 0.5)
            assert (linear.bias == 0).all()


def test_no_gradient_reaches_the_keys():
    method = make("cut")
    output, source = pictures(1).requires_grad_(), pictures(2).requires_grad_()
    method.contrast(output, source).backward()
    assert source.grad is None
    assert output.grad.abs().max() > 0
    assert all(parameter.grad is not None for parameter in method.projections.parameters())


@pytest.mark.parametrize(("method_name", "mirrors"), [("cut", False), ("fastcut", True)])
def test_the_input_is_mirrored_half_of_the_time_in_training(method_name, mirrors):
    method = make(method_name)
    batch = {"a": pictures(1, 1), "b": pictures(2, 1)}
    torch.manual_seed(0)
    with torch.no_grad():
        straight, mirrored = method.generator(batch["a"]), method.generator(batch["a"].flip(3))
        assert not torch.equal(straight, mirrored.flip(3))
        count = 0
        for _ in range(60):
            images = method(batch)
            assert torch.equal(images.real_a, batch["a"])
            assert torch.equal(images.fake_b, mirrored if images.mirrored else straight)
            count += images.mirrored
        assert 15 < count < 45 if mirrors else count == 0  # 30 and four standard deviations
        method.eval()
        assert not any(method(batch).mirrored for _ in range(20))


class Pointwise(Generator):
    """Pixel by pixel, so that what is mirrored before is as if it were mirrored after."""

    def __init__(self) -> None:
        super().__init__()
        self.in_channels = self.out_channels = 3
        self.first, self.last = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.last(self.first(x)))

    def features(self, x: Tensor) -> list[Tensor]:
        return [x, self.first(x)]


def test_mirroring_changes_nothing_for_an_equivariant_network():
    method = make("fastcut")
    method.generator, method.projections = Pointwise(), Projections([3, 8])
    batch = noise("fastcut")
    found = {}
    for seed in range(8):
        images = seeded(method, batch, seed=seed)
        found[images.mirrored] = (images, seeded(method.generator_loss, images)["nce"])
    assert set(found) == {True, False}
    torch.testing.assert_close(found[True][0].fake_b.flip(3), found[False][0].fake_b)
    torch.testing.assert_close(found[True][1], found[False][1])
    # And it would, if features were compared with those of other places.
    forgotten = seeded(method.generator_loss, found[True][0]._replace(mirrored=False))["nce"]
    assert abs(forgotten - found[False][1]) > 0.1


@pytest.mark.parametrize("method_name", METHODS)
def test_a_unet_has_features_to_contrast_too(method_name):
    method = methods[method_name]
    unet = Spec.parse("unet:depth=4,width=4,norm=instance,dropout=0")
    game = method(config(method_name), Backbones(unet, Spec.parse("patchgan:layers=1,width=4"), image_size=32))
    losses = game.generator_loss(game(noise(method_name)))
    assert all(value.isfinite() for value in losses.values())
    assert len(game.projections.layers) == 5


@pytest.mark.parametrize("name", [name for name in generators if generators[name].features is Generator.features])
def test_a_generator_without_features_is_refused(name):
    asked = Backbones(Spec.parse(f"{name}:width=4"), Spec.parse("patchgan:width=1"), image_size=64)
    with pytest.raises(UsageError, match=f"'{name}' has no features to contrast; use generator=resnet"):
        methods["cut"](config("cut"), asked)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{"patches": 1}, {"temperature": 0.0}])
def test_options_that_contrast_nothing_are_refused(method, options):
    with pytest.raises(
        UsageError, match="cut needs patches >= 2, to contrast each with the others, and temperature > 0"
    ):
        config(method, **options)


@pytest.mark.parametrize("option", ["nce_weight", "identity_weight", "temperature"])
def test_numbers_below_0_are_refused(option):
    with pytest.raises(UsageError, match=f"{option} is -1"):
        config("cut", **{option: -1.0})
