"""The training loop of every method."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from i2i.config import TrainConfig
from i2i.data import load
from i2i.data.dataset import endless
from i2i.data.loader import default_workers
from i2i.device import pick_device
from i2i.distributed import all_reduce_max, all_reduce_mean, is_peer_failure, rank, world_size
from i2i.methods import Method
from i2i.methods.base import Batch
from i2i.networks.recompute import recompute_activations
from i2i.progress import progress_bar
from i2i.seeding import random_state, set_random_state
from i2i.training.callbacks import Callbacks
from i2i.training.checks import check_best, check_diagnostics, check_module, check_random_state, check_types
from i2i.training.diagnostics import Diagnosis, not_finite
from i2i.training.ema import ModelEMA
from i2i.training.integrity import check_number
from i2i.training.listing import changed_files, check_data
from i2i.training.logger import LossMeter, by_player
from i2i.training.lr_schedule import learning_rate, total_steps
from i2i.training.micro_batches import detached, train_step_in_micro_batches
from i2i.training.monitor import Monitor
from i2i.training.player import Player, autocast, freeze_all_but
from i2i.training.run_folder import RunFolder
from i2i.training.signals import Stop, Stopped, stop_signals
from i2i.training.synchronize import synchronize
from i2i.training.validation import Validation


class Diverged(RuntimeError):
    """A loss or weight is NaN or infinite; the last checkpoint is untouched."""


class PeerFailure(RuntimeError):
    """Another rank of the run has ended; the last checkpoint is untouched."""


class Trainer:
    """Trains a method on a dataset, and writes the run folder.

    `build_run` makes one from settings, as the command line does. Under torchrun, within
    `i2i.distributed.process_group`, the ranks are one run: each works on its share of a batch, and rank 0 writes.

    Args:
        method: the networks and losses; they move to the device.
        dataset: gives {"a": (C, S, S), "b": (C, S, S)}, float in [-1, 1], by index; `b` alone for a method of a single
            set of images.
        settings: optimizer, length and intervals of the training.
        run: the folder that is written.
        preview: the batch of the sample grids; samples of the dataset unless given.
        validation: scores on held-out images.
        warnings: warnings to give before the first step.
        callbacks: called after logging, validation, sampling and saving, and for warnings.
        workers: processes that load samples; by the number of cores unless given.
        device: overrides the one of the settings.

    Raises:
        UsageError: the settings don't fit this machine, or the dataset has no length or other samples.
    """

    def __init__(
        self,
        method: Method,
        dataset: Dataset[Any],
        settings: TrainConfig,
        *,
        run: RunFolder,
        preview: Batch | None = None,
        validation: Validation | None = None,
        warnings: Sequence[Diagnosis] = (),
        callbacks: Callbacks | None = None,
        workers: int | None = None,
        device: str | None = None,
    ) -> None:
        self.settings, self.run, self.validation = settings, run, validation
        best_by = validation.best_by if validation else ""
        self.monitor = Monitor(run, method, callbacks or Callbacks(), warnings=warnings, best_by=best_by)
        self.device = pick_device(device or settings.device)
        self.workers = default_workers(self.device) if workers is None else workers
        self.dataset = endless(dataset, seed=settings.seed)
        self.preview = self.dataset.fixed(settings.samples) if preview is None else preview
        self.method = method.to(self.device)
        if settings.channels_last:
            self.method.to(memory_format=torch.channels_last)
        if settings.checkpoint_activations:
            recompute_activations(*method.generators().values())
        synchronize(self.method)
        self.ema = ModelEMA(method.generators(), decay=settings.ema_decay) if settings.ema_decay else None
        self.players = {
            name: Player(networks, settings, device=self.device) for name, networks in method.players().items()
        }
        for player in self.players.values():
            player.wrap_ddp()
        self.steps = total_steps(settings, images=len(self.dataset))
        self.step = self.saved = 0
        self.lr = learning_rate(0, steps=self.steps, config=settings)
        self.resumed = False
        self.images: Any = None

    def train_step(self, batch: Batch) -> dict[str, Tensor]:
        """Make the step's images once, then update each player in its turn; return the terms of their losses.

        Args:
            batch: `a` and `b`, (N, C, S, S) each on the device, in [-1, 1].
        """
        self.method.train()
        self.lr = learning_rate(self.step, steps=self.steps, config=self.settings)
        if self.settings.gradient_accumulation > 1:
            losses, images = train_step_in_micro_batches(
                self.method, self.players, batch, step=self.step, lr=self.lr, settings=self.settings
            )
        else:
            losses = {}
            with autocast(self.settings, self.device):
                images = self.method(batch)
            for name, loss in self.method.turns(self.step):
                player = self.players[name]
                player.zero_grad()
                with freeze_all_but(player, of=self.method):
                    terms = player.backward(loss, self.method.images_for(name, images))
                player.step(lr=self.lr)
                self.method.update_metrics(terms.metrics)
                losses |= {f"{name}/{term}": value for term, value in terms.items()}
            images = detached(images)
        if self.ema is not None:
            self.ema.update()
        self.step += 1
        self.images = images
        return losses

    def fit(self) -> Path:
        """Train to the last step, and return the model file.

        Whatever ends training early, a checkpoint of the steps done is saved first, unless another rank is gone.

        Raises:
            UsageError: the folder holds another run.
            Stopped: Ctrl-C, SIGTERM or SIGHUP came.
            Diverged: losses or weights are NaN or infinite; the last checkpoint is untouched.
            PeerFailure: another rank has ended; the last checkpoint is untouched.
            ImageError: an image can't be read.
            WorkerLost: a process that loads images has ended.
            OSError: a file can't be written; the last checkpoint is untouched. Or the run folder was removed, and the
                run is saved there again.
        """
        try:
            self._fit()
        except BaseException as error:
            self.monitor.end(self.step, self._state_after(error))
            raise
        self.monitor.end(self.step, "finished")
        return self.run.model_file

    @property
    def best_score(self) -> float | None:
        """The lowest score in validation so far, of `Validation.best_by`; None before the first validation."""
        return self.monitor.best["value"] if self.monitor.best else None

    def sample(self) -> None:
        """Write a sample grid of fixed images, as `translate()` would give them."""
        if rank() > 0:
            return
        self.run.refuse_another_run()
        self.method.eval()
        with torch.no_grad(), self._ema_weights(), torch.random.fork_rng(devices=[]):
            images = self.method.preview(self.to_device(self.preview))
        self.monitor.sampled(self.step, self.run.save_sample(images, self.step))

    def validate(self) -> None:
        """Score held-out images, and save best.safetensors where the score is the best so far."""
        if rank() > 0 or self.validation is None:
            return
        self.method.eval()
        with self._ema_weights():
            scores, training_l1 = self.validation(self.method.generators(), self.device)
        if self.monitor.validated(self.step, scores, training_l1=training_l1):
            self.run.save_best(self._networks(), self.step)

    def save(self) -> None:
        """Write the checkpoint and the model file.

        Raises:
            Diverged: a weight, or an optimizer's moment of it, is NaN or infinite; nothing is written.
            OSError: a file can't be written, or the run folder was removed since training began; then the run is saved
                there again first.
            UsageError: another run has started in a folder of this name; nothing is written.
        """
        self.run.refuse_another_run()
        if not self._is_finite():
            raise Diverged(self._diverged("weights are"))
        all_reduce_mean(self.method.fake_accuracy)
        was_there = rank() > 0 or self.run.save(self.state_dict(), self._networks())
        self.saved = all_reduce_max(self.step)  # once rank 0 has written it
        if not was_there:
            raise FileNotFoundError(errno.ENOENT, "the run folder was removed while it trained", str(self.run.path))
        self.monitor.saved(self.step)

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs, as tensors, numbers and text."""
        return {
            "step": self.step,
            "method": self.method.state_dict(),
            "optimizers": {name: player.state_dict() for name, player in self.players.items()},
            "ema": self.ema.state_dict() if self.ema else None,
            **self.monitor.state_dict(),
            "data": dict(self.run.data),
            "random": random_state(self.device),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load a checkpoint, once all of it has been checked.

        Raises:
            Damaged: a value is not what was saved (`OtherNetworks`: or other networks saved it).
            UsageError: it is of another optimizer or of other classes.
        """
        self._check_state_dict(state)
        self.method.load_state_dict(state["method"])
        if self.ema is not None:
            self.ema.restart()  # where the run had none, it starts from the weights as they are
            if state.get("ema"):
                self.ema.load_state_dict(state["ema"])
        for name, player in self.players.items():
            player.load_state_dict(state["optimizers"][name])
        self.step, self.saved, self.resumed = state["step"], state["step"], True
        self.monitor.load_state_dict(state)
        if state.get("data"):
            self.monitor.warnings += changed_files(state["data"], self.run.data)
        set_random_state(state["random"], self.device)

    def to_device(self, batch: Batch) -> dict[str, Tensor]:
        """A batch on the device, in the memory format of the run."""
        layout = torch.channels_last if self.settings.channels_last else torch.contiguous_format
        moved = {name: tensor.to(self.device, non_blocking=True) for name, tensor in batch.items()}
        return {name: t.contiguous(memory_format=layout) if t.dim() == 4 else t for name, t in moved.items()}

    def _fit(self) -> None:
        if rank() == 0:
            resumed = self.resumed or self.step > 0
            self.run.create(over=resumed)
            about = self.run.describe(
                self.method, steps=self.steps, images=len(self.dataset), device=self.device, world_size=world_size()
            )
            self.monitor.start(about, step=self.step, resumed=resumed, track=self.settings.track)
        if self.step == 0:
            self.save()
            self.sample()  # before any training, it shows which images are the input and which the target
            self.monitor.report("running")
        with stop_signals() as stop:
            try:
                self._loop(stop)
            except (Stopped, Diverged):
                raise
            except Exception as error:
                self._save_after(error, stop)
                raise

    def _loop(self, stop: Stop) -> None:
        settings = self.settings
        batches = load(
            self.dataset,
            batch_size=settings.batch_size,
            share=(rank(), world_size()),
            micro_batches=settings.gradient_accumulation,
            start=self.step,
            steps=self.steps,
            workers=self.workers,
            pin=self.device.type == "cuda",
        )
        meter = LossMeter(self.step)
        bar = progress_bar(total=self.steps, initial=self.step, unit="step", disable=rank() > 0)
        with contextlib.closing(batches), bar:
            for batch in batches:
                losses = self.train_step(self.to_device(batch))
                meter.add(losses)
                if self.step == 1:
                    self.monitor.diagnostics.begin({term: float(value) for term, value in losses.items()})
                bar.update()
                asked, last = all_reduce_max(stop.signum or 0), self.step == self.steps
                if self.step % settings.log_every == 0 or last or asked:
                    bar.set_postfix_str(self._log(meter))
                    meter = LossMeter(self.step)
                if self.validation and (self.step % settings.validate_every == 0 or last):
                    self.validate()
                if self.step % settings.sample_every == 0 or last:
                    self.sample()
                    self.monitor.report("running")
                if self.step % settings.save_every == 0 or last or asked:
                    with stop.held():
                        self.save()
                if asked and not last:
                    raise Stopped(self.step, asked)

    def _state_after(self, error: BaseException) -> str:
        if isinstance(error, Diverged):
            return "diverged"
        stopped = isinstance(error, Stopped | KeyboardInterrupt) or self.monitor.raised
        return "stopped" if stopped else "failed"

    def _save_after(self, error: Exception, stop: Stop) -> None:
        """Save what an error left, and raise what it meant where that is known."""
        if world_size() > 1:  # the other ranks may be at another step
            if is_peer_failure(error):
                raise PeerFailure(f"another rank has ended; the checkpoint of step {self.saved} is saved") from None
            return
        with stop.held():
            self.save()
        if stop.signum:  # the signal ended the workers too, which is what the error says
            raise Stopped(self.step, stop.signum) from None

    def _log(self, meter: LossMeter) -> str:
        """Log the losses since the last time, and return them in short for the progress bar."""
        losses, speed = meter.means(), meter.speed(self.step) * self.settings.batch_size
        if bad := not_finite(losses):
            raise Diverged(self._diverged(f"{', '.join(bad)} is"))
        self.monitor.log(
            self.step, losses, lr=self.lr, images_per_second=speed, images=self.images, players=self.players
        )
        sums = by_player(losses)
        return f"{speed:.1f} img/s, " + ", ".join(f"{player} {value:.3g}" for player, value in sums.items())

    def _check_state_dict(self, state: Mapping[str, Any]) -> None:
        required = {"method": dict, "optimizers": dict, "random": dict}
        check_types(state, required, {"ema": dict, "best": dict, "diagnostics": dict, "data": dict})
        check_number(state.get("step"), "step", integer=True)
        if state.get("data"):
            check_data(state["data"], self.run.data)
        check_module(state["method"], self.method, "method")
        if self.ema is not None and state.get("ema"):
            check_module(state["ema"], self.ema, "ema")
        for name, player in self.players.items():
            player.check_state_dict(state["optimizers"].get(name), f"optimizers/{name}")
        check_best(state.get("best"))
        check_diagnostics(state.get("diagnostics") or {}, self.monitor.diagnostics.state_dict())
        check_random_state(state["random"], self.device)

    def _is_finite(self) -> bool:
        moments = [kept for player in self.players.values() for kept in player.optimizer.state.values()]
        values = [*self.method.state_dict().values(), *(value for kept in moments for value in kept.values())]
        return all(bool(value.isfinite().all()) for value in values if isinstance(value, Tensor))

    def _diverged(self, what: str) -> str:
        return (
            f"step {self.step}: {what} NaN or infinite; the last checkpoint is untouched: resume from it with a lower "
            "learning rate, clipped gradients, or in float32"
        )

    def _networks(self) -> Mapping[str, Any]:
        return self.method.generators() if self.ema is None else dict(self.ema.networks.items())

    def _ema_weights(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.ema is None else self.ema.swapped_in()
