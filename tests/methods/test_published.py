"""Steps and losses of the methods are those that their papers' formulas give, worked out anew in plain operations."""

import pytest
import torch

from i2i.config import DataConfig, RunConfig, TrainConfig
from i2i.data import find_layout
from i2i.methods import methods
from i2i.networks import Backbones
from i2i.spec import Spec
from i2i.training.build import build_run
from support.published import (
    Adam,
    contrast,
    cross_entropy,
    cut_resnet,
    distance,
    encoder,
    halved,
    least_squares,
    patchgan,
    resnet,
    unet,
    weights_of,
)

RATE = 0.002


@pytest.fixture(autouse=True)
def _in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def trainer(data, folder, method, *, generator, discriminator, options=None, **train):
    """A run of 6 steps, over the last 3 of which the learning rate falls."""
    kind = methods[method]
    specs = {"generator": generator, "discriminator": discriminator}
    settings = TrainConfig(**{**specs, "steps": 6, "lr": RATE, "device": "cpu", "samples": 1, **train})
    images = DataConfig(image_size=16, augment=())
    config = RunConfig(method, (str(data),), kind.Config(**(options or {})), images, settings)
    torch.manual_seed(0)
    run = build_run(config, find_layout([data], data=kind.data), folder)
    with torch.no_grad():  # farther from 0 than they begin, so that every term matters
        for weight in run.method.parameters():
            weight *= 10 if weight.dim() > 1 else 1
    return run


# 100 + 100 epochs: the rate is whole in the first half, then falls in equal steps to 0 just after the last.
RATES = [RATE, RATE, RATE, RATE, RATE * 2 / 3, RATE / 3]


def batches(count, *, size=16):
    draw = torch.Generator().manual_seed(1)
    return [{name: torch.rand(count, 3, size, size, generator=draw) * 2 - 1 for name in "ab"} for _ in RATES]


def apart(network, weights):
    """The largest difference between a network's weights and others."""
    return max((one - other).abs().max().item() for one, other in zip(network.parameters(), weights, strict=True))


def test_steps_of_pix2pix_are_the_published_ones(pairs, tmp_path):
    specs = {"generator": "unet:depth=4,width=4,dropout=0", "discriminator": "patchgan:layers=1,width=4"}
    run = trainer(pairs, tmp_path / "run", "pix2pix", **specs, batch_size=2)
    theta, phi = weights_of(run.method.generator), weights_of(run.method.discriminator)
    start = [weight.detach().clone() for weight in theta]
    generator, discriminator = Adam(theta), Adam(phi)

    def judged(a, b):
        return patchgan(phi, torch.cat([a, b], dim=1), norm="batch")

    for batch, rate in zip(batches(2), RATES, strict=True):
        said = run.train_step(batch)
        a, b = batch["a"], batch["b"]
        fake = unet(theta, a, depth=4, norm="batch")
        # Sec. 3.3: the discriminator's method is halved; it moves first, then the generator by the non-saturating
        # loss and 100 times L1 (eq. 4).
        loss = 0.5 * (cross_entropy(judged(a, b), 1) + cross_entropy(judged(a, fake.detach()), 0))
        discriminator.move(loss, rate=rate)
        fooled, near = cross_entropy(judged(a, fake), 1), 100 * distance(fake, b)
        generator.move(fooled + near, rate=rate)
        expected = {"discriminator/adversarial": loss, "generator/adversarial": fooled, "generator/l1": near}
        assert {name: value.item() for name, value in said.items()} == pytest.approx(
            {name: value.item() for name, value in expected.items()}, rel=1e-6
        )
    assert apart(run.method.generator, start) > RATE
    assert apart(run.method.generator, theta) < 1e-6
    assert apart(run.method.discriminator, phi) < 1e-6


def test_steps_of_cyclegan_are_the_published_ones(unpaired, tmp_path):
    specs = {"generator": "resnet:blocks=2,width=4", "discriminator": "patchgan:norm=instance,layers=1,width=4"}
    run = trainer(unpaired, tmp_path / "run", "cyclegan", **specs, options={"identity_weight": 5.0, "pool_size": 1})
    names = ["a2b", "b2a", "discriminator_a", "discriminator_b"]
    weights = {name: weights_of(getattr(run.method, name)) for name in names}
    start = weights_of(run.method.a2b)
    generators = Adam(weights["a2b"] + weights["b2a"])
    discriminators = Adam(weights["discriminator_a"] + weights["discriminator_b"])
    shown, pool, old = {}, {}, []
    for domain in "ab":
        image_pool = getattr(run.method, f"pool_{domain}")
        image_pool.register_forward_hook(lambda _, __, images, domain=domain: shown.update({domain: images}))

    def translated(way, x):
        return resnet(weights[way], x, blocks=2)

    def judged(domain, x):
        return patchgan(weights[f"discriminator_{domain}"], x, norm="instance")

    for batch, rate in zip(batches(1), RATES, strict=True):
        said = run.train_step(batch)
        a, b = batch["a"], batch["b"]
        fake_b, fake_a = translated("a2b", a), translated("b2a", b)
        # Both generators move first and together (eq. 3), at lambda 10 and half of it for identity (sec. 5.2).
        terms = {
            "adversarial_a": least_squares(judged("a", fake_a), 1),
            "adversarial_b": least_squares(judged("b", fake_b), 1),
            "cycle_a": 10 * distance(translated("b2a", fake_b), a),
            "cycle_b": 10 * distance(translated("a2b", fake_a), b),
            "identity_a": 5 * distance(translated("b2a", a), a),
            "identity_b": 5 * distance(translated("a2b", b), b),
        }
        generators.move(sum(terms.values()), rate=rate)
        expected = {f"generator/{name}": value for name, value in terms.items()}
        # The pool of one image returns it or the new one; an image that is returned is replaced by the new one.
        total = 0
        for domain, real, fake in (("a", a, fake_a.detach()), ("b", b, fake_b.detach())):
            kept = pool.setdefault(domain, fake)
            old.append((shown[domain] - kept).abs().max() < 1e-6 < (fake - kept).abs().max())
            pool[domain] = fake if old[-1] else kept
            seen = kept if old[-1] else fake
            torch.testing.assert_close(shown[domain], seen, rtol=0, atol=1e-6)
            loss = 0.5 * (least_squares(judged(domain, real), 1) + least_squares(judged(domain, seen), 0))
            expected[f"discriminator/adversarial_{domain}"] = loss
            total = total + loss
        discriminators.move(total, rate=rate)
        assert {name: value.item() for name, value in said.items()} == pytest.approx(
            {name: value.item() for name, value in expected.items()}, rel=1e-6
        )
    assert {bool(one) for one in old} == {True, False}
    assert apart(run.method.a2b, start) > RATE
    for name in names:
        assert apart(getattr(run.method, name), weights[name]) < 1e-6, name


def make(method_name, *, generator, discriminator, size, **options):
    torch.manual_seed(0)
    kind = methods[method_name]
    backbones = Backbones(Spec.parse(generator), Spec.parse(discriminator), image_size=size)
    method = kind(kind.Config(**options), backbones)
    with torch.no_grad():
        for weight in method.parameters():
            weight *= 10 if weight.dim() > 1 else 1
    return method


def compared(losses, expected, module, weights):
    """Terms are equal and so is what they pull at every weight; some networks round to float32."""
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}, rel=1e-5
    )
    slopes = torch.autograd.grad(sum(losses.values()), list(module.parameters()))
    others = torch.autograd.grad(sum(expected.values()), weights)
    for one, other in zip(slopes, others, strict=True):
        largest = max(other.abs().max().item(), 1e-6)
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize(("method_name", "weights"), [("cut", (1, 1)), ("fastcut", (10, 0))])
def test_terms_of_cut_are_the_published_ones(method_name, weights):
    specs = {
        "generator": "resnet:blocks=6,width=4,down=blur,up=bilinear",
        "discriminator": "patchgan:norm=instance,layers=1,width=4,down=blur",
    }
    # As many patches as there are positions, so that their order does not matter.
    method = make(method_name, **specs, size=8, patches=8 * 8).train()
    batch, mirrored = batches(2, size=8)[0], method_name == "fastcut"
    images = method.Images(batch["a"], method.generator(batch["a"].flip(3) if mirrored else batch["a"]), batch["b"])
    images = images._replace(mirrored=mirrored)
    theta, phi, projections = map(weights_of, (method.generator, method.discriminator, method.projections))

    def translated(x):
        return cut_resnet(theta, x, blocks=6)

    def patches(maps, image):
        found = []
        for index, features in enumerate(maps):
            first, first_bias, second, second_bias = projections[4 * index : 4 * index + 4]
            x = features[image].flatten(1).T
            x = (x @ first.T + first_bias).relu() @ second.T + second_bias
            found.append(x / x.norm(dim=1, keepdim=True))
        return found

    def nce(output, source, *, mirrored=False):
        queries, keys = translated(output)[1], translated(source)[1]
        queries = [query.flip(3) for query in queries] if mirrored else queries
        each = [
            contrast(query, key.detach())
            for image in range(2)
            for query, key in zip(patches(queries, image), patches(keys, image), strict=True)
        ]
        return sum(each) / 10  # two images of five maps

    def judged(x):
        return patchgan(phi, x, norm="instance", down="blur")

    fake = translated(batch["a"].flip(3) if mirrored else batch["a"])[0]
    expected = {
        "adversarial": least_squares(judged(fake), 1),
        "nce": weights[0] * nce(fake, batch["a"], mirrored=mirrored),
    }
    if weights[1]:
        expected["identity"] = weights[1] * nce(translated(batch["b"])[0], batch["b"])
    player = method.players()["generator"]
    compared(method.generator_loss(images), expected, player, theta + projections)
    loss = 0.5 * (least_squares(judged(batch["b"]), 1) + least_squares(judged(fake.detach()), 0))
    compared(method.discriminator_loss(images), {"adversarial": loss}, method.discriminator, phi)


def test_terms_of_bicyclegan_are_the_published_ones():
    specs = {
        "generator": "unet:depth=4,width=4,norm=instance,dropout=0,where=all",
        "discriminator": "patchgan:norm=instance,layers=1,width=4,scales=2,scale_width=halved",
    }
    method = make("bicyclegan", **specs, size=32, encoder_width=4, latent=3)
    with torch.no_grad():
        method.encoder.mean.bias.fill_(0.5)
        method.encoder.log_variance.bias.fill_(-0.3)
    batch = batches(2, size=32)[0]
    torch.manual_seed(1)
    images = method(batch)
    torch.manual_seed(1)
    noise, sampled = torch.randn(2, 3), torch.randn(2, 3)
    theta, eta = weights_of(method.generator), weights_of(method.encoder)
    phi = {
        way: [weights_of(scale) for scale in getattr(method, f"discriminator_{way}").scales]
        for way in ("reconstructed", "sampled")
    }
    a, b = batch["a"], batch["b"]

    def judged(way, x, label):
        fine, coarse = (
            patchgan(weights, image, norm="instance") for weights, image in zip(phi[way], (x, halved(x)), strict=True)
        )
        return least_squares(fine, label) + least_squares(coarse, label)

    def translated(z):
        return unet(theta, a, depth=4, norm="instance", z=z)

    mean, log_variance = encoder(eta, b, blocks=3)
    reconstructed, fake = translated(mean + noise * torch.exp(log_variance / 2)), translated(sampled)
    recovered, _ = encoder([weight.detach() for weight in eta], fake, blocks=3)
    expected = {  # eq. 9, at the weights of sec. 4: 10, 0.5 and 0.01
        "adversarial_reconstructed": judged("reconstructed", reconstructed, 1),
        "adversarial_sampled": judged("sampled", fake, 1),
        "l1": 10 * distance(reconstructed, b),
        "latent": 0.5 * distance(recovered, sampled),
        "divergence": 0.01 * 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum() / 2,
    }
    compared(method.generator_loss(images), expected, method.players()["generator"], theta + eta)
    losses = {  # not halved in its code
        f"adversarial_{way}": judged(way, b, 1) + judged(way, image.detach(), 0)
        for way, image in (("reconstructed", reconstructed), ("sampled", fake))
    }
    player = method.players()["discriminator"]
    compared(method.discriminator_loss(images), losses, player, [w for way in phi.values() for s in way for w in s])


def test_terms_of_pix2pixhd_are_the_published_ones():
    specs = {
        "generator": "coarse_to_fine:depth=2,blocks=1,enhancer_blocks=1,width=4",
        "discriminator": "patchgan:norm=instance,layers=2,width=4,scales=3,padding=2",
    }
    method = make("pix2pixhd", **specs, size=32, perceptual_weight=0.0)
    batch = batches(2, size=32)[0]
    a, b = batch["a"], batch["b"]
    images = method(batch)
    phi = [weights_of(scale) for scale in method.discriminator.scales]

    def judged(image):
        logits, layers, x = [], [], torch.cat([a, image], dim=1)
        for weights in phi:
            layers.append([])
            logits.append(patchgan(weights, x, layers=2, norm="instance", padding=2, seen=layers[-1]))
            x = halved(x)
        return logits, layers

    fake, real = judged(images.fake_b), judged(b)
    match = 0  # eq. 4 as in the code: a mean over scales, each layer of the three at 4 / 3
    for ours, theirs in zip(fake[1], real[1], strict=True):
        assert len(ours) == len(theirs) == 3
        match = match + sum(4 / 3 * distance(x, y.detach()) for x, y in zip(ours, theirs, strict=True)) / 3
    expected = {"adversarial": sum(least_squares(x, 1) for x in fake[0]), "feature_matching": 10 * match}
    losses = method.generator_loss(images)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}, rel=1e-6
    )
    (slope,) = torch.autograd.grad(sum(losses.values()), images.fake_b, retain_graph=True)
    (other,) = torch.autograd.grad(sum(expected.values()), images.fake_b, retain_graph=True)
    torch.testing.assert_close(slope, other)
    logits = judged(images.fake_b.detach())[0]
    loss = 0.5 * sum(least_squares(x, 1) + least_squares(y, 0) for x, y in zip(real[0], logits, strict=True))
    compared(
        method.discriminator_loss(images),
        {"adversarial": loss},
        method.discriminator,
        [weight for scale in phi for weight in scale],
    )


def test_terms_of_simgan_are_the_published_ones():
    method = make("simgan", generator="refiner:width=4,blocks=1", discriminator="local:width=24", size=16)
    with torch.no_grad():
        for weight in method.parameters():
            weight /= 10 if weight.dim() > 1 else 1
    batch = batches(2)[0]
    images = method.eval()(batch)
    fake, real = method.discriminator(images.fake_b), method.discriminator(batch["b"])
    assert fake.shape == (2, 1, 4, 4)
    # Eq. 4: at every location -log of the probability of real, and lambda times the distance from the input.
    expected = {"adversarial": cross_entropy(fake, 1), "self": 10 * distance(images.fake_b, batch["a"])}
    losses = method.generator_loss(images)
    assert {name: value.item() for name, value in losses.items()} == pytest.approx(
        {name: value.item() for name, value in expected.items()}, rel=1e-6
    )
    # Eq. 2, not halved.
    loss = cross_entropy(fake, 0) + cross_entropy(real, 1)
    assert method.discriminator_loss(images)["adversarial"].item() == pytest.approx(loss.item(), rel=1e-6)
