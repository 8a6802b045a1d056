"""The one loop that trains every objective; it knows nothing of any of them."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import default_collate
from tqdm import tqdm

import i2i
from i2i.checkpoint import Model, load_state, random_state, save_model, save_state, set_random_state
from i2i.config import RunConfig, to_dict
from i2i.data import Layout, Pictures, load
from i2i.data.loading import default_workers
from i2i.device import pick_device
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.losses import HistoricalAverage
from i2i.networks.virtual import Reference
from i2i.objectives import Losses, LossFn, Objective, objectives
from i2i.report import Metrics, save_sample_grid
from i2i.stopping import Stop, Stopped, stop_signals

_ADVICE = "the last saved state is untouched: go on from it with a lower --lr, or with --precision float32"


class Diverged(RuntimeError):
    """A loss became infinite or not a number; the last saved state is as it was."""


class Turn(nn.Module):
    """One player's move: its parameters, and any loss that moves them."""

    def __init__(self, player: nn.Module, *, historical_averaging: float = 0.0) -> None:
        super().__init__()
        self.player = player
        self.historical_averaging = historical_averaging
        self.history = HistoricalAverage(player) if historical_averaging else None

    def forward(self, loss: LossFn, images: Any) -> Losses:
        """The player's loss terms on a step's images."""
        if self.history is None:
            return loss(images)
        return loss(images) | {"historical_averaging": self.historical_averaging * self.history()}


@contextlib.contextmanager
def only(player: nn.Module, *, of: nn.Module) -> Iterator[None]:
    """Let gradients reach this player alone of all the parameters of an objective."""
    mine = {id(parameter) for parameter in player.parameters()}
    others = [p for p in of.parameters() if id(p) not in mine and p.requires_grad]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


class Trainer:
    """Trains the objective of a run on its pictures and writes the run's folder.

    Args:
        config: the run's settings.
        layout: the pictures; see `find_layout`.
        folder: where `config.json`, `metrics.jsonl`, `samples/`, `state.pt` and `model.safetensors` go.
        resume: go on from the folder's state.

    Raises:
        UsageError: the settings don't fit each other or this machine, or there is no state to go on from.
    """

    def __init__(self, config: RunConfig, layout: Layout, folder: Path, *, resume: bool = False) -> None:
        self.config, self.layout, self.folder = config, layout, folder
        train, data = config.train, config.data
        self.device = pick_device(train.device)
        method: Any = objectives[config.method]
        networks = method.backbones(
            train.generator,
            train.discriminator,
            image_size=data.image_size,
            channels=data.channels,
            classes=len(layout.classes),
        )
        torch.manual_seed(train.seed)
        self.objective: Objective = method(config.options, networks)
        if train.batch_size == 1 and any(isinstance(module, nn.BatchNorm1d) for module in self.objective.modules()):
            raise UsageError(
                "batch size 1: batch norm has nothing to compare a latent with; use --batch-size 2 or more, or a "
                "generator with norm=virtual"
            )
        self.objective.to(self.device)
        if train.channels_last:
            self.objective.to(memory_format=torch.channels_last)
        self.players = self.objective.players()
        averaging = train.historical_averaging
        self.turns = {name: Turn(p, historical_averaging=averaging) for name, p in self.players.items()}
        self.optimizers = {name: self._optimizer(player) for name, player in self.players.items()}

        workers = default_workers(self.device) if data.workers is None else data.workers
        load_size = data.load_size or (round(data.image_size * 286 / 256) if data.augment else data.image_size)
        if load_size < data.image_size:
            raise UsageError(f"load size {load_size} is below image size {data.image_size}; raise --load-size")
        pictures: dict[str, Any] = {
            "paired": self.objective.data == "paired",
            "image_size": data.image_size,
            "load_size": load_size,
            "channels": data.channels,
            "seed": train.seed,
            "max_pixels": data.max_megapixels * 1_000_000,
        }
        cache = int(data.cache_gb * 1e9) // max(1, workers)
        self.pictures = Pictures(layout.train, augment=data.augment, cache_bytes=cache, **pictures)
        self.shown = Pictures(layout.validation or layout.train, **pictures).fixed(train.samples)
        self.depths = self.pictures.depths()
        self.workers = workers
        self.steps = train.steps or math.ceil(train.epochs * len(self.pictures) / train.batch_size)
        self.step = 0
        if resume:
            self._restore()
        elif any(isinstance(module, Reference) for module in self.objective.modules()):
            self._show_reference()

    def fit(self) -> Path:
        """Train until the last step and return the model file.

        Whatever ends it early, the steps done are saved first.

        Raises:
            Stopped: Ctrl-C, SIGTERM or SIGHUP came.
            Diverged: losses or weights are no longer finite; the state is that of the last save.
            ImageError: a picture can't be read.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for torn in self.folder.glob(".i2i-*"):
            torn.unlink()
        described = {**to_dict(self.config), "made_by": f"i2i-toolkit {i2i.__version__}"}
        write_whole(self.folder / "config.json", json.dumps(described, indent=2).encode())
        self.metrics = Metrics(self.folder / "metrics.jsonl", step=self.step)
        if self.step == 0:
            self.save()
        with stop_signals() as stop:
            try:
                self._loop(stop)
            except (Stopped, Diverged):
                raise
            except Exception:
                with stop.held():
                    self.save()
                if stop.signum:  # it ended the workers too, which is what went wrong
                    raise Stopped(self.step, stop.signum) from None
                raise
        return self.folder / "model.safetensors"

    def _loop(self, stop: Stop) -> None:
        train = self.config.train
        batches = load(
            self.pictures,
            batch_size=train.batch_size,
            start=self.step,
            steps=self.steps,
            workers=self.workers,
            pin=self.device.type == "cuda",
        )
        window = _Window(self.step)
        bar = tqdm(total=self.steps, initial=self.step, unit="step", dynamic_ncols=True, disable=None)
        with contextlib.closing(batches), bar:
            for batch in batches:
                window.add(self.train_step(self._to_device(batch)))
                bar.update()
                asked, last = stop.signum, self.step == self.steps
                if self.step % train.log_every == 0 or last or asked:
                    self._log(window, bar)
                    window = _Window(self.step)
                if self.step % train.sample_every == 0 or last:
                    self.sample()
                if self.step % train.save_every == 0 or last or asked:
                    with stop.held():
                        self.save()
                if asked and not last:
                    raise Stopped(self.step, asked)

    def train_step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make the images once, let each player whose turn it is move once, and return the losses that moved them."""
        rate = self._rate(self.step)
        report: dict[str, Tensor] = {}
        self.objective.train()
        with self._autocast():
            images = self.objective(batch)
        for name, loss in self.objective.turns(self.step + 1):
            optimizer = self.optimizers[name]
            with only(self.players[name], of=self.objective):
                with self._autocast():
                    losses = self.turns[name](loss, images)
                optimizer.zero_grad(set_to_none=True)
                torch.autograd.backward(torch.stack([term.float() for term in losses.values()]).sum())
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.step()
            if (history := self.turns[name].history) is not None:
                history.update()
            report |= {f"{name}/{term}": value.detach() for term, value in losses.items()}
        self.step += 1
        return report

    @torch.no_grad()
    def sample(self) -> Path:
        """Write a grid of fixed pictures, validation ones where there are any, as `translate()` would give them."""
        self.objective.eval()
        images = self.objective.preview(self._to_device(self.shown))
        path = self.folder / "samples" / f"{self.step:06d}.png"
        save_sample_grid(path, images, domains=self.layout.domains)
        return path

    def save(self) -> None:
        """Write the state to go on from and the model file.

        Raises:
            Diverged: a weight is no longer finite; nothing is written.
        """
        if not all(bool(parameter.isfinite().all()) for parameter in self.objective.parameters()):
            raise Diverged(f"step {self.step}: weights are no longer numbers; {_ADVICE}")
        state = {
            "step": self.step,
            "objective": self.objective.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "histories": {name: turn.history.state_dict() for name, turn in self.turns.items() if turn.history},
            "classes": list(self.layout.classes),
            "random": random_state(self.device),
        }
        save_state(self.folder / "state.pt", state)
        data = self.config.data
        preprocess: dict[str, Any] = {
            "image_size": data.image_size,
            "channels": data.channels,
            "depths": self.depths,
        }
        if self.layout.classes:
            preprocess["classes"] = self.layout.classes
        # Whoever gets the model need not learn where this machine keeps its pictures.
        names = [Path(path).name for path in self.config.paths]
        provenance = {**to_dict(self.config), "paths": names}
        model = Model(self.objective.maps(), self.layout.domains, preprocess, provenance, self.step)
        save_model(self.folder / "model.safetensors", model)

    def _restore(self) -> None:
        state = load_state(self.folder / "state.pt")
        known = tuple(state.get("classes", self.layout.classes))
        if known != self.layout.classes:
            was, now = (", ".join(names) or "no classes" for names in (known, self.layout.classes))
            raise UsageError(f"{self.folder} was trained with {was}, and now the data has {now}; bring those back")
        try:
            self.objective.load_state_dict(state["objective"])
            for name, optimizer in self.optimizers.items():
                self._restore_optimizer(optimizer, state["optimizers"][name])
            for name, turn in self.turns.items():
                if turn.history and name in state["histories"]:
                    turn.history.load_state_dict(state["histories"][name])
        except UsageError:
            raise
        except (RuntimeError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[-1].strip()
            raise UsageError(f"{self.folder}/state.pt was saved with other networks: {reason}") from None
        self.step = state["step"]
        set_random_state(state["random"], self.device)
        if self.step >= self.steps:
            raise UsageError(f"{self.folder} has done its {self.step} steps; give more --steps or --epochs to train on")

    def _restore_optimizer(self, optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
        was = "sgd" if "momentum" in state["param_groups"][0] else "adam"
        if was != self.config.train.optimizer:
            raise UsageError(f"{self.folder} has the state of another optimizer; go on with --optimizer {was}")
        flags = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
        optimizer.load_state_dict(state)
        for group, given in zip(optimizer.param_groups, flags, strict=True):
            group.update(given)

    @torch.no_grad()
    def _show_reference(self) -> None:
        """Let each network with virtual batch norm take its first input as its reference."""
        batch = default_collate([self.pictures[place] for place in range(self.config.train.reference)])
        self.objective(self._to_device(batch))

    def _log(self, window: _Window, bar: Any) -> None:
        losses, speed = window.means(), window.speed(self.step) * self.config.train.batch_size
        bad = [term for term, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise Diverged(f"step {self.step}: {', '.join(bad)} is no longer a number; {_ADVICE}")
        rate = self._rate(self.step - 1)
        self.metrics.write({"step": self.step, "lr": rate, "images_per_second": round(speed, 2), **losses})
        shown = f"{speed:.1f} img/s, " + ", ".join(f"{player} {v:.3g}" for player, v in _by_player(losses).items())
        bar.set_postfix_str(shown)
        if bar.disable:  # no terminal: lines in a log instead of a bar
            print(f"step {self.step} of {self.steps}: {shown}", flush=True)

    def _rate(self, step: int) -> float:
        train = self.config.train
        return learning_rate(step, steps=self.steps, base=train.lr, decay=train.decay)

    def _optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        train, weights = self.config.train, list(player.parameters())
        fused = self.device.type in ("cpu", "cuda", "mps")
        decay = train.weight_decay
        if train.optimizer == "sgd":
            return torch.optim.SGD(weights, lr=train.lr, momentum=train.momentum, weight_decay=decay, fused=fused)
        return torch.optim.Adam(weights, lr=train.lr, betas=train.betas, weight_decay=decay, fused=fused)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.train.precision == "bf16")

    def _to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        layout = torch.channels_last if self.config.train.channels_last else torch.contiguous_format
        moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        return {name: t.contiguous(memory_format=layout) if t.dim() == 4 else t for name, t in moved.items()}


def learning_rate(step: int, *, steps: int, base: float, decay: float) -> float:
    """The rate of a step counted from 0: constant, then linear to zero over the last `decay` share of the steps."""
    falling = steps * decay
    return base * min(1.0, (steps - step) / falling) if falling else base


class _Window:
    """The losses since the last line of metrics, summed where they are so that the device need not wait."""

    def __init__(self, step: int) -> None:
        self.start, self.begun = step, time.perf_counter()
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = defaultdict(int)

    def add(self, losses: dict[str, Tensor]) -> None:
        for term, value in losses.items():
            self.sums[term] = self.sums[term] + value if term in self.sums else value
            self.counts[term] += 1

    def means(self) -> dict[str, float]:
        return {term: float(total) / self.counts[term] for term, total in self.sums.items()}

    def speed(self, step: int) -> float:
        return (step - self.start) / (time.perf_counter() - self.begun)


def _by_player(losses: dict[str, float]) -> dict[str, float]:
    """What each player minimises: the sum of its terms."""
    sums: dict[str, float] = defaultdict(float)
    for term, value in losses.items():
        sums[term.partition("/")[0]] += value
    return sums
