"""Trains a tiny network in children that kill themselves, each going on where the last one was killed.

Or that are killed from outside at random moments, in the middle of a step or of a write. Run by the tests in a process
of its own: a fork after the imports spares each child their seconds.
"""

import hashlib
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))

from model_helpers import random_dataset, small_spec

from models.spec import TrainSpec
from models.train import train
from models.train_progress import Progress

RECIPE = TrainSpec(
    epochs=2, float_epochs=2, freeze_epochs=1, batch_size=16, held_out=16, nesterov=True, schedule="one-cycle",
    distillation=0.3, label_smoothing=0.1, precision="bfloat16", scale_learning_rate=0.05,
    augment=["crop", "flip", "zoom", "colour", "cutout"], mixup=0.4,
)  # fmt: skip


def sitting(folder: Path, save_seconds: float, kill_after: int | None) -> None:
    """One sitting: train to the end and write the digest, or die after so many batches."""
    torch.set_num_threads(1)
    batches = 0

    def count(progress: Progress) -> None:
        nonlocal batches
        batches += 1
        if batches == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    result = train(small_spec(), RECIPE, random_dataset(80), folder, save_seconds=save_seconds, on_progress=count)
    tensors = result.network.state_dict()
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors.values())).hexdigest()
    records = [{key: value for key, value in record.items() if key != "seconds"} for record in result.log]
    (folder / "result.json").write_text(json.dumps({"digest": digest, "log": records, "batches": batches}))


def fork(folder: Path, save_seconds: float, kill_after: int | None, kill_at: float | None = None) -> int:
    """Run one sitting in a child, killed after so many seconds if told; returns its exit status or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            sitting(folder, save_seconds, kill_after)
            code = 0
        finally:
            os._exit(code)
    if kill_at is not None:
        time.sleep(kill_at)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.waitstatus_to_exitcode(status)


def at_random(root: Path, wanted: int, seed: int, seconds: float) -> list[int]:
    """So many trainings, each killed once at a random moment and then finished; how each ended.

    A training that was faster than its kill does not count, and another takes its place.
    """
    rng = np.random.default_rng(seed)
    ended: list[int] = []
    while len(ended) < wanted:
        folder = root / f"random{len(ended)}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        # Every other one writes its state after each batch: half of the kills then fall into a write or beside one.
        save_seconds = 0.0 if len(ended) % 2 else 0.2
        if fork(folder, save_seconds, None, kill_at=rng.uniform(0, seconds)) == -signal.SIGKILL:
            ended.append(fork(folder, save_seconds, None))
    return ended


if __name__ == "__main__":
    root, kills = Path(sys.argv[1]), json.loads(sys.argv[2])
    (root / "unbroken").mkdir()
    began = time.monotonic()
    statuses = [fork(root / "unbroken", 0.0, None)]
    seconds = time.monotonic() - began
    if isinstance(kills, dict):
        statuses += at_random(root, kills["kills"], kills["seed"], seconds)
        kills = []
    for number, (save_seconds, points) in enumerate(kills):
        folder = root / f"killed{number}"
        folder.mkdir()
        statuses += [fork(folder, save_seconds, point) for point in [*points, None]]
    sys.stdout.write(json.dumps(statuses))
