"""Two processes that share a batch are one process: every method, each player's turn wrapped for itself."""

import inspect
import os
import socket
import traceback
import warnings

import pytest
import torch
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from i2i.config import DataConfig, RunConfig, TrainConfig
from i2i.data import find_layout, load
from i2i.distributed import process_group, rank, world_size
from i2i.errors import UsageError
from i2i.methods import methods
from i2i.networks import discriminators
from i2i.networks.layers import BatchNorm
from i2i.spec import Spec
from i2i.training.player import Turn, only
from i2i.training.trainer import Trainer
from support.methods import config, has, make, noise, registry_of_generators, small

STEPS, BATCH = 3, 4


def separable(method_name):
    """A method in which no image has a say in what becomes of another: neither by norms nor by a history."""
    norm = {"norm": "instance"}
    generator = {"norm": None} if methods[method_name].data == "single" else norm
    history = {"pool_size": 0} if has(method_name, "pool_size") else {}
    method = make(method_name, generator=generator, discriminator=norm, **history)
    return begun(method)


def begun(method):
    """As if training had begun: where CUT's weights begin, vectors so short are normalised that SGD sees rounding."""
    torch.manual_seed(0)
    for name, weight in method.named_parameters():
        if weight.dim() > 1:
            nn.init.xavier_normal_(weight)
        else:
            nn.init.normal_(weight, mean=float(name.endswith("weight")), std=0.1)  # gains lie about 1
    return method


def train(method_name, share, wrap):
    """The weights after some steps of plain SGD on a share of each batch, with turns wrapped as a run's would be."""
    method = separable(method_name).train()
    players = method.players()
    turns = {name: wrap(Turn(player)) for name, player in players.items()}
    optimizers = {name: torch.optim.SGD(player.parameters(), lr=0.005) for name, player in players.items()}
    torch.manual_seed(1)  # the same in every process, as in a run
    for step in range(1, STEPS + 1):
        batch = {name: value[share] for name, value in noise(method_name, BATCH, seed=step).items()}
        images = method(batch)
        for name, loss in method.turns(step):
            with only(players[name], of=method):
                losses = turns[name](loss, images)
                optimizers[name].zero_grad(set_to_none=True)
                sum(losses.values()).backward()
            optimizers[name].step()
    return {name: weight.detach().clone() for name, weight in method.named_parameters()}


# Every method with its own norms and a history that fills up, and what else the processes have to agree about.
RUNS = {
    **{method: (method, {}, {}) for method in methods},
    "pix2pix with r1": ("pix2pix", {"r1": 1000.0}, {}),
    "pix2pix with a gradient penalty": ("pix2pix", {"adversarial": "wasserstein", "gradient_penalty": 10.0}, {}),
    "pix2pix with diffaugment": ("pix2pix", {"diffaugment": ("colour", "translation", "cutout")}, {}),
    "pix2pix with a balance": ("pix2pix", {"max_fake_accuracy": 0.48}, {}),
    "pix2pix with clipped gradients": ("pix2pix", {}, {"clip": 5.0, "momentum": 0.9}),
    "pix2pix with historical averaging": ("pix2pix", {}, {"historical_averaging": 1.0}),
    "cyclegan in two parts": ("cyclegan", {"pool_size": 0}, {"gradient_accumulation": 2}),
    "cut with feature matching": ("cut", {"feature_matching": 10.0}, {}),
    "gan with minibatch discrimination": ("gan", {}, {"discriminator": "dcgan:minibatch=3"}),
    "gan of fully connected layers": ("gan", {}, {"generator": "mlp", "discriminator": "mlp:input_dropout=0.2"}),
    "gan of fully connected layers in two parts": (
        "gan",
        {},
        {"generator": "mlp", "discriminator": "mlp:input_dropout=0.2,minibatch=3", "gradient_accumulation": 2},
    ),
    "gan in two parts": ("gan", {}, {"gradient_accumulation": 2}),
    "pix2pix in two parts": ("pix2pix", {}, {"gradient_accumulation": 2}),
    "cyclegan with dropout": ("cyclegan", {}, {"generator": "resnet:dropout=0.5"}),
}


def trainer(data, folder, method, options, **train):
    """The trainer of a small game in float64, with the dropout that its networks have."""
    kind = methods[method]
    specs = {"generator": kind.generator_spec, "discriminator": kind.discriminator_spec, **train}
    specs["generator"] = own_dropout(specs["generator"], registry_of_generators(method))
    specs["discriminator"] = own_dropout(specs["discriminator"], discriminators)
    own = {"pool_size": 6} if has(method, "pool_size") else {}
    settings = {"steps": STEPS, "batch_size": BATCH, "optimizer": "sgd", "lr": 0.005, "momentum": 0.0, "samples": 1}
    train = TrainConfig(**{**settings, "device": "cpu", "schedule": "constant", **train, **specs})
    images = DataConfig(image_size=32, augment=("flip",))
    run = RunConfig(method, (), config(method, **{**own, **options}), images, train)
    one = Trainer(run, find_layout([data[kind.data]], data=kind.data), folder)
    begun(one.method)
    return one


def own_dropout(text, registry):
    """A small spec, but for its dropout."""
    spec = Spec.parse(text)
    own = inspect.signature(registry[spec.name]).parameters.get("dropout")
    return str(small(text, registry, dropout=spec.options.get("dropout", own and own.default)))


def steps_of(one, share=None):
    """Take the steps of a run, on a share of each batch, and give its weights and running statistics."""
    index = {"batch_size": BATCH, "start": 0, "steps": STEPS, "workers": 0, "share": share or (rank(), world_size())}
    for batch in load(one.images, micro_batches=one.config.train.gradient_accumulation, **index):
        one.train_step({name: value.double() if value.is_floating_point() else value for name, value in batch.items()})
    found = {name: value.detach().clone() for name, value in one.method.state_dict().items()}
    # How much is recognised is put together where it counts: for a balance, and in the metrics.
    return {name: value for name, value in found.items() if not name.startswith("fake_accuracy")}


def bright():
    """Images that are bright all over, whose squares float32 can't tell apart."""
    return 100 + 1e-3 * torch.randn(BATCH, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


def normalised(x, share):
    """What batch norm in float32 makes of a share, and its running statistics."""
    norm = BatchNorm(3, at_inference="running").float().train()
    with torch.no_grad():
        y = norm(x[share])
    return {"y": y, "mean": norm.running_mean, "variance": norm.running_var}


def work(rank, folder, data, port):
    """Train every method as one of two processes, and leave behind the weights, or what went wrong."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # in float32 a unit at its kink may fall to either side
    indices = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in indices.items()}, MASTER_ADDR="127.0.0.1")
    half = BATCH // 2
    share, found = slice(rank * half, (rank + 1) * half), {}

    def attempt(name, result):
        try:
            found[name] = result()
        except Exception:
            found[name] = traceback.format_exc()

    with process_group("cpu") as device:
        assert device == "cpu"
        for method in methods:
            attempt(method, lambda method=method: train(method, share, shared))
        for name, (method, options, given) in RUNS.items():
            args = (data, folder / str(len(found)), method, options)
            attempt(f"run of {name}", lambda args=args, given=given: steps_of(trainer(*args, **given)))
        attempt("norm", lambda: normalised(bright(), share))
        attempt("three", lambda: trainer(data, folder, "pix2pix", {}, batch_size=3))
        attempt("six", lambda: trainer(data, folder, "pix2pix", {}, batch_size=6, gradient_accumulation=2))
    torch.save(found, folder / f"{rank}.pt")


def shared(turn):
    with warnings.catch_warnings():  # later versions of torch give the option other names
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(turn, broadcast_buffers=False)


@pytest.fixture(scope="module")
def data(pairs, unpaired):
    """Images for each kind of method."""
    return {"paired": pairs, "unpaired": unpaired, "single": unpaired / "trainB"}


@pytest.fixture(scope="module")
def ranks(data, tmp_path_factory):
    """What both processes found, by method and by run."""
    folder = tmp_path_factory.mktemp("ranks")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.spawn(work, (folder, data, port), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(autouse=True)
def _in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def apart(one, other):
    return max((one[name] - other[name]).abs().max().item() for name in one if one[name].numel())


@pytest.mark.parametrize("method", methods)
def test_two_processes_are_one(method, ranks):
    first, second = (found[method] for found in ranks)
    assert not isinstance(first, str), first
    assert not isinstance(second, str), second
    whole, half = (train(method, slice(0, count), lambda turn: turn) for count in (BATCH, BATCH // 2))
    begun = dict(separable(method).named_parameters())
    differ, elsewhere, moved = apart(first, whole), apart(half, whole), apart(begun, whole)
    print(f"{method}: processes differ by {differ:.1e}, half of the batch by {elsewhere:.1e}; moved {moved:.1e}")
    assert apart(first, second) == 0
    assert differ < 1e-9
    # It matters that they share: the weights have gone far, and half of the batch takes them elsewhere.
    assert moved > 1e-3
    assert elsewhere > 1e-4


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_two_processes_is_a_run_of_one(name, ranks, data, tmp_path):
    first, second = (found[f"run of {name}"] for found in ranks)
    assert not isinstance(first, str), first
    assert not isinstance(second, str), second
    method, options, given = RUNS[name]
    whole = steps_of(trainer(data, tmp_path, method, options, **given))
    one = trainer(data, tmp_path, method, options, **{**given, "gradient_accumulation": 1})
    begin = {name: weight.detach().clone() for name, weight in one.method.named_parameters()}
    half = steps_of(one, share=(0, 2))
    differ, moved = apart(first, whole), apart(begin, whole)
    elsewhere = apart({name: half[name] for name in begin}, whole)
    print(f"{name}: processes differ by {differ:.1e}, half of the batch by {elsewhere:.1e}; moved {moved:.1e}")
    assert apart(first, second) == 0
    assert differ < 1e-8
    assert moved > 1e-3
    assert elsewhere > 1e-4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("three", "batch size 3 can't be shared by 2 processes; give a multiple of 2: --batch-size 4"),
        ("six", "batch size 6 can't be shared by 2 processes in 2 parts each; give a multiple of 4: --batch-size 8"),
    ],
)
def test_a_batch_that_processes_cannot_share_is_refused(name, said, ranks):
    for found in ranks:
        assert f"{UsageError.__module__}.{UsageError.__name__}: {said}\n" in found[name]


def test_batch_norm_of_two_processes_is_that_of_one_where_images_are_nearly_flat(ranks):
    first, second = (found["norm"] for found in ranks)
    assert not isinstance(first, str), first
    whole = normalised(bright(), slice(None))
    assert whole["y"].std() > 0.1
    torch.testing.assert_close(torch.cat([first["y"], second["y"]]), whole["y"], rtol=0, atol=0.02)
    for name in ("mean", "variance"):
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], whole[name], rtol=1e-4, atol=1e-6)
