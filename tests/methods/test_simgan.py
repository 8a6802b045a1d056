import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

from i2i.cli import main
from i2i.errors import UsageError
from i2i.inference.translator import Translator
from i2i.losses import AdversarialLoss
from i2i.methods import methods
from i2i.networks import Backbones
from i2i.spec import Spec
from i2i.training.player import freeze_all_but
from support.methods import moved, terms, zeroed

SimGAN = methods["simgan"]
G, D = "generator", "discriminator"
AT_ONCE = {"refiner_warmup": 0, "discriminator_warmup": 0}


def make(*, channels=(3, 3), width=4, **options):
    """A small SimGAN for 32 pixels."""
    torch.manual_seed(0)
    specs = Spec.parse(f"refiner:width={width},blocks=1"), Spec.parse("local:width=24")
    return SimGAN(SimGAN.Config(**options), Backbones(*specs, image_size=32, channels=channels))


def at_zero(**options):
    """One whose every weight is 0: it refines everything to grey (0) and judges it with the logit 0."""
    return zeroed(make(**options))


def noise(count=2):
    draw = torch.Generator().manual_seed(1)
    return {name: torch.rand(count, 3, 32, 32, generator=draw) * 2 - 1 for name in "ab"}


def flat(a, b):
    return {"a": torch.full((2, 3, 32, 32), a), "b": torch.full((2, 3, 32, 32), b)}


# With every weight at 0 the terms are known: -log sigmoid(0) = log 2, and L1 to grey is the mean.


def test_terms_in_closed_form():
    method = at_zero()
    images = method(flat(0.5, -0.25))
    assert terms(method.generator_loss(images)) == {"adversarial": math.log(2), "self": 10 * 0.5}
    assert terms(method.self_loss(images)) == {"self": 10 * 0.5}
    assert terms(method.discriminator_loss(images)) == {"adversarial": 2 * math.log(2)}


def test_the_rate_on_means_moves_as_far_as_the_published_one_on_sums():
    train = SimGAN.train_config
    # 0.001 on a sum over 9 x 14 locations, without momentum; with momentum a step adds up to 1 / (1 - 0.9) of itself.
    assert (train.optimizer, train.batch_size) == ("sgd", 512)
    assert train.lr / (1 - train.momentum) == pytest.approx(0.001 * 9 * 14, rel=0.25)


def test_weights_are_applied():
    options = {"self_weight": 4.0, "gradient_penalty": 10.0, "adversarial": "lsgan", "real_label": 0.8}
    method = at_zero(feature_matching=3.0, **options)
    images = method(flat(0.5, -0.25))
    assert terms(method.generator_loss(images)) == {"adversarial": 1.0, "feature_matching": 0.0, "self": 2.0}
    assert terms(method.discriminator_loss(images)) == {"adversarial": 0.64, "gradient_penalty": 10.0}


@pytest.mark.parametrize(
    ("kind", "distance"),
    [
        ("pixels", (0.4 + 0.1 + 0.6) / 3),
        ("grey", (0.4 - 0.1 + 0.6) / 3),
        ("gradients", (0.01 / 3 + 0) / 2),  # down and across
    ],
)
def test_self_regularisation_of_each_kind_in_closed_form(kind, distance):
    red = torch.linspace(0.4 - 0.155, 0.4 + 0.155, 32)[:, None].expand(32, 32)  # 0.01 more in each row, 0.4 at its mean
    picture = torch.stack([red, torch.full_like(red, -0.1), torch.full_like(red, 0.6)])[None]
    method = at_zero(self_regularisation=kind, self_weight=2.0)
    images = method({"a": picture, "b": picture})
    assert method.self_loss(images)["self"].item() == pytest.approx(2 * distance, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("gradients", lambda x: x + 0.25),  # brighter all over
        ("grey", lambda x: x.roll(1, dims=1)),  # other colours
    ],
)
def test_features_may_leave_free_what_pixels_hold(kind, change):
    x = 0.5 * noise()["a"]
    images = SimGAN.Images(x, change(x), x)
    assert make(self_regularisation=kind).self_loss(images)["self"].item() == pytest.approx(0, abs=1e-5)
    assert make().self_loss(images)["self"] > 1


def test_the_players_minimise_the_papers_losses():
    method = make(**AT_ONCE).eval()
    batch = noise()
    images = method(batch)
    loss, judge = AdversarialLoss("non_saturating"), method.discriminator
    torch.testing.assert_close(images.fake_b, method.refiner(batch["a"]))
    fooled, judged = method.generator_loss(images), method.discriminator_loss(images)
    torch.testing.assert_close(fooled["adversarial"], loss.generator(judge(images.fake_b)))
    torch.testing.assert_close(fooled["self"], 10 * (images.fake_b - batch["a"]).abs().mean())
    torch.testing.assert_close(judged["adversarial"], loss.discriminator(judge(batch["b"]), judge(images.fake_b)))


def turns(method, steps):
    return [[name for name, _ in method.turns(step)] for step in steps]


@pytest.mark.parametrize(
    ("refiner_steps", "discriminator_steps", "cycle"),
    [
        (2, 1, [[G], [G, D]]),  # the paper's
        (1, 1, [[G, D]]),
        (3, 1, [[G], [G], [G, D]]),
        (3, 2, [[G], [G, D], [G, D]]),
        (1, 2, [[G, D], [D]]),
        (1, 3, [[G, D], [D], [D]]),
        (2, 3, [[G, D], [G, D], [D]]),
    ],
)
def test_turns_of_both_warm_ups_and_of_the_cycles(refiner_steps, discriminator_steps, cycle):
    counts = {"refiner_steps": refiner_steps, "discriminator_steps": discriminator_steps}
    method = make(refiner_warmup=4, discriminator_warmup=3, **counts)
    assert turns(method, range(7)) == 4 * [[G]] + 3 * [[D]]
    assert turns(method, range(7, 7 + 4 * len(cycle))) == 4 * cycle
    assert sum(G in step for step in cycle) == refiner_steps
    assert sum(D in step for step in cycle) == discriminator_steps


def test_by_default_warm_ups_and_turns_are_the_papers():
    method = make()
    every = turns(method, range(1210))
    assert every == 1000 * [[G]] + 200 * [[D]] + 5 * [[G], [G, D]]


def test_without_warm_ups_the_first_step_begins_a_cycle():
    assert turns(make(**AT_ONCE), range(4)) == 2 * [[G], [G, D]]
    assert turns(make(refiner_warmup=0, discriminator_warmup=2), range(4)) == [[D], [D], [G], [G, D]]
    assert turns(make(refiner_warmup=2, discriminator_warmup=0), range(4)) == [[G], [G], [G], [G, D]]


def test_each_turn_is_about_its_own_loss():
    method = make(refiner_warmup=1, discriminator_warmup=1)
    assert [dict(method.turns(step)) for step in (0, 1, 3)] == [
        {G: method.self_loss},
        {D: method.discriminator_loss},
        {G: method.generator_loss, D: method.discriminator_loss},
    ]


def test_a_discriminator_that_is_ahead_sits_out_its_cycles_but_not_its_warm_up():
    method = make(refiner_warmup=1, discriminator_warmup=1, max_fake_accuracy=0.8)
    method.fake_accuracy.fill_(0.9)
    assert turns(method, range(6)) == [[G], [D], [G], [G], [G], [G]]
    method.fake_accuracy.fill_(0.7)
    assert turns(method, range(6)) == [[G], [D], [G], [G, D], [G], [G, D]]


def test_the_refiners_warm_up_concerns_no_discriminator():
    method = make(gradient_penalty=10.0)
    (name, loss), *others = method.turns(0)
    assert (name, others) == (G, [])
    sum(loss(method(noise())).values()).backward()
    assert moved(method.discriminator) == set()
    assert moved(method.refiner) == {name for name, _ in method.refiner.named_parameters()}


def test_in_its_warm_up_the_discriminator_moves_alone():
    method = make(refiner_warmup=0)
    ((name, loss),) = method.turns(0)
    images = method(noise())
    with freeze_all_but(method.players()[name], of=method):
        sum(loss(images).values()).backward()
    assert moved(method.refiner) == set()
    assert moved(method.discriminator) == {name for name, _ in method.discriminator.named_parameters()}


def test_the_discriminator_sees_the_image_pool():
    method = make(pool_size=3).train()
    judge, loss = method.discriminator, AdversarialLoss("non_saturating")
    images = method(noise(count=1))
    older = [torch.full((1, 3, 32, 32), value) for value in (-0.5, 0.0, 0.5)]
    for old in older:
        method.pool(old)
    known = [loss.discriminator(judge(images.real_b), judge(shown)).item() for shown in (images.fake_b, *older)]
    assert len({round(value, 4) for value in known}) == 4
    seen = []
    for _ in range(60):
        value = method.discriminator_loss(method.images_for("discriminator", images))["adversarial"].item()
        nearest = min(range(4), key=lambda i: abs(known[i] - value))
        assert abs(known[nearest] - value) < 1e-5
        seen.append(nearest)
    assert {0} < set(seen)


def test_without_an_image_pool_it_sees_new_images():
    method = make(pool_size=0).train()
    judge, loss = method.discriminator, AdversarialLoss("non_saturating")
    for _ in range(10):
        images = method(noise())
        fresh = loss.discriminator(judge(images.real_b), judge(images.fake_b))
        shown = method.images_for("discriminator", images)
        torch.testing.assert_close(method.discriminator_loss(shown)["adversarial"], fresh)


def picture():
    """Smooth images of little contrast, so that a small network can learn them in few steps."""
    line = torch.linspace(-0.7, 0.7, 16)
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    disc = torch.where(rows**2 + columns**2 < 0.2, 0.5, -0.5)
    return {"a": torch.stack([torch.stack([rows, columns, disc])]), "b": noise(1)["b"][..., :16, :16]}


def train(method, steps, *, lr=5e-3):
    """Play the game on one batch and return how far the refined image is from its input at the end."""
    players, batch = method.players(), picture()
    adams = {name: torch.optim.Adam(player.parameters(), lr=lr) for name, player in players.items()}
    for step in range(1, steps + 1):
        images = method(batch)
        for name, loss in method.turns(step - 1):
            with freeze_all_but(players[name], of=method):
                losses = loss(images)
                adams[name].zero_grad(set_to_none=True)
                sum(losses.values()).backward()
            adams[name].step()
    with torch.no_grad():
        return (method(batch).fake_b - batch["a"]).abs().mean().item()


def test_the_refiners_warm_up_leads_it_to_the_identity():
    before = train(make(width=8), 0)
    assert before > 0.2
    assert train(make(width=8, refiner_warmup=300), 300) < 0.1 * before


def test_a_heavy_self_weight_keeps_the_refiner_at_the_identity():
    heavy, light = (train(make(width=8, self_weight=weight, **AT_ONCE), 100, lr=1e-2) for weight in (1e4, 0.0))
    assert heavy < 0.05
    assert light > 3 * heavy


def test_domains_of_different_channels_are_refused():
    with pytest.raises(UsageError) as caught:
        make(channels=(3, 1))
    assert str(caught.value) == "simgan compares input and output, which need the same number of channels, not 3 and 1"


@pytest.mark.parametrize("option", ["refiner_steps", "discriminator_steps"])
def test_each_player_moves_at_least_once_in_a_cycle(option):
    with pytest.raises(UsageError, match=f"{option} is 0; it should be above 0"):
        make(**{option: 0})


@pytest.mark.parametrize("option", ["self_weight", "pool_size", "refiner_warmup", "discriminator_warmup"])
def test_numbers_below_0_are_refused(option):
    with pytest.raises(UsageError, match=f"{option} is -1; it should be 0 or more"):
        make(**{option: -1})


@pytest.fixture
def eyes(tmp_path):
    """Grey images in two folders, six and six."""
    draw = np.random.default_rng(0)
    for folder, top in (("trainA", 128), ("trainB", 256)):
        (tmp_path / "eyes" / folder).mkdir(parents=True)
        for number in range(6):
            pixels = draw.integers(0, top, (20, 30), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "eyes" / folder / f"{number}.png")
    return tmp_path / "eyes"


def test_a_run_from_the_command_line_with_both_warm_ups_resumes_where_it_stopped(eyes, tmp_path, capsys):
    small = ["--generator", "refiner:width=4,blocks=1", "--discriminator", "local:width=6", "--pool-size", "4"]
    small += ["--channels", "1", "1"]
    sizes = ["--image-size", "20", "--load-size", "20", "--batch-size", "8", "--log-every", "1", "--workers", "0"]
    short = ["--refiner-warmup", "3", "--discriminator-warmup", "2", *small, *sizes]
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert main(["train", "simgan", str(eyes), "--run", str(whole), "--steps", "9", *short]) == 0
    assert main(["train", "simgan", str(eyes), "--run", str(halves), "--steps", "4", *short]) == 0
    assert main(["train", "simgan", "--run", str(halves), "--resume", "--steps", "9"]) == 0
    assert "a2b: refiner:in_channels=1,out_channels=1,blocks=1,width=4" in capsys.readouterr().out
    moves = []
    for line in (whole / "metrics.jsonl").read_text().splitlines():
        moves.append({term for term in json.loads(line) if "/" in term})
    refine, judge = {"generator/adversarial", "generator/self"}, {"discriminator/adversarial"}
    assert moves == [*3 * [{"generator/self"}], *2 * [judge], refine, refine | judge, refine, refine | judge]
    for one, other in zip(
        *(Translator.load(run).backend.generator.parameters() for run in (whole, halves)), strict=True
    ):
        assert torch.equal(one, other)
    grey = Image.open(eyes / "trainA" / "0.png")
    assert (Translator.load(whole)(grey).size, Translator.load(whole)(grey).mode) == ((30, 20), "L")
