"""Two ranks that share a batch train as one process does: every method, and what its layers gather over ranks."""

import pytest
import torch

from i2i.errors import UsageError
from support.ranks import NORMS, RUNS, VIRTUAL, normalised, reference_batch, steps_of, trainer, work


@pytest.fixture(scope="module")
def data(pairs, unpaired):
    """Images for each kind of method."""
    return {"paired": pairs, "unpaired": unpaired, "single": unpaired / "trainB"}


@pytest.fixture(scope="module")
def ranks(data, forks, tmp_path_factory):
    """What both processes found, by method and by run."""
    folder = tmp_path_factory.mktemp("ranks")
    for process in forks.start_ranks(work, folder, data):
        ended = process.wait()
        assert ended.code == 0, ended.stderr
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]


@pytest.fixture(autouse=True)
def _in_float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def apart(one, other):
    """The largest difference of two states; of values above 1, as a share of them."""
    pairs = [(value.double(), other[name].double()) for name, value in one.items()]
    differences = [(first - second).abs() / second.abs().clamp(min=1) for first, second in pairs]
    return max(difference.max().item() for difference in differences if difference.numel())


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_two_ranks_is_a_run_of_one(name, ranks, data, tmp_path):
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
    # It matters that they share: the weights have gone far, and half of the batch takes them elsewhere.
    assert moved > 1e-3
    assert elsewhere > 1e-4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("three", "batch size 3 can't be divided among 2 ranks; use a multiple of 2: batch_size=4"),
        (
            "six",
            "batch size 6 can't be divided among 2 ranks in 2 micro-batches each; use a multiple of 4: batch_size=8",
        ),
    ],
)
def test_a_batch_size_that_ranks_cannot_divide_is_refused(name, said, ranks):
    for found in ranks:
        assert f"{UsageError.__module__}.{UsageError.__name__}: {said}\n" in found[name]


@pytest.mark.parametrize("name", NORMS)
def test_batch_norm_of_two_ranks_is_that_of_one_where_images_are_nearly_flat(name, ranks):
    first, second = (found[name] for found in ranks)
    assert not isinstance(first, str), first
    whole = normalised(name, slice(None))
    assert whole["y"].std() > 0.1
    torch.testing.assert_close(torch.cat([first.pop("y"), second.pop("y")]), whole.pop("y"), rtol=0, atol=0.02)
    assert first.keys() == second.keys() == whole.keys()
    for key, value in whole.items():
        assert torch.equal(first[key], second[key]), key
        torch.testing.assert_close(first[key], value, rtol=1e-4, atol=1e-6)


def test_ranks_have_the_reference_batch_of_rank_0(ranks, data, tmp_path):
    first, second = (found["reference"] for found in ranks)
    assert not isinstance(first, str), first
    assert torch.equal(first, second)
    # The latents that rank 0 draws are the first of those drawn for the batches of both.
    assert torch.equal(first, reference_batch(trainer(data, tmp_path, "gan", {}, generator=VIRTUAL)))
