"""The card beside a checkpoint: what it was trained on, how, and to what accuracy."""

import tomllib
from pathlib import Path

from models.checkpoint import CheckpointFacts, read_facts
from models.train_state import write_atomically


def write_card(checkpoint: Path, config: str, integer_accuracy: float | None = None) -> Path:
    """Write `NAME.md` next to `NAME.safetensors`, from the facts that the checkpoint records.

    Args:
        checkpoint: the safetensors file.
        config: the name of the config that trains it.
        integer_accuracy: of the streamlined integer graph on the same test images, where it was measured.

    Returns:
        The card's path.

    Raises:
        ModelError: the checkpoint cannot be read, or the place cannot be written.
    """
    facts = read_facts(checkpoint)
    card = checkpoint.with_suffix(".md")
    write_atomically(card, _text(facts, checkpoint, config, integer_accuracy).encode())
    return card


def _text(facts: CheckpointFacts, checkpoint: Path, config: str, integer_accuracy: float | None) -> str:
    accuracy = dict(facts.test_accuracy)
    if integer_accuracy is not None:
        accuracy["integer"] = integer_accuracy
    rows = "\n".join(f"| {_MEANINGS[name]} | {100 * value:.2f} % |" for name, value in accuracy.items())
    recipe = "\n".join(f"{key} = {_toml(value)}" for key, value in facts.recipe.items() if value is not None)
    tomllib.loads(recipe)
    held_out = ""
    if facts.held_out_accuracy is not None:
        held_out = (
            f" {facts.held_out_images:,} further training images were held out to choose by"
            f" ({100 * facts.held_out_accuracy:.2f} % after the last epoch)."
        )
    return f"""# {checkpoint.stem}

Weights of `configs/{config}.toml`, {checkpoint.stat().st_size / 1e6:.2f} MB, safetensors.

- **Images**: {facts.dataset}, {facts.size}×{facts.size}, classes {", ".join(facts.labels)}.
- **Trained** on {facts.train_images:,} of its training images.{held_out}
- **Reported** on {facts.test_images:,} test images, which chose nothing.
- **Took** {facts.seconds / 60:.0f} minutes on {facts.hardware}{_on_top_of(facts)}. Again: `make train CONFIG={config}`.

| accuracy on the test images | |
| --- | --- |
{rows}

`finn-cam evaluate {config} --data DIR` prints these figures.

## Recipe

```toml
[train]
{recipe}
```
"""


def _on_top_of(facts: CheckpointFacts) -> str:
    """Whose trainings have to come before."""
    roles = {"start": "from which it starts", "teacher": "which teaches it"}
    named = [(facts.recipe.get(key), role) for key, role in roles.items()]
    before = [f"`{Path(checkpoint).stem}`, {role}" for checkpoint, role in named if checkpoint]
    return f", after the training of {', and '.join(before)}" if before else ""


_MEANINGS = {
    "float": "same weights, quantisers off",
    "quantised": "quantised (Brevitas)",
    "integer": "integer graph",
}


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)
