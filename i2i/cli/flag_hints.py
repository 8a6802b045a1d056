"""Our flags for the flags of other pix2pix and CycleGAN programs."""

from __future__ import annotations

import re
from collections.abc import Mapping

# By the flag's name in lower case, with dashes. If the answer depends on the value: by value, "" for all others; braces
# hold the default of a value that is carried over.
_TRAIN: dict[str, str | Mapping[str, str]] = {
    "model": "METHOD, the first word, as in: i2i train pix2pix DATA",
    "dataset-mode": "METHOD, the first word; the layout of DATA is detected",
    "phase": "not needed: DATA/train is trained on, DATA/val or DATA/test is held out",
    "name": "--run runs/NAME",
    "checkpoints-dir": "--run FOLDER",
    **dict.fromkeys(("output", "output-dir", "out"), "--run FOLDER"),
    "results-dir": "OUTPUT of: i2i translate INPUT OUTPUT --model RUN",
    "continue-train": "--resume",
    "epoch-count": "--resume, which continues at the right step",
    "gpu-ids": {"-1": "--device cpu", "": "--device cuda:0; for several GPUs: torchrun, see the README"},
    "direction": {"atob": "not needed: A to B is the default", "": "--swap"},
    "load-size": "--load-size",
    "crop-size": "--image-size",
    "preprocess": "--load-size and --image-size: images are resized to one, then cropped to the other",
    "no-flip": "--augment with nothing after it",
    "input-nc": "--channels FROM TO",
    "output-nc": "--channels FROM TO",
    "max-dataset-size": "a DATA folder with fewer images",
    "num-threads": "--workers",
    "n-epochs": "--epochs for all epochs, and --lr-decay-fraction for the fraction with a decaying learning rate",
    "n-epochs-decay": "--lr-decay-fraction, the fraction of epochs with a decaying learning rate; --epochs counts all",
    "lr-policy": {"linear": "--schedule linear", "cosine": "--schedule cosine", "": "--schedule"},
    "lr-decay-iters": "--lr-decay-fraction, the fraction of steps with a decaying learning rate",
    "learning-rate": "--lr",
    "max-steps": "--steps",
    "beta1": "--betas, two numbers such as 0.5 0.999",
    "pool-size": "--pool-size",
    "netg": {
        "unet-256": "--generator unet",
        "unet-128": "--generator unet:depth=7",
        "resnet-9blocks": "--generator resnet:blocks=9",
        "resnet-6blocks": "--generator resnet:blocks=6",
        "global": "--generator coarse_to_fine:enhancers=0",
        "local": "--generator coarse_to_fine",
        "": "--generator, such as unet or resnet:blocks=9",
    },
    "netd": {
        "basic": "--discriminator patchgan",
        "pixel": "--discriminator patchgan:layers=0",
        "": "--discriminator, such as patchgan:layers=3",
    },
    "ngf": "--generator unet:width={64}",
    "ndf": "--discriminator patchgan:width={64}",
    "n-layers-d": "--discriminator patchgan:layers={3}",
    "num-d": "--discriminator patchgan:scales={3}",
    "norm": "--generator unet:norm={instance}",
    "no-dropout": "--generator unet:dropout=0",
    "init-type": "--generator resnet:init=xavier",
    "gan-mode": {
        "vanilla": "--adversarial non_saturating",
        "lsgan": "--adversarial lsgan",
        "wgangp": "--adversarial wasserstein --gradient-penalty 10",
        "hinge": "--adversarial hinge",
        "": "--adversarial",
    },
    "lambda-l1": "--l1-weight",
    "lambda-a": "--cycle-weight",
    "lambda-b": "--cycle-weight",
    "lambda-identity": "--identity-weight, an absolute weight: 0.5 x 10 there is 5 here",
    "lambda-nce": "--nce-weight",
    "cut-mode": {"fastcut": "METHOD fastcut, as in: i2i train fastcut DATA", "": "METHOD, as in: i2i train cut DATA"},
    "normg": "--generator resnet:norm={instance}",
    "no-antialias": "--generator resnet:down=strided",
    "no-antialias-up": "--generator resnet:up=transposed",
    "serial-batches": "not needed: the order depends on --seed alone",
    "lambda-feat": "--feature-matching",
    "nce-idt": "--identity-weight",
    "nce-t": "--temperature",
    "num-patches": "--patches",
    "display-id": "not needed: open report.html in the run's folder",
    "display-port": "not needed: open report.html in the run's folder",
    "display-freq": "--sample-every, in steps",
    "update-html-freq": "--sample-every, in steps",
    "no-html": "not needed: report.html is small",
    "use-wandb": "--track wandb",
    "wandb-project-name": "--track wandb, with WANDB_PROJECT=NAME before the command",
    "tensorboard": "--track tensorboard",
    "print-freq": "--log-every, in steps",
    "save-latest-freq": "--save-every, in steps",
    "save-epoch-freq": "--save-every, in steps",
}
_NETWORK = "not needed: a model file knows its network"
_SIZE = "not needed: images are translated at their own size"
_USE: dict[str, str | Mapping[str, str]] = {
    "name": "--model RUN, the run's folder",
    "checkpoints-dir": "--model RUN, the run's folder",
    "epoch": "--model FILE, such as RUN/best.safetensors",
    "load-iter": "--model FILE, such as RUN/best.safetensors",
    "gpu-ids": {"-1": "--device cpu", "": "--device cuda:0"},
    "direction": "--to DOMAIN, for a model that translates both ways",
    "num-test": "an INPUT with fewer images",
    "max-dataset-size": "an INPUT with fewer images",
    "phase": "an INPUT such as DATA/test",
    "dataset-mode": "not needed: INPUT is an image, a folder or a glob",
    "eval": "not needed: models translate as in their sample grids",
    **dict.fromkeys(("load-size", "crop-size", "preprocess", "aspect-ratio", "no-flip"), _SIZE),
    **dict.fromkeys(("netg", "ngf", "norm", "no-dropout", "input-nc", "output-nc"), _NETWORK),
}
_EVALUATE: dict[str, str | Mapping[str, str]] = {
    **dict.fromkeys(("fid", "kid"), "--features inception"),
    "results-dir": "--json FILE",
    "num-test": "a DATA folder with fewer images",
    "max-dataset-size": "a DATA folder with fewer images",
    "phase": "not needed: DATA/val or DATA/test is scored",
    "dataset-mode": "--pairing; the layout of DATA is detected",
    "direction": "--swap, or --to DOMAIN for a model that translates both ways",
    **dict.fromkeys(
        ("load-size", "crop-size", "preprocess", "aspect-ratio"),
        "not needed: images are scored at the model's training size",
    ),
}
# Positional arguments of the commands, and the flags that other programs have for them.
_WORDS = {
    "train": "METHOD DATA",
    "translate": "INPUT OUTPUT",
    "sample": "MODEL OUT",
    "evaluate": "MODEL DATA",
    "check": "DATA",
    "info": "MODEL",
}
_ALSO = {
    "METHOD": ("method",),
    "DATA": ("data", "dataroot", "shards", "pairs", "data-dir", "dataset", "input"),
    "INPUT": ("input", "dataroot", "data", "source"),
    "OUTPUT": ("output", "results-dir", "output-dir", "out"),
    "MODEL": ("model", "checkpoints-dir", "name"),
    "OUT": ("out", "output", "results-dir", "output-dir"),
}
_OLDER = {
    "loadsize": "load-size",
    "finesize": "crop-size",
    "which-direction": "direction",
    "which-model-netg": "netg",
    "which-model-netd": "netd",
    "niter": "n-epochs",
    "niter-decay": "n-epochs-decay",
    "nthreads": "num-threads",
    "lambda-cyc": "lambda-a",
    "resize-or-crop": "preprocess",
    "gpu": "gpu-ids",
    "how-many": "num-test",
}


def hint(flag: str, value: str = "", *, command: str) -> str | None:
    """Our flag for another program's `flag` with this value; None if it isn't known.

    Args:
        flag: as it was typed, such as --n_epochs.
        value: what was typed after it.
        command: such as `translate`, or `train pix2pix`.
    """
    first = command.split()[0]
    name = flag.lstrip("-").lower().replace("_", "-")
    name = _OLDER.get(name, name)
    for word in _WORDS.get(first, "").split():
        if name in _ALSO[word]:
            more = " --model RUN" if first == "translate" else ""
            return f"{word} without a flag, as in: i2i {first} {_WORDS[first]}{more}"
    tables = {"train": (_TRAIN,), "check": (_TRAIN,), "evaluate": (_EVALUATE, _USE)}.get(first, (_USE,))
    found = next((table[name] for table in tables if name in table), None)
    if isinstance(found, Mapping):
        found = found.get(value.lower().replace("_", "-"), found[""])
    carried = value if re.fullmatch(r"\w+", value) else r"\1"
    return None if found is None else re.sub(r"\{(\w+)\}", carried, found)


def words_of(command: str) -> list[str]:
    """The positional arguments of a command, as users may type them as flags: --data, --model."""
    return [f"--{word.lower()}" for word in _WORDS.get(command.split()[0], "").split()]
