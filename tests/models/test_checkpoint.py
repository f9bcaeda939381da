import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_helpers import LABELS, random_images, small_network, small_spec
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from models.card import write_card
from models.checkpoint import CheckpointFacts, load_checkpoint, read_facts, save_checkpoint
from models.errors import ModelError
from models.evaluate import to_input
from models.network import QuantResNet
from models.spec import TrainSpec

FACTS = CheckpointFacts(
    labels=LABELS,
    size=16,
    dataset="CIFAR-10 (JPEG copy)",
    train_images=48_000,
    held_out_images=2_000,
    test_images=8_000,
    recipe=TrainSpec(epochs=3, nesterov=True).model_dump(mode="json"),
    hardware="2 CPU cores",
    seconds=3_720.0,
    held_out_accuracy=0.875,
    test_accuracy={"float": 0.8812, "quantised": 0.87654},
)


@pytest.fixture
def saved(tmp_path: Path, network: QuantResNet) -> Path:
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, network, FACTS)
    return path


def test_a_checkpoint_gives_the_same_outputs_bit_for_bit(saved: Path, network: QuantResNet) -> None:
    loaded, facts = load_checkpoint(saved, small_spec(), 3)
    x = to_input(random_images(8))
    with torch.no_grad():
        for before, after in zip(network(x), loaded(x), strict=True):
            assert torch.equal(before, after)
    assert facts == FACTS == read_facts(saved)
    first = saved.read_bytes()
    save_checkpoint(saved, loaded, facts)
    assert saved.read_bytes() == first


def test_a_loaded_network_can_be_trained_on(saved: Path) -> None:
    loaded, _ = load_checkpoint(saved, small_spec(), 3)
    names = {name for name, _ in loaded.named_parameters()}
    assert len(loaded.scale_parameters()) == len([name for name in names if name.endswith("scaling_impl.value")])


@pytest.mark.parametrize(
    ("spec", "classes", "match"),
    [
        (small_spec(bits=5), 3, "weight_bit_width = 5, got 4"),
        (small_spec(channels=(8, 32)), 3, r"groups = .*32.*got .*16"),
        (small_spec().model_copy(update={"stem": "imagenet"}), 3, "stem = imagenet, got cifar"),
        (small_spec(), 4, r"fc\.weight as 4×16 float32, got 3×16 float32"),
    ],
)
def test_another_network_is_refused_at_the_first_difference(saved: Path, spec, classes: int, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ModelError, match=match):
        load_checkpoint(saved, spec, classes)


def test_damaged_checkpoints_are_one_line(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    with pytest.raises(ModelError, match="no such file"):
        load_checkpoint(tmp_path / "absent.safetensors", small_spec(), 3)
    for damaged in (whole[:-10], whole[:100], b"", b"\xff" * 1000, b"\x80\x04N."):
        saved.write_bytes(damaged)
        with pytest.raises(ModelError, match=r"small\.safetensors.*a safetensors file") as caught:
            load_checkpoint(saved, small_spec(), 3)
        assert "\n" not in str(caught.value)


def test_missing_unknown_and_foreign_tensors_are_named(saved: Path) -> None:
    from safetensors import safe_open

    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(saved)
    stem = tensors.pop("stem.conv.weight")
    save_file(tensors, saved, metadata)
    with pytest.raises(ModelError, match=r"stem\.conv\.weight as 8×3×3×3 float32, got no such tensor"):
        load_checkpoint(saved, small_spec(), 3)
    save_file(tensors | {"stem.conv.weight": stem.half()}, saved, metadata)
    with pytest.raises(ModelError, match="8×3×3×3 float16"):
        load_checkpoint(saved, small_spec(), 3)
    save_file(tensors | {"stem.conv.weight": stem, "more": stem.clone()}, saved, metadata)
    with pytest.raises(ModelError, match="more besides"):
        load_checkpoint(saved, small_spec(), 3)
    save_file(tensors, saved)
    with pytest.raises(ModelError, match="metadata of a finn-cam checkpoint"):
        load_checkpoint(saved, small_spec(), 3)
    for damaged, match in (
        ('"format": "finn-cam checkpoint 1"', "got finn-cam checkpoint 9"),
        ('"facts"', "no 'facts'"),
        ('"labels"', "labels"),
    ):
        about = metadata["finn_cam"].replace(damaged, damaged[:-1].removesuffix("1") + '9"', 1)
        save_file(tensors | {"stem.conv.weight": stem}, saved, {"finn_cam": about})
        with pytest.raises(ModelError, match=match):
            load_checkpoint(saved, small_spec(), 3)


def test_a_failed_save_leaves_the_old_checkpoint(saved: Path) -> None:
    before = saved.read_bytes()
    saved.with_name("folder").mkdir()
    with pytest.raises(ModelError, match="can be written"):
        save_checkpoint(saved.with_name("folder"), small_network(), FACTS)
    assert saved.read_bytes() == before


def test_the_card_says_what_the_checkpoint_records(saved: Path) -> None:
    card = write_card(saved, "resnet8_small", integer_accuracy=0.87655).read_text()
    for text in ("JPEG copy", "48,000", "8,000 test images", "87.65 %", "88.12 %", "62 minutes on 2 CPU cores",
                 "make train CONFIG=resnet8_small", "epochs = 3", "nesterov = true"):  # fmt: skip
        assert text in card, text
    save_checkpoint(saved, small_network(), replace(FACTS, held_out_accuracy=None, held_out_images=0))
    card = write_card(saved, "resnet8_small").read_text()
    assert "held out" not in card
    assert "on 2 CPU cores. Again" in card
    before = {**FACTS.recipe, "start": "first.safetensors", "teacher": "wide.safetensors"}
    save_checkpoint(saved, small_network(), replace(FACTS, recipe=before))
    told = "after the training of `first`, from which it starts, and `wide`, which teaches it. Again"
    assert told in write_card(saved, "resnet8_small").read_text()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(saved: Path, value: float) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(saved)
    tensors["fc.weight"].view(-1)[3] = value
    save_file(tensors, saved, metadata)
    with pytest.raises(ModelError, match=r"finite numbers in fc\.weight, got nan or inf"):
        load_checkpoint(saved, small_spec(), 3)


@pytest.mark.parametrize("facts", [{"labels": 5}, {"labels": [1, None]}, {"size": "large"}, {"test_accuracy": []}])
def test_facts_of_another_kind_are_refused_in_one_line(saved: Path, facts: dict[str, object]) -> None:
    with safe_open(saved, framework="pt") as file:
        about = json.loads(file.metadata()["finn_cam"])
    about["facts"] |= facts
    save_file(load_file(saved), saved, {"finn_cam": json.dumps(about)})
    with pytest.raises(ModelError, match=next(iter(facts))) as caught:
        read_facts(saved)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("end", "index", "value", "match"),
    [
        ("running_var", 0, -0.5, r"variances of at least 0 in \S+running_var, got -0\.5; fetch"),
        ("scaling_impl.value", 0, 0.0, r"a scale above 0 in \S+scaling_impl\.value, got 0; fetch"),
        ("scaling_impl.value", 1, -0.25, r"a scale above 0 in \S+scaling_impl\.value, got -0\.25; fetch"),
        ("conv.weight", 1, 0.0, r"weights in \S+conv\.weight, got zeros alone; fetch"),
        ("fc.weight", 0, 0.0, r"weights in fc\.weight, got zeros alone; fetch"),
        ("running_mean", 0, float("-inf"), r"finite numbers in \S+running_mean, got nan or inf; fetch"),
    ],
)
def test_numbers_that_no_training_gives_are_refused_at_load(
    saved: Path, end: str, index: int, value: float, match: str
) -> None:
    with safe_open(saved, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(saved)
    name = sorted(key for key in tensors if key.endswith(end))[index]
    if value == 0:
        tensors[name].zero_()
    else:
        tensors[name].view(-1)[-1] = value
    save_file(tensors, saved, metadata)
    with pytest.raises(ModelError, match=match) as caught:
        load_checkpoint(saved, small_spec(), 3)
    assert str(caught.value).startswith(f"{saved}: expected ")
    assert "\n" not in str(caught.value)
