"""Stage `model`: the network's weights, checked against the config before anything is made of them."""

from pathlib import Path

from finn_build.errors import UserError
from finn_build.labels import require_same_order
from finn_build.report.schema import check
from finn_build.stages.files import WEIGHTS
from finn_build.stages.result import Progress, StageResult
from models.spec import DataSpec, InputSpec, ModelSpec

UNTRAINED_SEED = 0


def load_weights(
    checkpoint: Path, model: ModelSpec, input_spec: InputSpec, data: DataSpec, out: Path, progress: Progress
) -> StageResult:
    """Loads a checkpoint into the config's network and keeps it as `network.safetensors`.

    Raises:
        ModelError: the file is missing, truncated or corrupt, or holds another network.
        UserError: it was trained on images of another size, or has the config's labels in another order.
    """
    from models.checkpoint import load_checkpoint, save_checkpoint

    network, facts = load_checkpoint(checkpoint, model, data.classes)
    if facts.size != input_spec.size:
        remedy = "correct [input] size, or train this config with finn-cam train"
        raise UserError(str(checkpoint), f"a checkpoint for size = {input_spec.size}", str(facts.size), remedy)
    require_same_order(str(checkpoint), data.labels, facts.labels)
    progress(0.7)
    save_checkpoint(out / WEIGHTS, network, facts)
    return StageResult(
        checks=(
            check("classes of the checkpoint", len(facts.labels), "==", data.classes),
            check("image size of the checkpoint", facts.size, "==", input_spec.size, unit="pixels"),
        )
    )


def random_weights(
    model: ModelSpec, input_spec: InputSpec, data: DataSpec, out: Path, progress: Progress
) -> StageResult:
    """Seeded random weights, with statistics and scales that fit them: the hardware can be sized without training."""
    from models.checkpoint import CheckpointFacts, save_checkpoint
    from models.network import build_network, initialise_untrained

    network = build_network(model, data.classes)
    progress(0.3)
    initialise_untrained(network, UNTRAINED_SEED, input_spec.size)
    progress(0.8)
    facts = CheckpointFacts(
        labels=data.labels or [str(index) for index in range(data.classes)],
        size=input_spec.size,
        dataset="none: untrained",
        train_images=0,
        held_out_images=0,
        test_images=0,
        recipe={},
        hardware="none",
        seconds=0.0,
        held_out_accuracy=None,
        test_accuracy={},
    )
    save_checkpoint(out / WEIGHTS, network, facts)
    return StageResult()
