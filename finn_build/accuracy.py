"""Accuracy of every form of a network on labelled images: float, quantised, and the integer graph."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from finn_build.labels import require_same_order
from models.spec import DataSpec, InputSpec, ModelSpec

CHUNK = 500
Confusion = NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """What was found on one split.

    Attributes:
        dataset: the kind of data set.
        split: `train` or `test`.
        images: how many.
        labels: the classes' names.
        confusion: int64 [classes, classes] by form (`float`, `quantised`, `integer`); rows: truth, columns: answer.
    """

    dataset: str
    split: str
    images: int
    labels: list[str]
    confusion: dict[str, Confusion]

    def fraction(self, form: str) -> float | None:
        """Top-1 accuracy as a fraction; None for a form that the network does not have."""
        table = self.confusion.get(form)
        return None if table is None else float(np.trace(table)) / self.images

    @property
    def accuracy(self) -> dict[str, float | None]:
        """By form, as the report has them."""
        return {form: self.fraction(form) for form in ("float", "quantised", "integer")}

    def per_class(self, form: str = "integer") -> list[dict[str, Any]]:
        """Recall and precision of each class as fractions; null where no image has or gets the class."""
        table = self.confusion[form]
        rows = []
        for index, label in enumerate(self.labels):
            hits, truths, answers = int(table[index, index]), int(table[index].sum()), int(table[:, index].sum())
            rows.append(
                {
                    "label": label,
                    "images": truths,
                    "recall": hits / truths if truths else None,
                    "precision": hits / answers if answers else None,
                }
            )
        return rows


def measure(
    integer: Path,
    weights: Path | None,
    dataset: Path,
    split: str,
    model: ModelSpec,
    input_spec: InputSpec,
    data: DataSpec,
    progress: Callable[[float], None],
) -> Measured:
    """Runs a whole split through every form of the network.

    Args:
        integer: the streamlined integer graph.
        weights: the network's weights; None for a network from elsewhere, which has the integer form alone.
        dataset: folder of the data set.
        split: `train` or `test`.
        model, input_spec, data: tables of the config.
        progress: told the fraction that is done.

    Raises:
        ModelError: the data set is broken, or has other classes.
        UserError: it has the config's labels in another order.
    """
    from finn_build.executors.batch import BatchExecutor
    from models.checkpoint import load_checkpoint
    from models.datasets.load import load_dataset
    from models.evaluate import to_input
    from models.network import Arithmetic

    loaded = load_dataset(data.dataset, dataset, "test" if split == "test" else "train", input_spec.size, data.classes)
    require_same_order(str(dataset), data.labels, loaded.names)
    progress(0.1)
    forms: dict[str, Callable[[NDArray[np.uint8]], NDArray[Any]]] = {}
    if weights is not None:
        network, _ = load_checkpoint(weights, model, data.classes)

        def logits_of(arithmetic: Arithmetic) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
            def run(images: NDArray[np.uint8]) -> NDArray[Any]:
                import torch

                with torch.inference_mode(), network.computing(arithmetic):
                    logits: NDArray[Any] = network(to_input(images))[0].numpy()
                    return logits

            return run

        forms["float"] = logits_of(Arithmetic.FLOAT)
        # The values of Brevitas' own layers, bit for bit, at twice their speed.
        forms["quantised"] = logits_of(Arithmetic.TRAINING)
    executor = BatchExecutor(integer, outputs={"logits": "logits"})
    forms["integer"] = lambda images: executor.run(images)["logits"]
    confusion = {form: np.zeros((data.classes, data.classes), np.int64) for form in forms}
    for start in range(0, len(loaded), CHUNK):
        images, labels = loaded.images[start : start + CHUNK], loaded.labels[start : start + CHUNK]
        for form, run in forms.items():
            np.add.at(confusion[form], (labels, run(images).argmax(axis=1)), 1)
        progress(0.1 + 0.9 * min(1.0, (start + CHUNK) / len(loaded)))
    return Measured(data.dataset, split, len(loaded), loaded.names, confusion)
