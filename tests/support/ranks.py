"""Training in two ranks."""

import inspect
import os
import traceback

import torch
from torch import nn

from i2i.config import DataConfig, RunConfig, TrainConfig
from i2i.data import find_layout, load
from i2i.distributed import process_group, rank, world_size
from i2i.methods import methods
from i2i.networks import discriminators
from i2i.networks.layers import BatchNorm
from i2i.spec import Spec
from i2i.training.build import build_run
from i2i.training.synchronize import synchronize
from support.methods import GAMES, config, has, registry_of_generators, small

STEPS, BATCH = 2, 4


def begun(method):
    """As if training had begun: where CUT's weights begin, vectors so short are normalised that SGD sees rounding."""
    torch.manual_seed(0)
    for name, weight in method.named_parameters():
        if weight.dim() > 1:
            nn.init.xavier_normal_(weight)
        else:
            nn.init.normal_(weight, mean=float(name.endswith("weight")), std=0.1)  # gains lie about 1
    return method


# Every method with its own norms and a history that fills up, and what else the processes have to agree about.
RUNS = {
    **{method: (method, {}, {}) for method in GAMES},
    "pix2pix with r1": ("pix2pix", {"r1": 1000.0}, {}),
    "pix2pix with a gradient penalty": ("pix2pix", {"adversarial": "wasserstein", "gradient_penalty": 10.0}, {}),
    "pix2pix with diffaugment": ("pix2pix", {"diffaugment": ("colour", "translation", "cutout")}, {}),
    "pix2pix with a balance": ("pix2pix", {"max_fake_accuracy": 0.48}, {}),
    "pix2pix with clipped gradients": ("pix2pix", {}, {"clip": 5.0, "momentum": 0.9}),
    "pix2pix with historical averaging": ("pix2pix", {}, {"historical_averaging": 1.0, "steps": 3}),
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
    one = build_run(run, find_layout([data[kind.data]], data=kind.data), folder)
    begun(one.method)
    return one


def own_dropout(text, registry):
    """A small spec, but for its dropout."""
    spec = Spec.parse(text)
    own = inspect.signature(registry[spec.name]).parameters.get("dropout")
    return str(small(text, registry, dropout=spec.options.get("dropout", own and own.default)))


def steps_of(one, share=None):
    """Take the steps of a run, on a share of each batch, and give its weights and running statistics."""
    index = {
        "batch_size": BATCH,
        "start": 0,
        "steps": one.steps,
        "workers": 0,
        "share": share or (rank(), world_size()),
    }
    for batch in load(one.dataset, micro_batches=one.settings.gradient_accumulation, **index):
        one.train_step({name: value.double() if value.is_floating_point() else value for name, value in batch.items()})
    found = {name: value.detach().clone() for name, value in one.method.state_dict().items()}
    # How much is recognised is put together where it counts: for a balance, and in the metrics.
    return {name: value for name, value in found.items() if not name.startswith("fake_accuracy")}


def drawn():
    """Images of noise."""
    return torch.randn(BATCH, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float32)


def bright():
    """Images that are bright all over, whose squares float32 can't tell apart."""
    return 100 + 1e-3 * torch.randn(BATCH, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float32)


NORMS = {
    "of i2i": lambda: BatchNorm(3, at_inference="running"),
    "of torch": lambda: nn.BatchNorm2d(3),
    "without parameters or momentum": lambda: nn.BatchNorm2d(3, affine=False, momentum=None),
    "without running statistics": lambda: nn.BatchNorm2d(3, track_running_stats=False),
}


def normalised(name, share):
    """What two steps of a batch norm in float32 make of a share, and its state."""
    network = nn.Sequential(NORMS[name]().float().train())
    keys = network.state_dict().keys()
    synchronize(network)
    assert network.state_dict().keys() == keys
    with torch.no_grad():
        network(drawn()[share])
        y = network(bright()[share])
    return {"y": y, **network.state_dict()}


VIRTUAL = "dcgan:latent=6,norm=virtual"


def reference_batch(one):
    """The reference batch of a generator from a latent, after a step."""
    steps_of(one)
    return one.method.generators()["z2b"].reference.batch


def work(folder, data):
    """Train every method as one of two ranks, and leave behind the weights, or what went wrong."""
    torch.set_default_dtype(torch.float64)  # in float32 a unit at its kink may fall to either side
    half, found = BATCH // 2, {}

    def attempt(name, result):
        try:
            found[name] = result()
        except Exception:
            found[name] = traceback.format_exc()

    with process_group("cpu") as device:
        assert device == "cpu"
        share = slice(rank() * half, (rank() + 1) * half)
        for name, (method, options, given) in RUNS.items():
            args = (data, folder / str(len(found)), method, options)
            attempt(f"run of {name}", lambda args=args, given=given: steps_of(trainer(*args, **given)))
        for norm in NORMS:
            attempt(norm, lambda norm=norm: normalised(norm, share))
        attempt("reference", lambda: reference_batch(trainer(data, folder, "gan", {}, generator=VIRTUAL)))
        attempt("three", lambda: trainer(data, folder, "pix2pix", {}, batch_size=3))
        attempt("six", lambda: trainer(data, folder, "pix2pix", {}, batch_size=6, gradient_accumulation=2))
    torch.save(found, folder / f"{os.environ['RANK']}.pt")
