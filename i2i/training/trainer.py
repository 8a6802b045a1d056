"""The one loop that trains every method; it knows nothing of any of them."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import shlex
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from i2i.config import RunConfig, to_dict
from i2i.data import ImageDataset, Layout, load
from i2i.data.loader import default_workers
from i2i.device import pick_device
from i2i.distributed import all_reduce_max, all_reduce_mean, is_peer_failure, launcher, rank, world_size
from i2i.errors import UsageError
from i2i.files import write_whole
from i2i.images.grid import save_sample_grid
from i2i.methods import Method, methods
from i2i.methods.base import Batch
from i2i.model_file import Model, save_model
from i2i.networks.layers import UnitBatchNorm
from i2i.networks.virtual_batch_norm import Reference
from i2i.progress import Progress
from i2i.training.checkpoint import save_state
from i2i.training.diagnostics import Diagnosis, Diagnostics, image_statistics, not_a_number
from i2i.training.ema import ModelEMA
from i2i.training.lock import is_replaced
from i2i.training.logger import LossMeter, RunLogger, board, by_player
from i2i.training.lr_schedule import decay_start, learning_rate
from i2i.training.micro_batches import MicroBatches
from i2i.training.player import Mover, only, running_statistics
from i2i.training.preflight import check_settings
from i2i.training.resume import generator_of, listing_of, restore, state_of
from i2i.training.signals import Stop, Stopped, stop_signals
from i2i.training.validation import Validation
from i2i.version import __version__ as __version__

_ADVICE = "the last saved state is untouched: go on from it with a lower --lr, --clip 1, or --precision float32"


class Diverged(RuntimeError):
    """A loss became infinite or not a number; the last saved state is as it was."""


class PeerFailure(RuntimeError):
    """Another process of the run has ended; the last saved state is as it was."""


class Trainer:
    """Trains the method of a run on its images and writes the run's folder.

    Several processes under torchrun, joined by `i2i.distributed.joined`, are one run: each works on its share of a
    step's images, and the first writes.

    Args:
        config: the run's settings.
        layout: the images; see `find_layout`.
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
        least = world_size() * train.gradient_accumulation
        if train.batch_size % least:
            parts = f" in {train.gradient_accumulation} parts each" if train.gradient_accumulation > 1 else ""
            raise UsageError(
                f"batch size {train.batch_size} can't be shared by {world_size()} processes{parts}; give a multiple of "
                f"{least}: --batch-size {math.ceil(train.batch_size / least) * least}"
            )
        if train.tensorboard:
            board()  # whether it is there, before the work begins
        if train.deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True, warn_only=True)
        method: Any = methods[config.method]
        networks = method.backbones(
            train.generator or (generator_of(folder) if resume else None),
            train.discriminator,
            image_size=data.image_size,
            channels=data.channels,
            classes=len(layout.classes),
        )
        torch.manual_seed(train.seed)
        self.method: Method = method(config.options, networks)
        if train.batch_size == train.gradient_accumulation and any(
            isinstance(m, UnitBatchNorm) for m in self.method.modules()
        ):
            raise UsageError(
                "one image at a time: batch norm has nothing to compare a latent with; use a --batch-size of twice "
                "--gradient-accumulation or more, or a generator with norm=virtual"
            )
        self.method.to(self.device)
        if train.channels_last:
            self.method.to(memory_format=torch.channels_last)
        self.players = self.method.players()
        made_by = {id(weight) for network in self.method.generators().values() for weight in network.parameters()}
        self.makers = {name for name, p in self.players.items() if any(id(w) in made_by for w in p.parameters())}
        self.ema = ModelEMA(self.method.generators(), decay=train.ema_decay) if train.ema_decay else None
        self.trainer_players = {name: Mover(player, train, self.device) for name, player in self.players.items()}

        workers = default_workers(self.device) if data.workers is None else data.workers
        crops = data.augment and data.crop != "never"
        load_size = data.load_size or (round(data.image_size * 286 / 256) if crops else data.image_size)
        if load_size < data.image_size:
            raise UsageError(f"load size {load_size} is below image size {data.image_size}; raise --load-size")
        pictures: dict[str, Any] = {
            "paired": self.method.data == "paired",
            "image_size": data.image_size,
            "load_size": load_size,
            "channels": data.channels,
            "seed": train.seed,
            "max_pixels": data.max_megapixels * 1_000_000,
        }
        cache = int(data.cache_gb * 1e9) // max(1, workers)
        count = max(len(layout.train.a), len(layout.train.b))
        self.steps = train.steps or max(math.ceil(train.epochs * count / train.batch_size), train.min_steps)
        whole_from = decay_start(self.steps, config=train) * train.batch_size if data.crop == "before_decay" else None
        self.images = ImageDataset(
            layout.train, augment=data.augment, cache_bytes=cache, whole_from=whole_from, **pictures
        )
        self.shown = ImageDataset(layout.validation or layout.train, **pictures).fixed(train.samples)
        self.validation = self._validation(pictures)
        self.depths = self.images.depths()
        self.workers = workers
        self.diagnoses = check_settings(config, self.method, steps=self.steps, images=len(self.images))
        self.step = self.saved = 0
        self.best: dict[str, Any] | None = None
        self.health = Diagnostics(
            layout.domains,
            unpaired=self.method.data == "unpaired",
            has_identity=hasattr(config.options, "identity_weight"),
        )
        self.listing = listing_of(layout, config.paths)
        self.changes: list[Diagnosis] = []
        if resume:
            restore(self)
            if self.step >= self.steps:
                raise UsageError(f"{folder} has done its {self.step} steps; give more --steps or --epochs to train on")
        elif any(isinstance(module, Reference) for module in self.method.modules()):
            self._show_reference()
        for mover in self.trainer_players.values():
            mover.share()
        self.run_logger: RunLogger | None = None
        self.removed = False

    def fit(self) -> Path:
        """Train until the last step and return the model file.

        Whatever ends it early, the steps done are saved first, but where another process is gone.

        Raises:
            Stopped: Ctrl-C, SIGTERM or SIGHUP came.
            Diverged: losses or weights are no longer finite; the state is that of the last save.
            Parted: another process of the run has ended; the state is that of the last save.
            ImageError: an image can't be read.
            WorkerLost: a process that loads images has ended.
            OSError: a file can't be written; the state is that of the last save. Or the run folder was removed, and
                the run is saved there again.
        """
        if rank() == 0:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._write_settings()
            about = self._about()
            self.run_logger = RunLogger(
                self.folder, step=self.step, about=about, tensorboard=self.config.train.tensorboard
            )
            self._tell("running")
            self.run_logger.warn(self.step, [*self.health.unsaid(self.diagnoses), *self.changes])
        if self.step == 0:
            self.save()
            self.sample()  # which images are the input and which the target can be seen before any training
            self._tell("running")
        with stop_signals() as stop:
            try:
                self._loop(stop)
            except (Stopped, Diverged) as ended:
                self._tell("stopped" if isinstance(ended, Stopped) else "diverged")
                raise
            except Exception as error:
                if world_size() > 1:  # what the others did is not known
                    self._tell("stopped")
                    if is_peer_failure(error):
                        raise PeerFailure(
                            f"another process has ended; the state of step {self.saved} is saved"
                        ) from None
                    raise
                try:
                    with stop.held():
                        self.save()
                finally:
                    self._tell("stopped")
                if stop.signum:  # it ended the workers too, which is what went wrong
                    raise Stopped(self.step, stop.signum) from None
                raise
        self._tell("finished")
        return self.folder / "model.safetensors"

    def _loop(self, stop: Stop) -> None:
        train = self.config.train
        batches = load(
            self.images,
            batch_size=train.batch_size,
            share=(rank(), world_size()),
            micro_batches=train.gradient_accumulation,
            start=self.step,
            steps=self.steps,
            workers=self.workers,
            pin=self.device.type == "cuda",
        )
        window = LossMeter(self.step)
        bar = Progress(total=self.steps, initial=self.step, unit="step", disable=rank() > 0)
        with contextlib.closing(batches), bar:
            for batch in batches:
                losses = self.train_step(self._to_device(batch))
                window.add(losses)
                if self.step == 1:
                    self.health.begin({term: float(value) for term, value in losses.items()})
                bar.update()
                asked, last = all_reduce_max(stop.signum or 0), self.step == self.steps
                if self.step % train.log_every == 0 or last or asked:
                    self._log(window, bar)
                    window = LossMeter(self.step)
                if self.validation and (self.step % train.validate_every == 0 or last):
                    self.validate()
                if self.step % train.sample_every == 0 or last:
                    self.sample()
                    self._tell("running")
                if self.step % train.save_every == 0 or last or asked:
                    with stop.held():
                        self.save()
                if asked and not last:
                    raise Stopped(self.step, asked)

    def train_step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Make the images once, let each player whose turn it is move once, and return the losses that moved them."""
        self.method.train()
        parts = MicroBatches(
            batch, count=self.config.train.gradient_accumulation, make=self._images, device=self.device
        )
        report: dict[str, Tensor] = {}
        for name, loss in self.method.turns(self.step + 1):
            mover = self.trainer_players[name]
            with only(mover.player, of=self.method):
                mover.begin()
                for index in range(len(parts)):
                    images, last = parts.images(index), index == len(parts) - 1
                    # Running statistics take in one micro-batch a step, as they take in one whole batch.
                    with running_statistics(self.method, update=index == 0):
                        losses = mover.learn(loss, images, parts=len(parts), last=last, autocast=self._autocast())
                    for term, value in losses.items():
                        report[f"{name}/{term}"] = report.get(f"{name}/{term}", 0) + value
            mover.move(self._rate(self.step))
            if name in self.makers:
                parts.moved()
        if self.ema is not None:
            self.ema.update()
        self.step += 1
        self.images = parts.last()
        return report

    def _images(self, part: Batch, first: bool) -> Any:
        with self._autocast(), running_statistics(self.method, update=first):
            return self.method(part)

    @torch.no_grad()
    def sample(self) -> None:
        """Write a grid of fixed images, validation ones where there are any, as `translate()` would give them."""
        if rank() > 0:
            return
        self._refuse_folder_of_another()
        self.method.eval()
        with self._mean_weights(), torch.random.fork_rng(devices=[]):
            images = self.method.preview(self._to_device(self.shown))
        save_sample_grid(self.folder / "samples" / f"{self.step:06d}.png", images, domains=self.layout.domains)

    def validate(self) -> None:
        """Score held-out pairs, and keep the model as best.safetensors where it is the best so far."""
        if self.run_logger is None or self.validation is None:
            return
        self.method.eval()
        with self._mean_weights():
            scores, training = self.validation(self.method.generators()["a2b"], self.device)
        self.run_logger.note(self.step, {f"validation/{name}": value for name, value in scores.items()})
        if self.best is None or scores["l1"] < self.best["value"]:
            self.best = {"step": self.step, "score": "l1", "value": scores["l1"]}
            save_model(self.folder / "best.safetensors", self._model())
        self.run_logger.warn(self.step, self.health.validated(self.step, scores["l1"], training))

    def save(self) -> None:
        """Write the state to go on from and the model file.

        Raises:
            Diverged: a weight, or what an optimizer keeps of it, is no longer finite; nothing is written.
            OSError: a file can't be written, or the run folder was removed since training began; then the run is saved
                there again before.
            UsageError: another run has begun in a folder of this name; nothing is written.
        """
        self._refuse_folder_of_another()
        if not self._is_finite():
            raise Diverged(f"step {self.step}: weights are no longer numbers; {_ADVICE}")
        all_reduce_mean(self.method.fake_accuracy)
        removed = self.run_logger is not None and not (self.folder / "config.json").exists()
        if rank() == 0:
            if removed:
                self.removed = True
                self._write_settings()
            # The state last: what is killed in between goes on from the one before, and writes both again.
            save_model(self.folder / "model.safetensors", self._model())
            save_state(self.folder / "state.pt", state_of(self))
        self.saved = all_reduce_max(self.step)  # once the first has written it
        if removed:
            raise FileNotFoundError(errno.ENOENT, "the run folder was removed while it trained", str(self.folder))

    def _is_of_another(self) -> bool:
        """Whether another run has begun in a folder of this name, since this one's was removed."""
        return not self.removed and (self.folder / "config.json").exists() and is_replaced(self.folder)

    def _refuse_folder_of_another(self) -> None:
        if self._is_of_another():
            raise UsageError(
                f"{self.folder} was removed while this run trained, and another run writes it now; nothing more is "
                "written of this one. To train both, start this one again with another --run"
            )

    def _write_settings(self) -> None:
        described = {**to_dict(self.config), "made_by": f"i2i-toolkit {__version__}"}
        write_whole(self.folder / "config.json", json.dumps(described, indent=2).encode())

    def _is_finite(self) -> bool:
        moments = [held for mover in self.trainer_players.values() for held in mover.optimizer.state.values()]
        kept = [*self.method.state_dict().values(), *(value for held in moments for value in held.values())]
        return all(bool(value.isfinite().all()) for value in kept if isinstance(value, Tensor))

    def _model(self) -> Model:
        data = self.config.data
        preprocess: dict[str, Any] = {"image_size": data.image_size, "channels": data.channels, "depths": self.depths}
        if self.layout.classes:
            preprocess["classes"] = self.layout.classes
        # Whoever gets the model need not learn where this machine keeps its images.
        provenance = {**to_dict(self.config), "paths": [Path(path).name for path in self.config.paths]}
        maps: Any = self.method.generators() if self.ema is None else dict(self.ema.networks)
        return Model(maps, self.layout.domains, preprocess, provenance, self.step)

    def _mean_weights(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.ema is None else self.ema.in_place()

    def _validation(self, images: dict[str, Any]) -> Validation | None:
        train = self.config.train
        held_out = self.layout.validation
        if rank() > 0 or held_out is None or self.method.data != "paired" or not train.validate_every:
            return None
        sets = (ImageDataset(split, **images) for split in (held_out, self.layout.train))
        return Validation(*sets, count=train.validation_images)

    @torch.no_grad()
    def _show_reference(self) -> None:
        """Let each network with virtual batch norm take its first input as its reference."""
        batch = default_collate([self.images[index] for index in range(self.config.train.vbn_batch)])
        self.method(self._to_device(batch))

    def _log(self, window: LossMeter, bar: Any) -> None:
        losses, speed = window.means(), window.speed(self.step) * self.config.train.batch_size
        bad = not_a_number(losses)
        if bad:
            raise Diverged(f"step {self.step}: {', '.join(bad)} is no longer a number; {_ADVICE}")
        signs = {name: float(all_reduce_mean(value)) for name, value in image_statistics(self.images).items()}
        losses["fake_accuracy"] = float(all_reduce_mean(self.method.fake_accuracy))
        if self.run_logger is None:
            return
        self._refuse_folder_of_another()
        self.run_logger.note(
            self.step, {"lr": self._rate(self.step - 1), "images_per_second": round(speed, 2), **losses}
        )
        skipped = {name: mover.skipped for name, mover in self.trainer_players.items()}
        self.run_logger.warn(self.step, self.health.look(self.step, losses, signs, skipped))
        players = by_player(losses)
        shown = f"{speed:.1f} img/s, " + ", ".join(f"{player} {value:.3g}" for player, value in players.items())
        bar.set_postfix_str(shown)

    def _tell(self, state: str) -> None:
        if self.run_logger is not None and not self._is_of_another():
            self.run_logger.tell(state, best=self.best)

    def go_on(self) -> str:
        """The command that goes on with the run."""
        plugins = [word for module in self.config.plugins for word in ("--import", module)]
        words = ["train", self.config.method, *self.config.paths, "--run", str(self.folder), "--resume", *plugins]
        return shlex.join([*launcher(), *words])

    def _about(self) -> dict[str, Any]:
        """What the report says of the run as a whole."""
        maps, kind = self.method.generators(), type(self.method)
        own = {"data": kind.data_config, "train": kind.train_config}
        return {
            "domains": self.layout.domains,
            "layout": self.layout.description,
            "training_images": len(self.images),
            "held_out_images": len(self.layout.validation.b) if self.layout.validation else 0,
            "maps": {name: str(network.spec) for name, network in maps.items()},
            "parameters": {name: sum(p.numel() for p in network.parameters()) for name, network in maps.items()},
            "steps": self.steps,
            "device": str(self.device),
            "processes": world_size(),
            "command": self.go_on(),
            "defaults": {"options": to_dict(kind.Config()), **{name: to_dict(one) for name, one in own.items()}},
        }

    def _rate(self, step: int) -> float:
        return learning_rate(step, steps=self.steps, config=self.config.train)

    def _autocast(self) -> torch.autocast:
        kind = torch.float16 if self.config.train.precision == "fp16" else torch.bfloat16
        return torch.autocast(self.device.type, kind, enabled=self.config.train.precision != "float32")

    def _to_device(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        layout = torch.channels_last if self.config.train.channels_last else torch.contiguous_format
        moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        return {name: t.contiguous(memory_format=layout) if t.dim() == 4 else t for name, t in moved.items()}
