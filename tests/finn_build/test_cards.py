"""The cards that ship say what their configs say and what their checkpoints record: none of the three drifts alone."""

import re
import tomllib
from typing import Any

import pytest

from finn_build.config import load_config
from finn_build.environment import ROOT
from models.checkpoint import CheckpointFacts, read_facts
from models.spec import TrainSpec

FOLDER = ROOT / "models" / "checkpoints"
CARDS = {path.stem: path for path in sorted(FOLDER.glob("*.md"))}
CONFIGS = {path.stem: path for path in sorted((ROOT / "configs").glob("*.toml")) if path.stem in CARDS}
DATASETS = {"cifar10": "CIFAR-10", "tiny-imagenet": "Tiny-ImageNet"}


def written(card: str) -> dict[str, Any]:
    """The card's recipe as it stands there."""
    (block,) = re.findall(r"^## Recipe\n\n```toml\n(.*?)^```$", card, re.DOTALL | re.MULTILINE)
    return dict(tomllib.loads(block)["train"])


def resolved(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe with the defaults of what it leaves out; of `start` the name alone, as cards have it."""
    return TrainSpec.model_validate(recipe).model_dump(mode="json")


def facts_of(name: str) -> CheckpointFacts:
    return read_facts(FOLDER / f"{name}.safetensors")


def images_of(card: str) -> tuple[str, int, list[str]]:
    """The data set in words, the size and the classes."""
    (line,) = re.findall(r"^- \*\*Images\*\*: (.*), (\d+)×\2, classes (.*)\.$", card, re.MULTILINE)
    return line[0], int(line[1]), line[2].split(", ")


def figures_of(card: str) -> dict[str, str]:
    """Accuracies in percent by their words."""
    return dict(re.findall(r"^\| (same weights, .*|quantised .*|integer graph) \| ([\d.]+) % \|$", card, re.MULTILINE))


def test_what_ships_has_a_config_and_a_card() -> None:
    assert set(CONFIGS) >= {"resnet8_4w4a", "resnet8_5w5a", "resnet8_6w6a", "resnet8_loc_5w5a"}
    # F-CAM decoders stand in the card of the network whose they are.
    weights = {path.stem.removesuffix(".fcam") for path in FOLDER.glob("*.safetensors")}
    assert weights == set(CARDS)
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 10e6


@pytest.mark.parametrize("name", CONFIGS)
def test_a_card_says_what_its_config_says(name: str) -> None:
    config, card = load_config(str(CONFIGS[name])), CARDS[name].read_text(encoding="utf-8")
    assert resolved(written(card)) == config.train.model_dump(mode="json")
    # A card of older days may lack keys that came later, but none that the config sets.
    assert config.train.model_fields_set <= set(written(card))
    dataset, size, labels = images_of(card)
    assert dataset.split(",")[0] == DATASETS[config.data.dataset]
    assert (size, labels, len(labels)) == (config.input.size, config.data.labels, config.data.classes)
    assert f"Weights of `configs/{name}.toml`" in card
    assert config.model.checkpoint is not None
    assert config.model.checkpoint.resolve() == FOLDER / f"{name}.safetensors"
    if config.train.start is not None:
        assert config.train.start.is_file()


@pytest.mark.parametrize("name", CONFIGS)
def test_the_readme_says_what_the_card_says(name: str) -> None:
    card, readme = CARDS[name].read_text(encoding="utf-8"), (ROOT / "README.md").read_text(encoding="utf-8")
    figures = " | ".join(f"{figure} %" for figure in figures_of(card).values())
    copy = "CIFAR-10's JPEG copy" if "JPEG copy" in images_of(card)[0] else "Tiny-ImageNet's 20 classes"
    assert f"| `{name}` | {facts_of(name).test_images:,} of {copy} | {figures} |" in readme


@pytest.mark.parametrize("name", CARDS)
def test_a_card_says_what_its_checkpoint_records(name: str) -> None:
    card, facts = CARDS[name].read_text(encoding="utf-8"), facts_of(name)
    known = {key: value for key, value in facts.recipe.items() if value is not None}
    if isinstance(known["augment"], str):
        # The first checkpoints have the list's earlier spelling.
        known["augment"] = known["augment"].split("-")
    assert resolved(written(card)) == resolved(known)
    dataset, size, labels = images_of(card)
    assert dataset.split(",")[0] == facts.dataset.split(",")[0].split(" (")[0]
    assert (size, labels) == (facts.size, facts.labels)
    assert f"- **Trained** on {facts.train_images:,} of its training images. {facts.held_out_images:,} further" in card
    assert f"- **Reported** on {facts.test_images:,} test images" in card
    assert f"- **Took** {facts.seconds / 60:.0f} minutes on" in card
    rows = figures_of(card)
    assert rows["same weights, quantisers off"] == f"{100 * facts.test_accuracy['float']:.2f}"
    assert rows["quantised (Brevitas)"] == f"{100 * facts.test_accuracy['quantised']:.2f}"
    assert abs(float(rows["integer graph"]) - float(rows["quantised (Brevitas)"])) < 0.1


def test_a_recipe_that_differs_is_seen() -> None:
    name = next(iter(CONFIGS))
    config, card = load_config(str(CONFIGS[name])), CARDS[name].read_text(encoding="utf-8")
    wanted = config.train.model_dump(mode="json")
    assert resolved(written(card)) == wanted
    for other in ('augment = ["cutout"]', "seed = 7", "weight_decay = 0.0001"):
        line = f"(?m)^{other.split(' ')[0]} = .*$"
        assert resolved(written(re.sub(line, other, card))) != wanted
    assert not config.train.model_fields_set <= set(written(re.sub("(?m)^momentum = .*\n", "", card)))
