"""Two processes that share a batch are one process: every method, each player's turn wrapped for itself."""

import traceback
import warnings
from datetime import timedelta

import pytest
import torch
from games import has, make, noise
from torch import distributed, multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

from i2i.objectives import objectives
from i2i.turns import Turn, only

STEPS, BATCH = 3, 4


def separable(method):
    """An objective in which no picture has a say in what becomes of another: neither by norms nor by a history."""
    norm = {"norm": "instance"}
    generator = {"norm": None} if objectives[method].data == "single" else norm
    history = {"history": 0} if has(method, "history") else {}
    objective = make(method, generator=generator, discriminator=norm, **history)
    for weight in objective.parameters():
        # As if training had begun: where CUT's weights begin, vectors so short are normalised that SGD sees rounding.
        if weight.dim() > 1:
            nn.init.xavier_normal_(weight)
        else:
            nn.init.normal_(weight, std=0.1)
    return objective


def train(method, share, wrap):
    """The weights after some steps of plain SGD on a share of each batch, with turns wrapped as a run's would be."""
    objective = separable(method).train()
    players = objective.players()
    turns = {name: wrap(Turn(player)) for name, player in players.items()}
    optimizers = {name: torch.optim.SGD(player.parameters(), lr=0.005) for name, player in players.items()}
    torch.manual_seed(1)  # the same in every process, as in a run
    for step in range(1, STEPS + 1):
        batch = {name: value[share] for name, value in noise(method, BATCH, seed=step).items()}
        images = objective(batch)
        for name, loss in objective.turns(step):
            with only(players[name], of=objective):
                losses = turns[name](loss, images)
                optimizers[name].zero_grad(set_to_none=True)
                sum(losses.values()).backward()
            optimizers[name].step()
    return {name: weight.detach().clone() for name, weight in objective.named_parameters()}


def work(rank, folder):
    """Train every method as one of two processes, and leave behind the weights, or what went wrong."""
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # in float32 a unit at its kink may fall to either side
    store = distributed.FileStore(str(folder / "store"), 2)
    distributed.init_process_group("gloo", store=store, rank=rank, world_size=2, timeout=timedelta(minutes=3))
    half = BATCH // 2
    share, found = slice(rank * half, (rank + 1) * half), {}
    for method in objectives:
        try:
            found[method] = train(method, share, shared)
        except Exception:
            found[method] = traceback.format_exc()
    torch.save(found, folder / f"{rank}.pt")
    distributed.destroy_process_group()


def shared(turn):
    with warnings.catch_warnings():  # later versions of torch give the option other names
        warnings.simplefilter("ignore", FutureWarning)
        return DistributedDataParallel(turn, broadcast_buffers=False)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    """What both processes found, by method."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(work, (folder,), nprocs=2)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(autouse=True)
def _in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def apart(one, other):
    return max((one[name] - other[name]).abs().max().item() for name in one)


@pytest.mark.parametrize("method", objectives)
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
