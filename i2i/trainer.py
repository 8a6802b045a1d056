"""The one loop that trains every objective; it knows nothing of any of them."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
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
from i2i.average import WeightAverage
from i2i.checkpoint import Model, random_state, save_model, save_state, set_random_state
from i2i.config import RunConfig, to_dict
from i2i.data import Layout, Pictures, load
from i2i.data.loading import default_workers
from i2i.device import pick_device
from i2i.distributed import highest, lost_another, mean_over_processes, processes, rank, shared
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.health import Concern, Health, not_a_number, signs_of
from i2i.losses import HistoricalAverage
from i2i.networks.virtual import Reference
from i2i.objectives import Losses, LossFn, Objective, objectives
from i2i.report import Metrics, save_sample_grid
from i2i.resume import restore, state_of
from i2i.schedule import learning_rate
from i2i.stopping import Stop, Stopped, stop_signals
from i2i.validation import Validation

_ADVICE = "the last saved state is untouched: go on from it with a lower --lr, --clip 1, or --precision float32"
_AGREE = 10  # steps between the processes' agreement whether to stop


class Diverged(RuntimeError):
    """A loss became infinite or not a number; the last saved state is as it was."""


class Parted(RuntimeError):
    """Another process of the run has ended; the last saved state is as it was."""


class Turn(nn.Module):
    """One player's move: its parameters, and any loss that moves them; what is shared between processes."""

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

    Several processes under torchrun, joined by `i2i.distributed.joined`, are one run: each works on its share of a
    step's pictures, and the first writes.

    Args:
        config: the run's settings.
        layout: the pictures; see `find_layout`.
        folder: where `config.json`, `metrics.jsonl`, `samples/`, `state.pt` and `model.safetensors` go.
        resume: go on from the folder's state.
        device: that of this process, where it isn't what the settings say.

    Raises:
        UsageError: the settings don't fit each other or this machine, or there is no state to go on from.
    """

    def __init__(
        self, config: RunConfig, layout: Layout, folder: Path, *, resume: bool = False, device: str | None = None
    ) -> None:
        self.config, self.layout, self.folder = config, layout, folder
        train, data = config.train, config.data
        self.device = pick_device(device or train.device)
        if train.batch_size % (processes() * train.accumulate):
            raise UsageError(
                f"batch size {train.batch_size} can't be shared by {processes()} processes in {train.accumulate} parts "
                f"each; give a multiple of {processes() * train.accumulate}"
            )
        if train.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
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
        self.average = WeightAverage(self.objective.maps(), decay=train.ema) if train.ema else None
        averaging = train.historical_averaging
        self.turns = {name: Turn(p, historical_averaging=averaging) for name, p in self.players.items()}
        self.optimizers = {name: self._optimizer(player) for name, player in self.players.items()}
        fp16 = train.precision == "fp16"
        self.scalers = {name: torch.amp.GradScaler(self.device.type, enabled=fp16) for name in self.players}

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
        self.validation = self._validation(pictures)
        self.depths = self.pictures.depths()
        self.workers = workers
        self.steps = train.steps or math.ceil(train.epochs * len(self.pictures) / train.batch_size)
        self.step = self.saved = 0
        self.best: dict[str, Any] | None = None
        self.health = Health(layout.domains, unpaired=self.objective.data == "unpaired")
        if resume:
            restore(self)
            if self.step >= self.steps:
                raise UsageError(f"{folder} has done its {self.step} steps; give more --steps or --epochs to train on")
        elif any(isinstance(module, Reference) for module in self.objective.modules()):
            self._show_reference()
        self.shared = {name: shared(turn) for name, turn in self.turns.items()}

    def fit(self) -> Path:
        """Train until the last step and return the model file.

        Whatever ends it early, the steps done are saved first, but where another process is gone.

        Raises:
            Stopped: Ctrl-C, SIGTERM or SIGHUP came.
            Diverged: losses or weights are no longer finite; the state is that of the last save.
            Parted: another process of the run has ended; the state is that of the last save.
            ImageError: a picture can't be read.
        """
        if rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            for torn in self.folder.glob(".i2i-*"):
                torn.unlink()
            described = {**to_dict(self.config), "made_by": f"i2i-toolkit {i2i.__version__}"}
            write_whole(self.folder / "config.json", json.dumps(described, indent=2).encode())
        self.metrics = Metrics(self.folder / "metrics.jsonl", step=self.step) if rank() == 0 else None
        if self.step == 0:
            self.save()
        with stop_signals() as stop:
            try:
                self._loop(stop)
            except (Stopped, Diverged):
                raise
            except Exception as error:
                if processes() > 1:  # what the others did is not known
                    if lost_another(error):
                        raise Parted(f"another process has ended; the state of step {self.saved} is saved") from None
                    raise
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
            share=(rank(), processes()),
            start=self.step,
            steps=self.steps,
            workers=self.workers,
            pin=self.device.type == "cuda",
        )
        window = _Window(self.step)
        hidden = None if rank() == 0 else True
        bar = tqdm(total=self.steps, initial=self.step, unit="step", dynamic_ncols=True, disable=hidden)
        with contextlib.closing(batches), bar:
            for batch in batches:
                window.add(self.train_step(self._to_device(batch)))
                bar.update()
                asked, last = self._asked(stop), self.step == self.steps
                if self.step % train.log_every == 0 or last or asked:
                    self._log(window, bar)
                    window = _Window(self.step)
                if self.step % train.sample_every == 0 or last:
                    self.sample()
                if self.validation and (self.step % train.validate_every == 0 or last):
                    self.validate()
                if self.step % train.save_every == 0 or last or asked:
                    with stop.held():
                        self.save()
                if asked and not last:
                    raise Stopped(self.step, asked)

    def train_step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make the images once, let each player whose turn it is move once, and return the losses that moved them."""
        self.objective.train()
        parts = _parts(batch, self.config.train.accumulate)
        drawn = random_state(self.device) if len(parts) > 1 else None
        images = made = self._images(parts[0]) if drawn is None else None
        report: dict[str, Tensor] = {}
        for name, loss in self.objective.turns(self.step + 1):
            with only(self.players[name], of=self.objective):
                if drawn is not None:  # each turn makes the images of a part anew, and the same ones
                    set_random_state(drawn, self.device)
                self.optimizers[name].zero_grad(set_to_none=True)
                for place, part in enumerate(parts):
                    made = images if drawn is None else self._images(part)
                    losses = self._backward(name, loss, made, share=len(parts), last=place == len(parts) - 1)
                    for term, value in losses.items():
                        report[term] = report[term] + value if term in report else value
            self._move(name)
        if self.average is not None:
            self.average.update()
        self.step += 1
        self.images = made
        return report

    def _images(self, part: dict[str, Tensor]) -> Any:
        with self._autocast():
            return self.objective(part)

    def _backward(self, name: str, loss: LossFn, images: Any, *, share: int, last: bool) -> dict[str, Tensor]:
        """Add the gradients of a part of the batch, and return its terms as they count in the whole."""
        turn = self.shared[name]
        # What the processes have is put together once, with the last part.
        alone = contextlib.nullcontext() if last or turn is self.turns[name] else turn.no_sync()  # type: ignore[operator]
        with alone:
            with self._autocast():
                losses = turn(loss, images)
            total = torch.stack([term.float() for term in losses.values()]).sum() / share
            torch.autograd.backward(self.scalers[name].scale(total))
        return {f"{name}/{term}": value.detach() / share for term, value in losses.items()}

    def _move(self, name: str) -> None:
        optimizer, scaler, rate = self.optimizers[name], self.scalers[name], self._rate(self.step)
        if self.config.train.clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(self.players[name].parameters(), self.config.train.clip)
        for group in optimizer.param_groups:
            group["lr"] = rate
        scaler.step(optimizer)
        scaler.update()
        if (history := self.turns[name].history) is not None:
            history.update()

    @torch.no_grad()
    def sample(self) -> None:
        """Write a grid of fixed pictures, validation ones where there are any, as `translate()` would give them."""
        if rank() > 0:
            return
        self.objective.eval()
        with self._mean_weights(), torch.random.fork_rng(devices=[]):
            images = self.objective.preview(self._to_device(self.shown))
        save_sample_grid(self.folder / "samples" / f"{self.step:06d}.png", images, domains=self.layout.domains)

    def validate(self) -> None:
        """Score held-out pairs, and keep the model as best.safetensors where it is the best so far."""
        if rank() > 0 or self.validation is None:
            return
        assert self.metrics is not None
        self.objective.eval()
        with self._mean_weights():
            scores, training = self.validation(self.objective.maps()["a2b"], self.device)
        self.metrics.write({"step": self.step, **{f"validation/{name}": value for name, value in scores.items()}})
        if self.best is None or scores["l1"] < self.best["value"]:
            self.best = {"step": self.step, "score": "l1", "value": scores["l1"]}
            save_model(self.folder / "best.safetensors", self._model())
        self._say(self.health.validated(self.step, scores["l1"], training))

    def save(self) -> None:
        """Write the state to go on from and the model file.

        Raises:
            Diverged: a weight is no longer finite; nothing is written.
        """
        if not all(bool(parameter.isfinite().all()) for parameter in self.objective.parameters()):
            raise Diverged(f"step {self.step}: weights are no longer numbers; {_ADVICE}")
        if rank() == 0:
            save_state(self.folder / "state.pt", state_of(self))
            save_model(self.folder / "model.safetensors", self._model())
        self.saved = self.step

    def _model(self) -> Model:
        data = self.config.data
        preprocess: dict[str, Any] = {"image_size": data.image_size, "channels": data.channels, "depths": self.depths}
        if self.layout.classes:
            preprocess["classes"] = self.layout.classes
        # Whoever gets the model need not learn where this machine keeps its pictures.
        provenance = {**to_dict(self.config), "paths": [Path(path).name for path in self.config.paths]}
        maps: Any = self.objective.maps() if self.average is None else dict(self.average.networks)
        return Model(maps, self.layout.domains, preprocess, provenance, self.step)

    def _mean_weights(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.average is None else self.average.in_place()

    def _validation(self, pictures: dict[str, Any]) -> Validation | None:
        train = self.config.train
        held_out = self.layout.validation
        if held_out is None or self.objective.data != "paired" or not train.validate_every:
            return None
        sets = (Pictures(split, **pictures) for split in (held_out, self.layout.train))
        return Validation(*sets, count=train.validation_pictures)

    @torch.no_grad()
    def _show_reference(self) -> None:
        """Let each network with virtual batch norm take its first input as its reference."""
        batch = default_collate([self.pictures[place] for place in range(self.config.train.reference)])
        self.objective(self._to_device(batch))

    def _asked(self, stop: Stop) -> int:
        """The signal that asked to stop, as all processes know it."""
        if processes() == 1:
            return stop.signum or 0
        return highest(stop.signum or 0) if self.step % _AGREE == 0 or self.step == self.steps else 0

    def _log(self, window: _Window, bar: Any) -> None:
        losses, speed = window.means(), window.speed(self.step) * self.config.train.batch_size
        bad = not_a_number(losses)
        if bad:
            raise Diverged(f"step {self.step}: {', '.join(bad)} is no longer a number; {_ADVICE}")
        signs = {name: float(mean_over_processes(value)) for name, value in signs_of(self.images).items()}
        losses["recognised"] = float(self.objective.recognised)
        if self.metrics is None:
            return
        rate = self._rate(self.step - 1)
        self.metrics.write({"step": self.step, "lr": rate, "images_per_second": round(speed, 2), **losses})
        self._say(self.health.look(self.step, losses, signs))
        players = _by_player(losses)
        shown = f"{speed:.1f} img/s, " + ", ".join(f"{player} {value:.3g}" for player, value in players.items())
        bar.set_postfix_str(shown)
        if bar.disable:  # no terminal: lines in a log instead of a bar
            print(f"step {self.step} of {self.steps}: {shown}", flush=True)

    def _say(self, concerns: list[Concern]) -> None:
        """Tell people what there is to know, and keep it with the metrics."""
        assert self.metrics is not None
        for concern in concerns:
            self.metrics.write({"step": self.step, **concern._asdict()})
            tqdm.write(f"step {self.step}: {concern.warning}\n  try: {concern.advice}", file=sys.stderr)

    def _rate(self, step: int) -> float:
        return learning_rate(step, steps=self.steps, config=self.config.train)

    def _optimizer(self, player: nn.Module) -> torch.optim.Optimizer:
        train, weights = self.config.train, list(player.parameters())
        fused = self.device.type in ("cpu", "cuda", "mps")
        decay = train.weight_decay
        if train.optimizer == "sgd":
            return torch.optim.SGD(weights, lr=train.lr, momentum=train.momentum, weight_decay=decay, fused=fused)
        return torch.optim.Adam(weights, lr=train.lr, betas=train.betas, weight_decay=decay, fused=fused)

    def _autocast(self) -> torch.autocast:
        kind = torch.float16 if self.config.train.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=self.config.train.precision != "float32")

    def _to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        layout = torch.channels_last if self.config.train.channels_last else torch.contiguous_format
        moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        return {name: t.contiguous(memory_format=layout) if t.dim() == 4 else t for name, t in moved.items()}


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
        """Of all processes together."""
        return {
            term: float(mean_over_processes(total.clone())) / self.counts[term] for term, total in self.sums.items()
        }

    def speed(self, step: int) -> float:
        return (step - self.start) / (time.perf_counter() - self.begun)


def _parts(batch: dict[str, Tensor], count: int) -> list[dict[str, Tensor]]:
    """A batch in parts of equal size."""
    if count == 1:
        return [batch]
    cut = {name: tensor.chunk(count) for name, tensor in batch.items()}
    return [{name: parts[place] for name, parts in cut.items()} for place in range(count)]


def _by_player(losses: dict[str, float]) -> dict[str, float]:
    """What each player minimises: the sum of its terms."""
    sums: dict[str, float] = defaultdict(float)
    for term, value in losses.items():
        player, slash, _ = term.partition("/")
        if slash:
            sums[player] += value
    return sums
