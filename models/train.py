"""Training: with the quantisers off where the recipe says so, then quantisation-aware, resumable at every step."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from models.augment import Epoch, draw_epoch, reordered
from models.checkpoint import read_weights
from models.datasets.dataset import Dataset
from models.evaluate import evaluate, to_input
from models.network import Arithmetic, build_network, calibrate, channels_last
from models.processes import Processes, normalise_globally
from models.spec import ModelSpec, TrainSpec
from models.tensors import restore
from models.train_batches import Batches
from models.train_loss import loss_of
from models.train_progress import Progress, TrainResult, require_no_collapse
from models.train_recipe import PHASES, identities, learning_rate_at, new_optimizer, split_held_out
from models.train_state import Position, load_state, momentum_of, restore_momentum, save_state, write_atomically
from models.train_teacher import Teacher, find_teacher

CALIBRATION_IMAGES = 512
OTHER_SHAPE = "start from a checkpoint whose groups, channels and classes are this network's"
REMEDY = "delete it to train from the start"


class Training:
    """One training in progress; its arguments are those of `train`."""

    def __init__(
        self,
        spec: ModelSpec,
        recipe: TrainSpec,
        data: Dataset,
        folder: Path,
        float_folder: Path | None = None,
        device: str = "cpu",
        save_seconds: float = 30.0,
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.folder, self.device, self.save_seconds = recipe, folder, device, save_seconds
        self.processes = processes or Processes()
        self.processes.require_divisible(recipe.batch_size)
        self.train_set, self.held_out = split_held_out(data, recipe)
        self.batches = Batches(self.train_set, recipe, self.processes, device)
        self.steps = len(self.train_set) // recipe.batch_size
        self.epochs = (recipe.float_epochs, recipe.epochs)
        self.identity, self.float_identity = identities(spec, recipe, data)
        self.float_path = (float_folder or folder) / f"float-{self.float_identity[:16]}.safetensors"
        self.state_path = folder / "state.safetensors"
        for left_over in folder.glob(".*.partial") if self.processes.first else ():
            # What a kill in the middle of a write leaves.
            left_over.unlink()
        self.metrics_path = folder / "metrics.jsonl"

        torch.manual_seed(recipe.seed)
        torch.backends.cudnn.deterministic = True
        self.network = channels_last(build_network(spec, len(data.names)).to(device))
        if self.processes.count > 1:
            normalise_globally(self.network)
        self.teacher: Teacher | None = None
        self.forward: Callable[[Tensor], tuple[Tensor, Tensor]] = self.network
        self.entered: tuple[int, bool] | None = None
        self.names = {parameter: name for name, parameter in self.network.named_parameters()}
        self.position = Position()
        self.optimizer = new_optimizer(self.network, self.recipe)
        self._resume(spec)
        if self.position.phase < len(PHASES):
            self._load_teacher()
        self.processes.require_same(str(folder), self.position.phase, self.position.epoch, self.position.step)

    def run(self, on_progress: Callable[[Progress], None] | None = None) -> TrainResult:
        """Train to the end, from wherever the folder's state stands."""
        self._write_metrics()
        position = self.position
        while position.phase < len(PHASES):
            while position.epoch < self.epochs[position.phase]:
                self._run_epoch(on_progress)
            self._end_phase()
        network = self.network.eval().to("cpu")
        network.arithmetic = Arithmetic.BREVITAS
        of_float_phase = None
        if self.recipe.float_epochs:
            loaded = load_state(self.float_path, self.float_identity)
            of_float_phase = loaded[1] if loaded else None
        return TrainResult(
            network=network,
            images=len(self.train_set),
            held_out_float=self._last_held_out("float"),
            held_out_quantised=self._last_held_out("quantised"),
            seconds=position.seconds,
            float_weights=of_float_phase,
            log=position.log,
        )

    def _run_epoch(self, on_progress: Callable[[Progress], None] | None) -> None:
        position = self.position
        began = saved = time.monotonic()
        draw = self._draw()
        self._enter_epoch()
        if self.teacher is not None:
            self.teacher.enter(position.epoch, draw)
        position.seconds += time.monotonic() - began
        while position.step < self.steps:
            began = time.monotonic()
            self._step(draw)
            position.step += 1
            position.seconds += time.monotonic() - began
            if position.step < self.steps and time.monotonic() - saved >= self.save_seconds:
                self._save()
                saved = time.monotonic()
            if on_progress is not None:
                on_progress(self._progress())
        self._end_epoch()

    def _draw(self) -> Epoch:
        recipe, position, count = self.recipe, self.position, len(self.train_set)
        size = self.train_set.images.shape[1]
        draw = draw_epoch(count, size, recipe.seed, position.phase, position.epoch, recipe.mixup)
        if not recipe.recurrence:
            return draw
        # Both phases see the same changed images, so that the teacher answers for both at once.
        return reordered(draw_epoch(count, size, recipe.seed, 0, position.epoch % recipe.recurrence), draw.order)

    def _step(self, draw: Epoch) -> None:
        recipe, position = self.recipe, self.position
        done = (position.epoch * self.steps + position.step) / (self.epochs[position.phase] * self.steps)
        peak = recipe.float_learning_rate if position.phase == 0 else recipe.learning_rate
        rate = learning_rate_at(done, recipe, peak)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["relative"] if position.phase == 1 else rate
        batch = self.batches.batch(draw, position.step)
        half = recipe.precision == "bfloat16"
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=half):
            logits, _ = self.forward(batch.images)
        logits = logits.float()
        taught = self.teacher.answers(batch.images, batch.chosen) if self.teacher is not None else None
        loss = loss_of(logits, batch.labels, recipe, batch.partners, batch.shares, taught)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        seen, correct = len(batch.labels), int((logits.argmax(1) == batch.labels).sum())
        sums = self.processes.total(float(loss.detach()) * seen, correct, seen)
        position.loss_sum += sums[0]
        position.correct += int(sums[1])
        position.seen += int(sums[2])

    def _enter_epoch(self) -> None:
        """Set the modules for this epoch: arithmetic, what stands still, whose statistics move."""
        position, recipe = self.position, self.recipe
        frozen = position.phase == 1 and position.epoch >= recipe.epochs - recipe.freeze_epochs
        self.network.arithmetic = Arithmetic.FLOAT if position.phase == 0 else Arithmetic.TRAINING
        self.network.train()
        for parameter in self.network.scale_parameters():
            parameter.requires_grad_(position.phase == 1 and not frozen)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d) and frozen:
                module.eval()
        entered = (position.phase, frozen)
        if self.processes.count > 1 and self.entered != entered:
            # What is learnt is settled when gradients begin to be shared.
            self.forward = self.processes.shared(self.network)
        elif position.phase == 1 and recipe.fuse and self.forward is self.network:
            # With the quantisers off, the plain kernels are the faster ones.
            self.forward = torch.compile(self.network)
        self.entered = entered

    def _end_epoch(self) -> None:
        position = self.position
        began = time.monotonic()
        held_out = None
        if len(self.held_out):
            self.network.eval()
            mine = self.processes.part(len(self.held_out))
            part = self.held_out.subset(np.arange(mine.start, mine.stop))
            right = evaluate(self.network, part, device=self.device).confusion.trace()
            held_out = self.processes.total(right)[0] / len(self.held_out)
        position.seconds += time.monotonic() - began
        position.log.append(
            {
                "phase": PHASES[position.phase],
                "epoch": position.epoch,
                "loss": position.loss_sum / position.seen,
                "train_accuracy": position.correct / position.seen,
                "held_out_accuracy": held_out,
                "seconds": round(position.seconds, 3),
            }
        )
        require_no_collapse(position.log, self.network.classes, str(self.folder))
        position.epoch, position.step = position.epoch + 1, 0
        position.loss_sum, position.correct, position.seen = 0.0, 0, 0
        if position.epoch < self.epochs[position.phase]:
            self._save()
        self._write_metrics()

    def _end_phase(self) -> None:
        """Go to the next phase; scales are calibrated where the quantisers come on."""
        position = self.position
        if position.phase == 0:
            if self.recipe.float_epochs and self.processes.first:
                save_state(self.float_path, self.float_identity, position, self.network.state_dict())
            self.processes.wait()
            self._start_quantised()
        else:
            position.phase = 2
        self._save()

    def _start_quantised(self) -> None:
        images = to_input(self.train_set.images[:CALIBRATION_IMAGES], self.device)
        start = self.recipe.start
        if start is not None:
            restore(self.network, read_weights(start), str(start), OTHER_SHAPE)
        elif not self.recipe.float_epochs:
            # A network that was never trained has no statistics to calibrate on: take them from these images.
            self.network.train()
            with torch.no_grad(), self.network.computing(Arithmetic.FLOAT):
                self.network(images[self.processes.part(len(images))])
        calibrate(self.network.eval(), images)
        self.position.phase, self.position.epoch = 1, 0
        self.optimizer = new_optimizer(self.network, self.recipe)
        self._load_teacher()

    def _load_teacher(self) -> None:
        recipe = self.recipe
        waits = self.position.phase == 0 and recipe.teacher is None
        if not recipe.distillation or self.teacher is not None or waits:
            return
        phase = self.float_path, self.float_identity
        network = find_teacher(recipe, self.train_set, self.network, phase, self.device)
        # Processes that share a batch ask for their own part of it; one alone keeps the answers.
        folder = self.float_path.parent if self.processes.count == 1 else None
        self.teacher = Teacher(network, self.train_set, recipe, folder)

    def _save(self) -> None:
        if not self.processes.first:
            return
        tensors = {f"network.{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= momentum_of(self.optimizer, self.names)
        save_state(self.state_path, self.identity, self.position, tensors)

    def _resume(self, spec: ModelSpec) -> None:
        state = load_state(self.state_path, self.identity)
        if state is None:
            self._take_float_weights()
            return
        self.position, tensors = state
        momentum = {name.removeprefix("momentum."): t for name, t in tensors.items() if name.startswith("momentum.")}
        weights = {name.removeprefix("network."): t for name, t in tensors.items() if name.startswith("network.")}
        restore(self.network, weights, str(self.state_path), REMEDY)
        restore_momentum(self.optimizer, self.names, momentum, self.device)

    def _take_float_weights(self) -> None:
        """Skip the float phase where another config of this family has been through the very same one."""
        shared = load_state(self.float_path, self.float_identity) if self.recipe.float_epochs else None
        if shared is not None:
            self.position, weights = shared
            restore(self.network, weights, str(self.float_path), REMEDY)

    def _write_metrics(self) -> None:
        if not self.processes.first:
            return
        lines = "".join(json.dumps(record) + "\n" for record in self.position.log)
        write_atomically(self.metrics_path, lines.encode())

    def _last_held_out(self, phase: str) -> float | None:
        values: list[float | None] = [r["held_out_accuracy"] for r in self.position.log if r["phase"] == phase]
        return values[-1] if values else None

    def _progress(self) -> Progress:
        position = self.position
        return Progress(
            phase=PHASES[position.phase],
            epoch=position.epoch,
            epochs=self.epochs[position.phase],
            step=position.step,
            steps=self.steps,
            loss=position.loss_sum / position.seen,
            accuracy=position.correct / position.seen,
            held_out=position.log[-1]["held_out_accuracy"] if position.log else None,
        )


def train(
    spec: ModelSpec,
    recipe: TrainSpec,
    data: Dataset,
    folder: Path,
    float_folder: Path | None = None,
    device: str = "cpu",
    save_seconds: float = 30.0,
    on_progress: Callable[[Progress], None] | None = None,
    processes: Processes | None = None,
) -> TrainResult:
    """Train a network, or go on with a training that was killed: the result is the same, bit for bit.

    Args:
        spec: `[model]`.
        recipe: `[train]`.
        data: the training split; `recipe.held_out` images of it are only used to choose by.
        folder: where state and metrics.jsonl are written.
        float_folder: where the weights of the float phase and a teacher's answers are kept, for other configs that
            share them; else `folder`.
        device: "cpu", "cuda" …
        save_seconds: how often the state is written within an epoch; 0 after every batch.
        on_progress: called after every batch.
        processes: see `models.processes.launched`; None for this one alone.

    Raises:
        ModelError: the folder holds the state of another training, the recipe does not fit the images, or the training
            diverged.
    """
    return Training(spec, recipe, data, folder, float_folder, device, save_seconds, processes).run(on_progress)
