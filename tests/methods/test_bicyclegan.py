import math

import pytest
import torch

from i2i.config import DataConfig
from i2i.errors import UsageError
from i2i.losses import AdversarialLoss
from i2i.methods import methods
from i2i.networks import Backbones
from i2i.spec import Spec
from i2i.training.player import freeze_all_but
from support.methods import terms, zeroed

BicycleGAN = methods["bicyclegan"]


def make(*, channels=(1, 1), latent=3, scales=1, size=16, **options):
    """A small BicycleGAN for 16 pixels."""
    torch.manual_seed(0)
    specs = (
        "unet:depth=4,width=4,norm=instance,dropout=0,where=all,init=xavier",
        f"patchgan:layers=1,width=4,norm=none,scales={scales},scale_width=halved",
    )
    config = BicycleGAN.Config(**{"latent": latent, "encoder_width": 4, **options})
    return BicycleGAN(config, Backbones(*map(Spec.parse, specs), image_size=size, channels=channels))


def at_zero(**options):
    """One whose every weight is 0: outputs are grey (0), logits 0, and the encoder says N(0, 1)."""
    return zeroed(make(**options))


def noise(count=2, *, channels=(1, 1), seed=1):
    draw = torch.Generator().manual_seed(seed)
    return {n: torch.rand(count, c, 16, 16, generator=draw) * 2 - 1 for n, c in zip("ab", channels, strict=True)}


def flat(a, b):
    return {"a": torch.full((2, 1, 16, 16), a), "b": torch.full((2, 1, 16, 16), b)}


def slopes(term, module):
    """How far a term pulls at each of a module's weights; None where it doesn't reach."""
    found = torch.autograd.grad(term, list(module.parameters()), retain_graph=True, allow_unused=True)
    return [None if slope is None else slope.abs().max().item() for slope in found]


# With every weight at 0: (0 - 1)^2 = 1 on the real side of each scale, 0 on the other; L1 to grey is the mean.


@pytest.mark.parametrize("scales", [1, 2])
def test_terms_in_closed_form(scales):
    method = at_zero(scales=scales)
    images = method(flat(0.5, -0.25))
    assert terms(method.generator_loss(images)) == {
        "adversarial_reconstructed": scales,
        "adversarial_sampled": scales,
        "l1": 10 * 0.25,
        "latent": pytest.approx(0.5 * images.sampled.abs().mean().item()),
        "divergence": 0.0,
    }
    judged = {"adversarial_reconstructed": scales, "adversarial_sampled": scales}
    assert terms(method.discriminator_loss(images)) == judged


def test_terms_where_the_encoder_says_something_in_closed_form():
    method = at_zero(l1_weight=4.0, latent_weight=2.0, divergence_weight=0.1, adversarial="non_saturating")
    with torch.no_grad():
        method.encoder.mean.bias.fill_(1.5)
        method.encoder.log_variance.bias.fill_(math.log(2))
    images = method(flat(0.5, -0.25))
    losses = terms(method.generator_loss(images))
    assert losses["adversarial_reconstructed"] == losses["adversarial_sampled"] == math.log(2)
    assert losses["l1"] == 4 * 0.25
    # Three values of the latent: half of mu^2 + v - 1 - log v each.
    assert losses["divergence"] == 0.1 * 3 * 0.5 * (1.5**2 + 2 - 1 - math.log(2))
    assert losses["latent"] == 2 * (1.5 - images.sampled).abs().mean().item()
    assert terms(method.discriminator_loss(images)) == {
        "adversarial_reconstructed": 2 * math.log(2),
        "adversarial_sampled": 2 * math.log(2),
    }


def test_both_ways_are_those_of_the_paper():
    method, batch = make(), noise()
    torch.manual_seed(1)
    images = method(batch)
    torch.manual_seed(1)
    noised, sampled = torch.randn(2, 3), torch.randn(2, 3)
    mean, log_variance = method.encoder(batch["b"])
    torch.testing.assert_close(images.mean, mean)
    torch.testing.assert_close(images.log_variance, log_variance)
    assert torch.equal(images.sampled, sampled)
    torch.testing.assert_close(images.fake_b, method.generator(batch["a"], sampled))
    encoded = mean + noised * log_variance.exp().sqrt()
    torch.testing.assert_close(images.reconstructed_b, method.generator(batch["a"], encoded))
    losses = method.generator_loss(images)
    torch.testing.assert_close(losses["l1"], 10 * (images.reconstructed_b - batch["b"]).abs().mean())
    torch.testing.assert_close(losses["latent"], 0.5 * (method.encoder(images.fake_b)[0] - sampled).abs().mean())


def test_each_way_has_a_discriminator_of_its_own_which_sees_the_output_alone():
    method, batch = make(channels=(3, 1)), noise(channels=(3, 1))
    images = method(batch)
    loss = AdversarialLoss("lsgan")
    judged, fooled = method.discriminator_loss(images), method.generator_loss(images)
    for domain, judge, fake in (
        ("reconstructed", method.discriminator_reconstructed, images.reconstructed_b),
        ("sampled", method.discriminator_sampled, images.fake_b),
    ):
        torch.testing.assert_close(
            judged[f"adversarial_{domain}"], loss.discriminator(judge(images.real_b), judge(fake))
        )
        torch.testing.assert_close(fooled[f"adversarial_{domain}"], loss.generator(judge(fake)))
    one, other = (
        slopes(judged[f"adversarial_{way}"], method.players()["discriminator"]) for way in ("reconstructed", "sampled")
    )
    assert all((a is None) != (b is None) for a, b in zip(one, other, strict=True))


def test_the_recovered_latent_moves_the_generator_and_never_the_encoder():
    method = make()
    images = method(noise())
    term = method.generator_loss(images)["latent"]
    assert set(slopes(term, method.encoder)) == {None}
    reached = slopes(term, method.generator)
    assert None not in reached
    assert max(reached) > 0
    # And the encoder's weights are as they were: they take part in other terms.
    assert all(parameter.requires_grad for parameter in method.encoder.parameters())


def test_the_divergence_moves_the_encoder_and_never_the_generator():
    method = make()
    with torch.no_grad():
        method.encoder.mean.bias.fill_(0.5)
    term = method.generator_loss(method(noise()))["divergence"]
    assert set(slopes(term, method.generator)) == {None}
    # Inside a residual block normalisation takes the biases of a convolution away again.
    assert max(slopes(term, method.encoder)) > 0
    assert min(slopes(term, method.encoder.mean)) > 0
    assert min(slopes(term, method.encoder.log_variance)) > 0


def test_the_rebuilt_image_moves_generator_and_encoder():
    method = make()
    losses = method.generator_loss(method(noise()))
    for term in ("l1", "adversarial_reconstructed"):
        assert max(slopes(losses[term], method.generator)) > 0
        assert min(slopes(losses[term], method.encoder.mean)) > 0
        assert min(slopes(losses[term], method.encoder.log_variance)) > 0
    assert set(slopes(losses["adversarial_sampled"], method.encoder)) == {None}


def test_a_step_moves_the_encoder_with_the_generator():
    method = make()
    players = method.players()
    before = {name: weight.detach().clone() for name, weight in method.encoder.named_parameters()}
    images = method(noise())
    with freeze_all_but(players["generator"], of=method):
        sum(method.generator_loss(images).values()).backward()
    torch.optim.SGD(players["generator"].parameters(), lr=0.1).step()
    for name, weight in method.encoder.named_parameters():
        assert not torch.equal(weight, before[name]) or weight.grad.abs().max() < 1e-6, name


def test_a_preview_uses_the_same_three_latents_for_each_input():
    method = make().eval()
    batch = noise(3)
    alike = {"a": batch["a"][:1].expand(3, -1, -1, -1), "b": batch["b"]}
    with torch.no_grad():
        shown = method.preview(alike)
        outputs = torch.stack([shown.seed0_b, shown.seed1_b, shown.seed2_b])
        torch.manual_seed(7)
        again = method.preview(alike)
        mean = method.encoder(batch["b"])[0]
        torch.testing.assert_close(shown.reconstructed_b, method.generator(alike["a"], mean))
    assert torch.equal(shown.real_a, alike["a"])
    assert torch.equal(shown.real_b, batch["b"])
    torch.testing.assert_close(torch.stack([again.seed0_b, again.seed1_b, again.seed2_b]), outputs, rtol=0, atol=0)
    # The same input gives the same outputs in every row, of which no two are alike.
    torch.testing.assert_close(outputs, outputs[:, :1].expand_as(outputs), rtol=0, atol=1e-5)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert (outputs[one] - outputs[two]).abs().max() > 1e-3


def test_defaults_are_those_of_the_authors_training_scripts():
    assert str(BicycleGAN.generator_spec) == (
        "unet:norm=instance,dropout=0.5,dropout_at_inference=false,where=all,init=xavier"
    )
    assert BicycleGAN.discriminator_spec == "patchgan:norm=instance,scales=2,scale_width=halved,init=xavier"
    assert BicycleGAN.data_config == DataConfig(crop="never")
    train = BicycleGAN.train_config
    assert (train.epochs, train.min_steps, train.batch_size, train.lr_decay_fraction) == (60, 80_000, 2, 0.5)
    options = BicycleGAN.Config()
    weights = (options.l1_weight, options.latent_weight, options.divergence_weight, options.latent)
    assert weights == (10.0, 0.5, 0.01, 8)


def test_its_networks_have_the_published_sizes():
    own = BicycleGAN.backbones(None, None, image_size=256, channels=(3, 3))
    with torch.device("meta"):
        method = BicycleGAN(BicycleGAN.Config(), own)
    sizes = {name: sum(p.numel() for p in module.parameters()) for name, module in method.named_children()}
    # The U-Net of pix2pix with biases, and 8 channels more into each of its encoder's convolutions; two scales of a
    # discriminator on 3 channels, the second at half the width.
    assert sizes["generator"] == 54_794_627
    assert sizes["encoder"] == 2_590_032
    assert sizes["discriminator_reconstructed"] == sizes["discriminator_sampled"] == 2_764_737 + 694_241


def test_the_generator_moves_first():
    assert [name for name, _ in make().turns(0)] == ["generator", "discriminator"]


@pytest.mark.parametrize(("size", "blocks"), [(128, 3), (256, 4)])
def test_the_encoder_is_as_deep_as_the_papers_for_its_size(size, blocks):
    own = BicycleGAN.backbones(None, None, image_size=size, channels=(3, 3))
    with torch.device("meta"):
        method = BicycleGAN(BicycleGAN.Config(), own)
    assert sum(type(layer).__name__ == "_HalvingBlock" for layer in method.encoder.layers) == blocks
    assert method.generator.spec.options["latent"] == 8
    assert method.generator.spec.options["depth"] == {128: 7, 256: 8}[size]
    assert len(method.discriminator_sampled.scales) == len(method.discriminator_reconstructed.scales) == 2


def test_invalid_settings_are_refused():
    for options, said in (
        ({"latent": 0}, "latent is 0; it should be above 0"),
        ({"encoder_width": 0}, "encoder_width is 0; it should be above 0"),
        ({"latent_weight": -1.0}, "latent_weight is -1.0; it should be 0 or more"),
    ):
        with pytest.raises(UsageError, match=said):
            make(**options)


@torch.no_grad()
def spread(method, latents):
    """The mean distance between the outputs for one input, and how the recovered latent goes with the sampled one."""
    y = method.generator(torch.zeros(len(latents), 1, 16, 16), latents)
    count = len(latents)
    distance = torch.cdist(y.flatten(1), y.flatten(1), p=1).sum() / (16 * 16 * count * (count - 1))
    recovered = method.encoder(y)[0]
    return distance.item(), torch.corrcoef(torch.cat([latents, recovered], dim=1).T)[0, 1].item()


@pytest.mark.parametrize("latent", [1, 8])
def test_the_latent_changes_the_output(latent):
    method = make(latent=latent)
    z = torch.randn(16, latent, generator=torch.Generator().manual_seed(3))
    assert spread(method, z)[0] > 1e-3
    with torch.no_grad():
        y = method.generator(torch.zeros(2, 1, 16, 16), z[:1].expand(2, -1))
    torch.testing.assert_close(y[0], y[1], rtol=0, atol=1e-6)


def test_it_learns_two_outputs_for_one_input_and_to_name_them_by_the_latent():
    # The input is grey, the target black or white by the toss of a coin.
    method = make(latent=1)
    players = method.players()
    adams = {n: torch.optim.Adam(p.parameters(), lr=2e-3, betas=(0.5, 0.999)) for n, p in players.items()}
    z = torch.randn(64, 1, generator=torch.Generator().manual_seed(5))
    begun, _ = spread(method, z)
    for step in range(1, 81):
        target = (torch.randint(2, (8, 1, 1, 1)) * 1.6 - 0.8).expand(-1, 1, 16, 16)
        images = method({"a": torch.zeros(8, 1, 16, 16), "b": target})
        for name, loss in method.turns(step):
            with freeze_all_but(players[name], of=method):
                adams[name].zero_grad(set_to_none=True)
                sum(loss(images).values()).backward()
            adams[name].step()
    grown, correlation = spread(method, z)
    assert begun < 0.1
    assert grown > 0.2
    assert correlation > 0.5
    # What is encoded from a white target gives a brighter output than what is from a black one.
    both = torch.tensor([-0.8, 0.8]).view(2, 1, 1, 1).expand(2, 1, 16, 16)
    with torch.no_grad():
        reconstructed = method.generator(torch.zeros(2, 1, 16, 16), method.encoder(both)[0]).mean((1, 2, 3))
    assert reconstructed[1] - reconstructed[0] > 0.5


def test_feature_matching_has_the_target_as_partner_of_what_rebuilds_it_alone():
    method = make(feature_matching=1.0)
    images = method(noise())
    exchanged = images._replace(reconstructed_b=images.real_b.flip(0), fake_b=images.real_b.flip(0))
    losses = method.generator_loss(exchanged)
    assert losses["feature_matching_reconstructed"] > 1e-3
    assert losses["feature_matching_sampled"] < 1e-9
