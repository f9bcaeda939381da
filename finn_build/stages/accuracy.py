"""Stage `accuracy`: float, quantised and integer accuracy on the test images, where there is a data set."""

from pathlib import Path

from finn_build.report.schema import check
from finn_build.stages.result import Progress, StageResult
from models.spec import DataSpec, InputSpec, ModelSpec

MOST_APART = 0.002
"""Float rounding at near-ties turns the class of one picture in thousands; anything that is wrong turns far more."""


def measure_accuracy(
    integer: Path,
    dataset: Path,
    model: ModelSpec,
    input_spec: InputSpec,
    data: DataSpec,
    out: Path,
    progress: Progress,
    weights: Path | None = None,
) -> StageResult:
    """Runs the whole test split through every form of the network; the confusion matrices go to `confusion.npz`."""
    from finn_build.accuracy import measure
    from finn_build.evaluation import facts_of
    from finn_build.head import write_arrays

    found = measure(integer, weights, dataset, "test", model, input_spec, data, progress)
    write_arrays(out / "confusion.npz", dict(found.confusion))
    checks = []
    trained, compiled = found.fraction("quantised"), found.fraction("integer")
    if trained is not None and compiled is not None:
        apart, limit = round(abs(trained - compiled), 6), max(MOST_APART, round(1 / found.images, 6))
        checks.append(check("integer accuracy off the quantised one", apart, "<=", limit, unit="of the images"))
    return StageResult(checks=tuple(checks), facts={"accuracy": facts_of(found, dataset)})
