"""The training loop: what it writes, how it stops, and that resuming is exact."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from i2i.cli import main
from i2i.config import DataConfig, TrainConfig
from i2i.errors import UsageError
from i2i.images.reading import read
from i2i.inference.sampler import Sampler
from i2i.inference.translator import Translator
from i2i.methods import methods
from i2i.model_file import load_model
from i2i.training.checkpoint import load_state
from i2i.training.lr_schedule import learning_rate
from i2i.training.trainer import Diverged, Trainer
from support.forked import Process, Server
from support.runs import SMALL, states_equal, trainer, wait_for_step


def test_a_run_writes_its_files(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [4, 8, 12, 12]
    terms = {"generator/l1", "generator/adversarial", "discriminator/adversarial"}
    assert set(lines[0]) == {"step", "lr", "images_per_second", "fake_accuracy"} | terms
    assert set(lines[3]) == {"step", "validation/l1", "validation/psnr", "validation/ssim", "validation/n"}
    assert sorted(path.name for path in (run / "samples").iterdir()) == [f"{step:06}.png" for step in (0, 6, 12)]
    assert json.loads((run / "config.json").read_text())["data"]["image_size"] == 32
    model = load_model(run / "model.safetensors")
    assert model.step == 12
    assert model.domains == ("drawing", "photo")


@pytest.mark.parametrize(
    ("method", "data", "train"),
    [
        ("pix2pix", "pairs", {}),
        ("cyclegan", "unpaired", {}),
        ("cut", "unpaired", {"generator": "resnet:blocks=1,width=4", "options": {"patches": 64}}),
        ("fastcut", "unpaired", {"generator": "resnet:blocks=1,width=4,norm=virtual", "vbn_batch": 3}),
        ("pix2pix", "pairs", {"generator": "unet:depth=4,width=4,norm=virtual"}),
        ("pix2pix", "pairs", {"historical_averaging": 0.5}),
        ("pix2pix", "pairs", {"optimizer": "sgd", "lr": 0.01, "weight_decay": 0.1, "historical_averaging": 0.5}),
    ],
)
def test_resuming_is_exact(
    method: str, data: str, train: dict[str, object], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder, train = request.getfixturevalue(data), {"steps": 4, **train}
    trainer(folder, tmp_path / "whole", method, **train).fit()
    first = trainer(folder, tmp_path / "halves", method, **train)
    first.run.path.mkdir()
    batches = [first.dataset[position] for position in range(2)]
    for batch in batches:
        first.train_step({name: tensor[None] for name, tensor in batch.items()})
    first.save()
    trainer(folder, tmp_path / "halves", method, resume=True, **train).fit()
    states_equal(tmp_path / "whole", tmp_path / "halves")


def test_resuming_is_exact_before_and_after_crops_end(unpaired: Path, tmp_path: Path) -> None:
    # Of 6 steps the rate falls over the last 3, in which images are seen whole.
    given: dict[str, object] = {"generator": "resnet:blocks=1,width=4", "batch_size": 2}
    given["options"] = {"refiner_warmup": 0, "discriminator_warmup": 0, "refiner_steps": 1}
    crop: dict[str, object] = {"crop": "before_decay"}
    whole = trainer(unpaired, tmp_path / "whole", "simgan", images={**crop, "workers": 0}, **given)
    assert whole.dataset.uncropped_from == 3 * 2
    whole.fit()
    for stop, workers in ((2, 2), (4, 2)):
        halves = tmp_path / f"{stop}, {workers}"
        first = trainer(unpaired, halves, "simgan", images=crop, **given)
        first.run.path.mkdir()
        for step in range(stop):
            first.train_step(default_collate([first.dataset[2 * step + index] for index in range(2)]))
        first.save()
        trainer(unpaired, halves, "simgan", resume=True, images={**crop, "workers": workers}, **given).fit()
        states_equal(tmp_path / "whole", halves)
    trainer(unpaired, tmp_path / "always", "simgan", **given).fit()
    with pytest.raises(AssertionError):
        states_equal(tmp_path / "whole", tmp_path / "always")


@pytest.mark.parametrize(
    ("method", "settings", "steps"),
    [
        ("pix2pix", {}, 6),  # --steps
        ("pix2pix", {"steps": None, "epochs": 3}, 18),  # of 6 pairs
        ("pix2pix", {"steps": None, "epochs": 3, "min_steps": 10, "batch_size": 2}, 10),
        ("pix2pix", {"steps": None, "epochs": 3, "min_steps": 8, "batch_size": 2}, 9),
        ("pix2pix", {"min_steps": 100}, 6),
    ],
)
def test_steps_are_those_of_the_epochs_but_no_fewer_than_min_steps(
    method: str, settings: dict[str, object], steps: int, pairs: Path, tmp_path: Path
) -> None:
    assert trainer(pairs, tmp_path / "run", method, **settings).steps == steps


@pytest.mark.parametrize(
    ("images", "load_size"),
    [({}, 36), ({"crop": "before_decay"}, 36), ({"crop": "never"}, 32), ({"load_size": 40}, 40), ({"augment": ()}, 32)],
)
def test_load_size_is_larger_only_with_crops(
    images: dict[str, object], load_size: int, pairs: Path, tmp_path: Path
) -> None:
    assert trainer(pairs, tmp_path / "run", images=images).dataset.load_size == load_size


def test_a_load_size_without_crops_is_refused() -> None:
    with pytest.raises(UsageError, match="load_size is 40, but nothing is cropped; give crop=always"):
        DataConfig(image_size=32, load_size=40, crop="never")


@pytest.mark.parametrize("blocks", [2, 9])
def test_a_run_resumes_with_the_generator_it_was_started_with(blocks: int, unpaired: Path, tmp_path: Path) -> None:
    # The method's own for this size now has 6 blocks, and other defaults may change too.
    spec = f"resnet:blocks={blocks},width=2"
    small: dict[str, object] = {"steps": 1, "discriminator": "patchgan:layers=1,width=4,norm=instance"}
    trainer(unpaired, tmp_path, "cyclegan", generator=spec, **small).fit()
    again = trainer(unpaired, tmp_path, "cyclegan", generator=None, resume=True, **{**small, "steps": 2})
    for network in again.method.generators().values():
        assert network.spec.options["blocks"] == blocks
        assert network.spec.options["width"] == 2
    again.fit()


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(pairs: Path, tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        trainer(pairs, tmp_path / name, seed=seed, steps=3).fit()
    states_equal(tmp_path / "one", tmp_path / "two")
    with pytest.raises(AssertionError):
        states_equal(tmp_path / "one", tmp_path / "three")


def test_workers_do_not_change_the_result(pairs: Path, tmp_path: Path) -> None:
    arguments = ["train", "pix2pix", str(pairs), *SMALL, "--steps", "4", "--batch-size", "2", "--device", "cpu"]
    assert main([*arguments, "--run", str(tmp_path / "none"), "--workers", "0"]) == 0
    assert main([*arguments, "--run", str(tmp_path / "two"), "--workers", "2"]) == 0
    states_equal(tmp_path / "none", tmp_path / "two")


def test_the_learning_rate_is_constant_then_falls_to_zero() -> None:
    rates = [learning_rate(step, steps=10, config=TrainConfig(lr=1.0, lr_decay_fraction=0.5)) for step in range(10)]
    assert rates[:6] == [1.0] * 6
    assert rates[6:] == pytest.approx([0.8, 0.6, 0.4, 0.2])
    assert learning_rate(9, steps=10, config=TrainConfig(lr=1.0, lr_decay_fraction=0.0)) == 1.0


def test_optimizers_use_the_learning_rate_of_the_step(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, steps=4, lr=0.01)
    batch = {name: tensor[None] for name, tensor in one.dataset[0].items()}
    for expected in (0.01, 0.01, 0.01, 0.005):
        one.train_step(batch)
        assert {group["lr"] for m in one.players.values() for group in m.optimizer.param_groups} == {expected}


Gradients = dict[str, torch.Tensor]


def judged(one: Trainer, batch: dict[str, torch.Tensor], seed: int) -> Gradients:
    """What the discriminator's weights are pulled by, at the random numbers of a seed."""
    torch.manual_seed(seed)
    weights = dict(one.players["discriminator"].networks.named_parameters())
    losses = one.method.discriminator_loss(one.method.train()(batch))
    pulls = torch.autograd.grad(torch.stack(list(losses.values())).sum(), list(weights.values()))
    return dict(zip(weights, pulls, strict=True))


def test_sgd_is_momentum_on_gradients_and_weight_decay(pairs: Path, tmp_path: Path) -> None:
    settings = {"optimizer": "sgd", "lr": 0.05, "momentum": 0.8, "weight_decay": 0.3, "steps": 100}
    one = trainer(pairs, tmp_path, **settings)
    weights = dict(one.players["discriminator"].networks.named_parameters())
    velocity = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for step in range(3):
        batch = {name: tensor[None] for name, tensor in one.dataset[step].items()}
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        pulls = judged(one, batch, seed=step)
        torch.manual_seed(step)
        one.train_step(batch)
        for name, weight in weights.items():
            velocity[name] = 0.8 * velocity[name] + pulls[name] + 0.3 * before[name]
            torch.testing.assert_close(weight.detach(), before[name] - 0.05 * velocity[name], rtol=1e-4, atol=1e-6)
    assert (velocity["scales.0.0.weight"] * 0.05).abs().max() > 1e-3


def test_weight_decay_of_adam_is_an_l2_penalty(pairs: Path, tmp_path: Path) -> None:
    # Adam's first step is the rate towards the sign of the gradient, to which an L2 penalty adds the weight.
    one = trainer(pairs, tmp_path, lr=0.01, weight_decay=1000.0, steps=100)
    weights = dict(one.players["discriminator"].networks.named_parameters())
    before = {name: weight.detach().clone() for name, weight in weights.items() if weight.dim() > 1}
    one.train_step({name: tensor[None] for name, tensor in one.dataset[0].items()})
    for name, weight in weights.items():
        if name in before:
            large = before[name].abs() > 0.005
            assert large.any()
            moved = weight.detach()[large] - before[name][large]
            torch.testing.assert_close(moved, -0.01 * before[name][large].sign(), rtol=1e-3, atol=0)


def test_historical_averaging_is_a_term_of_every_player(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, historical_averaging=0.25, lr=0.01, log_every=1, steps=100)
    past: dict[str, list[torch.Tensor]] = {name: [] for name in one.players}
    for step in range(4):
        now = {name: torch.nn.utils.parameters_to_vector(p.parameters()).detach() for name, p in one.players.items()}
        report = one.train_step({name: tensor[None] for name, tensor in one.dataset[step].items()})
        for name, vectors in past.items():
            # The mean is of the weights after each step done, and the distance from it is squared.
            away = (now[name] - torch.stack(vectors).mean(0)).square().sum().item() if vectors else 0.0
            assert report[f"{name}/historical_averaging"].item() == pytest.approx(0.25 * away, rel=1e-3, abs=1e-9)
            vectors.append(torch.nn.utils.parameters_to_vector(one.players[name].networks.parameters()).detach())
    assert report["generator/historical_averaging"] > 1e-4


def test_historical_averaging_is_logged_and_pulls_at_the_weights(pairs: Path, tmp_path: Path) -> None:
    for name, weight in (("without", 0.0), ("with", 100.0)):
        trainer(pairs, tmp_path / name, historical_averaging=weight, lr=0.01).fit()
    with_it, without = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()][:-1]
        for name in ("with", "without")
    )
    terms = {"generator/historical_averaging", "discriminator/historical_averaging"}
    assert terms <= set(with_it[-1])
    assert not terms & set(without[-1])
    begun = trainer(pairs, tmp_path / "begun").method.state_dict()

    def gone(run: str) -> float:
        end = load_state(tmp_path / run / "state.pt")["method"]
        return sum((end[k] - v).square().sum().item() for k, v in begun.items() if k.endswith("weight"))

    assert 0 < gone("with") < gone("without")


def test_historical_averaging_may_start_in_a_resumed_run(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=4, lr=0.01).fit()
    one = trainer(pairs, tmp_path, steps=100, historical_averaging=1.0, resume=True)
    batch = {name: tensor[None] for name, tensor in one.dataset[4].items()}
    terms = [f"{player}/historical_averaging" for player in one.players]
    first, second = one.train_step(batch), one.train_step(batch)
    assert [first[term].item() for term in terms] == [0, 0]
    assert [second[term].item() for term in terms] == [0, 0]  # the mean is of the single step since
    third = one.train_step(batch)
    assert all(0 < third[term].item() < 1 for term in terms)


def test_settings_of_the_optimizer_can_change_when_resuming(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path / "adam", steps=2).fit()
    one = trainer(pairs, tmp_path / "adam", steps=6, betas=(0.9, 0.99), weight_decay=0.1, resume=True)
    for optimizer in [m.optimizer for m in one.players.values()]:
        assert [(group["betas"], group["weight_decay"]) for group in optimizer.param_groups] == [((0.9, 0.99), 0.1)]
    trainer(pairs, tmp_path / "sgd", steps=2, optimizer="sgd").fit()
    one = trainer(pairs, tmp_path / "sgd", steps=6, optimizer="sgd", momentum=0.5, resume=True)
    assert [o.param_groups[0]["momentum"] for o in [m.optimizer for m in one.players.values()]] == [0.5, 0.5]


@pytest.mark.parametrize(("first", "then"), [("adam", "sgd"), ("sgd", "adam")])
def test_another_optimizer_than_that_of_the_checkpoint_is_refused(
    first: str, then: str, pairs: Path, tmp_path: Path
) -> None:
    trainer(pairs, tmp_path, steps=2, optimizer=first).fit()
    with pytest.raises(UsageError, match=f"the run was trained with another optimizer; resume with optimizer={first}$"):
        trainer(pairs, tmp_path, steps=6, optimizer=then, resume=True)


def test_the_last_preview_is_what_translate_gives(run: Path, pairs: Path) -> None:
    grid = read(run / "samples" / "000012.png").pixels
    source = Image.fromarray(read(pairs / "val" / "0.png").pixels).crop((0, 0, 48, 48))
    small = np.asarray(source.resize((32, 32), Image.Resampling.BOX))
    shown = grid[26:58, 4:36]
    # The preview's input is averaged down by another library: take the very pixels it shows.
    assert np.abs(shown.astype(int) - small).mean() < 12
    translated = Translator.load(run, device="cpu")(shown)
    assert np.abs(translated.astype(int) - grid[26:58, 40:72]).max() <= 1


def test_bfloat16_trains_and_keeps_weights_in_float32(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, precision="bf16", channels_last=True)
    one.fit()
    assert {p.dtype for p in one.method.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in one.method.parameters())


def test_a_nan_loss_stops_the_run_and_keeps_the_last_checkpoint(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=2).fit()
    before = (tmp_path / "state.pt").read_bytes()
    one = trainer(pairs, tmp_path, steps=6, resume=True, save_every=1000, log_every=1)
    with torch.no_grad():
        next(one.method.generators()["a2b"].parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="generator/l1"):
        one.fit()
    assert (tmp_path / "state.pt").read_bytes() == before


def test_nan_weights_are_never_saved(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=2).fit()
    before = (tmp_path / "state.pt").read_bytes()
    one = trainer(pairs, tmp_path, steps=6, resume=True, save_every=1, log_every=1000)
    with torch.no_grad():
        next(one.method.generators()["a2b"].parameters()).fill_(float("nan"))
    with pytest.raises(Diverged, match="weights are NaN or infinite"):
        one.fit()
    assert (tmp_path / "state.pt").read_bytes() == before


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_broken_image_loses_no_steps(
    workers: str, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    shutil.copytree(pairs, data)
    broken = data / "train" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    words = ["train", "pix2pix", str(data), *SMALL, "--run", str(tmp_path / "run"), "--workers", workers]
    words += ["--validate-every", "0"]
    assert main([*words, "--steps", "6"]) == 1
    said = capsys.readouterr().err
    done = load_state(tmp_path / "run" / "state.pt")["step"]
    assert "3.png" in said
    assert f"the checkpoint of step {done} is saved" in said
    assert "Traceback" not in said
    shutil.copy(pairs / "train" / "3.png", broken)
    assert main([*words, "--resume", "--steps", "6"]) == 0
    trainer(pairs, tmp_path / "whole").fit()
    states_equal(tmp_path / "whole", tmp_path / "run")


def test_a_run_killed_before_its_first_checkpoint_can_start_again(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=2).fit()
    (tmp_path / "state.pt").unlink()
    assert main(["train", "pix2pix", str(pairs), *SMALL, "--steps", "2", "--run", str(tmp_path)]) == 0


def test_a_run_resumes_with_another_image_size(unpaired: Path, tmp_path: Path) -> None:
    trainer(unpaired, tmp_path, "cyclegan", steps=2).fit()
    words = ["train", "cyclegan", str(unpaired), "--run", str(tmp_path), "--resume", "--steps", "4"]
    assert main([*words, "--image-size", "48"]) == 0


def children(process: Process) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def all_of(process: Process, signum: int) -> None:
    """As a job scheduler does: the run and its workers get the signal, the workers first."""
    for pid in [*children(process), process.pid]:
        os.kill(pid, signum)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize(
    ("send", "signum"),
    [
        (lambda process, signum: os.killpg(process.pid, signum), signal.SIGINT),
        (lambda process, signum: os.killpg(process.pid, signum), signal.SIGHUP),
        (all_of, signal.SIGTERM),
    ],
    ids=["ctrl-c", "closed terminal", "scheduler"],
)
def test_a_signal_saves_a_checkpoint_and_says_how_to_resume(
    send: Callable[[Process, int], None], signum: int, pairs: Path, forks: Server, tmp_path: Path
) -> None:
    words = ["train", "pix2pix", str(pairs), *SMALL, "--run", str(tmp_path / "run"), "--steps", "100000"]
    process = forks.start([*words, "--log-every", "1", "--workers", "1"])
    wait_for_step(process, tmp_path / "run", 1)
    workers = children(process)
    assert workers
    send(process, signum)
    code, _, said = process.wait()
    assert code == 128 + signum, said
    assert "--resume" in said
    assert "Traceback" not in said
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    state = load_state(tmp_path / "run" / "state.pt")
    assert state["step"] == load_model(tmp_path / "run" / "model.safetensors").step > 0
    words = ["train", "pix2pix", str(pairs), "--run", str(tmp_path / "run"), "--resume"]
    assert main([*words, "--steps", str(state["step"] + 2)]) == 0
    assert load_state(tmp_path / "run" / "state.pt")["step"] == state["step"] + 2


def test_a_checkpoint_of_other_networks_is_refused(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=1).fit()
    with pytest.raises(UsageError, match="other networks"):
        trainer(pairs, tmp_path, generator="unet:depth=4,width=8", resume=True, steps=8)


def test_a_torn_checkpoint_is_refused(pairs: Path, tmp_path: Path) -> None:
    trainer(pairs, tmp_path, steps=1).fit()
    (tmp_path / "state.pt").write_bytes((tmp_path / "state.pt").read_bytes()[:1000])
    with pytest.raises(UsageError, match=r"state\.pt can't be read"):
        trainer(pairs, tmp_path, resume=True, steps=8)


def test_pix2pix_learns(pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, steps=40, lr=5e-3, log_every=8, generator="unet:depth=4,width=8")
    one.fit()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[-2]["generator/l1"] < 0.6 * lines[0]["generator/l1"]


# A translator and a generator from a latent, each with virtual batch norm, and what it learns from.
VIRTUAL = [("pix2pix", "unet:depth=4,width=4,norm=virtual"), ("gan", "dcgan:width=4,latent=6,norm=virtual")]


def images_for(method: str, request: pytest.FixtureRequest) -> Path:
    """Pairs, or a single set."""
    if methods[method].data == "single":
        return Path(request.getfixturevalue("unpaired")) / "trainB"
    return Path(request.getfixturevalue("pairs"))


@pytest.mark.parametrize(("method", "generator"), VIRTUAL)
def test_virtual_batch_norm_has_its_reference_batch_before_the_first_step(
    method: str, generator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = images_for(method, request)
    one = trainer(data, tmp_path, method, generator=generator, vbn_batch=5, batch_size=2)
    (network,) = one.method.generators().values()
    reference = network.reference.batch.clone()
    assert one.step == 0
    if method == "gan":
        assert reference.shape == (5, 6)
        assert reference.abs().max() <= 1
    else:
        assert torch.equal(reference, torch.stack([one.dataset[index]["a"] for index in range(5)]))
    assert len(trainer(data, tmp_path, method, generator=generator, vbn_batch=3).preview["b"]) == 2
    one.fit()
    assert torch.equal(network.reference.batch, reference)
    (saved,) = load_model(tmp_path / "model.safetensors").generators.values()
    assert torch.equal(saved.reference.batch, reference)


@pytest.mark.parametrize(
    ("method", "generator"),
    [VIRTUAL[1], ("gan", "mlp:width=8,latent=6"), ("bicyclegan", "unet:depth=4,width=4,norm=instance,dropout=0")],
)
def test_latents_and_the_reference_batch_are_the_same_in_a_resumed_run(
    method: str, generator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = images_for(method, request)
    trainer(data, tmp_path / "whole", method, generator=generator, steps=4).fit()
    first = trainer(data, tmp_path / "halves", method, generator=generator, steps=4)
    first.run.path.mkdir()
    for position in range(2):
        first.train_step({name: tensor[None] for name, tensor in first.dataset[position].items()})
    first.save()
    torch.manual_seed(77)  # as another process would stand elsewhere
    trainer(data, tmp_path / "halves", method, generator=generator, steps=4, resume=True).fit()
    states_equal(tmp_path / "whole", tmp_path / "halves")


@pytest.mark.parametrize(("method", "generator"), [*VIRTUAL, ("gan", "dcgan:width=4,latent=6")])
def test_the_model_file_gives_the_last_preview_by_every_norm(
    method: str, generator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    trainer(images_for(method, request), tmp_path, method, generator=generator, lr=0.1, batch_size=2).fit()
    grid = read(tmp_path / "samples" / "000006.png").pixels
    squares = [[grid[26 + 36 * row :, 4 + 36 * column :][:32, :32] for column in range(2)] for row in range(2)]
    if method == "gan":
        given = [np.asarray(image) for image in Sampler.load(tmp_path, device="cpu")(2, seed=0)]
    else:
        given = list(Translator.load(tmp_path, device="cpu").batch([row[0] for row in squares]))
    for row, decoded in zip(squares, given, strict=True):
        assert decoded.std() > 1
        assert np.abs(decoded.astype(int) - row[1]).max() <= 1


def test_batch_norm_of_latents_needs_two_images(unpaired: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="batch norm of a latent needs two images or more"):
        trainer(unpaired / "trainB", tmp_path, "gan", generator="dcgan:width=4")
    trainer(unpaired / "trainB", tmp_path, "gan", generator="dcgan:width=4", batch_size=2, steps=1).fit()


@pytest.mark.parametrize(
    ("method", "generator"),
    [("gan", "dcgan:width=4"), VIRTUAL[1], ("bicyclegan", "unet:depth=4,width=4,norm=instance,dropout=0")],
)
def test_bfloat16_trains_generators_of_a_latent(
    method: str, generator: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    data = images_for(method, request)
    one = trainer(
        data, tmp_path, method, generator=generator, precision="bf16", channels_last=True, batch_size=2, steps=3
    )
    one.fit()
    assert {p.dtype for p in one.method.parameters()} == {torch.float32}
    assert all(torch.isfinite(p).all() for p in one.method.parameters())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_training_on_a_gpu(precision: str, pairs: Path, tmp_path: Path) -> None:
    one = trainer(pairs, tmp_path, device="cuda", precision=precision, channels_last=True)
    one.fit()
    assert load_model(tmp_path / "model.safetensors").step == 6


def test_activation_checkpointing_changes_nothing_but_memory(pairs: Path, tmp_path: Path) -> None:
    states = []
    for checkpointed in (False, True):
        one = trainer(pairs, tmp_path / str(checkpointed), steps=3, checkpoint_activations=checkpointed)
        assert any(getattr(module, "recompute", False) for module in one.method.modules()) == checkpointed
        one.fit()
        states.append(one.method.state_dict())
    for name, before in states[0].items():
        torch.testing.assert_close(states[1][name], before, msg=name)
