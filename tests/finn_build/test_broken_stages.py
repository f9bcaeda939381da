"""Each stage of a build is broken once, as a wrong pass would break it, and the build has to stop in that stage."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from build_helpers import TINY, Quiet, again
from onnx import numpy_helper

from finn_build.errors import CheckFailed, UserError
from models.errors import ModelError
from models.quantisers import scale_parameter

Break = Callable[[pytest.MonkeyPatch], None]


def after(monkeypatch: pytest.MonkeyPatch, place: str, change: Callable[[Any], None]) -> None:
    """Lets a function of the project do its work, and `change` what it gives out."""
    module, _, name = place.rpartition(".")
    original = getattr(__import__(module, fromlist=[name]), name)

    def changed(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        change(result)
        return result

    monkeypatch.setattr(place, changed)


def nodes_of(model: Any, op: str) -> list[Any]:
    return [node for node in model.graph.node if node.op_type == op]


def changed_constant(model: Any, op: str, index: int, change: Callable[[np.ndarray], None]) -> None:
    name = nodes_of(model, op)[index].input[1]
    values = np.array(model.get_initializer(name))
    change(values)
    model.set_initializer(name, values)


def flip_largest(values: np.ndarray) -> None:
    at = np.unravel_index(np.abs(values).argmax(), values.shape)
    values[at] *= -1


def shift_one(values: np.ndarray) -> None:
    values[1, 7] += 1


def set_attribute(node: Any, name: str, value: Any) -> None:
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    node.attribute.extend([*kept, onnx.helper.make_attribute(name, value)])


def a_flipped_weight_in_the_exported_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(written: Any) -> None:
        model = onnx.load(written.model)
        node = [n for n in model.graph.node if n.op_type == "Conv"][1]
        quantiser = next(n for n in model.graph.node if n.output[0] == node.input[1])
        tensor = next(t for t in model.graph.initializer if t.name == quantiser.input[0])
        values = np.array(numpy_helper.to_array(tensor))
        flip_largest(values)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        onnx.save(model, written.model)

    after(monkeypatch, "models.export.export_qonnx", change)


def a_wrong_stride_in_the_tidy_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """1×1 with stride 2 at other places: the shapes stay as they were."""

    def change(result: Any) -> None:
        node = next(n for n in nodes_of(result[0], "Conv") if result[0].get_tensor_shape(n.input[1])[2] == 1)
        set_attribute(node, "pads", [0, 0, 0, 0])
        name = node.input[1]
        wide = np.zeros((*result[0].get_initializer(name).shape[:2], 2, 2), np.float32)
        wide[:, :, 1:, 1:] = result[0].get_initializer(name)
        result[0].set_initializer(name, wide)
        set_attribute(node, "kernel_shape", [2, 2])

    after(monkeypatch, "finn_build.graph.tidy.tidy", change)


def swapped_passes_while_streamlining(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds are rounded before they absorb their scales, instead of after."""
    from finn_build.graph import streamline

    original = streamline.quantisers_to_thresholds

    def rounded(model: Any) -> Any:
        model = original(model)
        for node in nodes_of(model, "MultiThreshold"):
            model.set_initializer(node.input[1], np.ceil(model.get_initializer(node.input[1])))
        return model

    monkeypatch.setattr(streamline, "quantisers_to_thresholds", rounded)


def a_wrong_stride_while_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(model: Any) -> None:
        strides = [a for node in nodes_of(model, "Im2Col") for a in node.attribute if a.name == "stride"]
        next(stride for stride in strides if list(stride.ints) == [2, 2]).ints[:] = [1, 1]

    after(monkeypatch, "finn_build.graph.lower.lower", change)


def a_flipped_weight_while_lowering(monkeypatch: pytest.MonkeyPatch) -> None:
    after(monkeypatch, "finn_build.graph.lower.lower", lambda m: changed_constant(m, "MatMul", 2, flip_largest))


def a_shifted_threshold_in_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "finn_build.graph.hardware.to_hardware"
    after(monkeypatch, place, lambda m: changed_constant(m, "Thresholding", 3, shift_one))


def a_flipped_classifier_weight_in_hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "finn_build.graph.hardware.to_hardware"
    after(monkeypatch, place, lambda m: changed_constant(m, "ClassActivationMap", 0, flip_largest))


def a_flipped_weight_in_the_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "finn_build.graph.partition.partition"
    after(monkeypatch, place, lambda parts: changed_constant(parts.child, "MVAU", 1, flip_largest))


def a_shifted_threshold_while_narrowing(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "finn_build.graph.widths.minimise_widths"
    after(monkeypatch, place, lambda result: changed_constant(result[0], "Thresholding", 2, shift_one))


def a_wrong_stride_while_specialising(monkeypatch: pytest.MonkeyPatch) -> None:
    from finn_build.graph import specialise

    original = specialise.apply_pass

    def changed(model: Any, *arguments: Any, **named: Any) -> Any:
        model = original(model, *arguments, **named)
        strides = [a for node in model.graph.node for a in node.attribute if a.name == "Stride"]
        next(stride for stride in strides if list(stride.ints) == [2, 2]).ints[:] = [1, 1]
        return model

    monkeypatch.setattr(specialise, "apply_pass", changed)


def a_flipped_weight_behind_the_fifos(monkeypatch: pytest.MonkeyPatch) -> None:
    after(monkeypatch, "finn_build.graph.fifos.connect", lambda m: changed_constant(m, "MVAU_rtl", 1, flip_largest))


def a_flipped_word_in_a_generated_file(monkeypatch: pytest.MonkeyPatch) -> None:
    from finn_build.graph import codegen

    original = codegen.check_files

    def changed(node: Any, folder: Path) -> None:
        original(node, folder)
        if node.name == "MVAU_rtl_1":
            words = folder / codegen.WEIGHT_FILE
            text = words.read_text()
            words.write_text(("1" if text[0] != "1" else "2") + text[1:])

    monkeypatch.setattr(codegen, "check_files", changed)


def a_file_that_is_not_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    from finn_build.graph import codegen

    original = codegen.check_files

    def changed(node: Any, folder: Path) -> None:
        (folder / f"{node.name}_threshs_0_1.dat").unlink(missing_ok=True)
        original(node, folder)

    monkeypatch.setattr(codegen, "check_files", changed)


def a_flipped_weight_in_the_cpp(monkeypatch: pytest.MonkeyPatch) -> None:
    from cam_postproc.hls import csim

    class Flipped(csim.CamCsim):
        def __init__(self, block: Any, fc_weight: np.ndarray, *rest: Any) -> None:
            flipped = fc_weight.copy()
            flip_largest(flipped)
            super().__init__(block, flipped, *rest)

    monkeypatch.setattr(csim, "CamCsim", Flipped)


def a_heatmap_two_levels_off(monkeypatch: pytest.MonkeyPatch) -> None:
    from cam_postproc import reference

    original = reference.heatmap_float64
    monkeypatch.setattr(reference, "heatmap_float64", lambda *arguments: original(*arguments) + 2.0)


def a_folder_of_this_machine_in_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    from finn_build.package import build as packing

    original = packing.build_package

    def changed(sources: Any, out: Path) -> Any:
        nodes = out.parent / "nodes"
        shutil.copytree(sources.nodes, nodes)
        (nodes / "MVAU_rtl_0" / "state.bin").write_bytes(b"\0\xff" + str(nodes).encode())
        return original(replace(sources, nodes=nodes), out)

    monkeypatch.setattr(packing, "build_package", changed)


def another_head_than_was_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    from finn_build import head

    original = head.read_head

    def changed(path: Path) -> Any:
        found = original(path)
        weights = found.fc_weight.copy()
        flip_largest(weights)
        return replace(found, fc_weight=weights) if path.parent.name == "export" else found

    monkeypatch.setattr(head, "read_head", changed)


BROKEN: list[tuple[str, Break, str]] = [
    ("export", a_flipped_weight_in_the_exported_file, r"stage qonnx: output \S+ at \[.*\]: expected \S+, got \S+"),
    ("tidy", a_wrong_stride_in_the_tidy_graph, r"stage tidy: output tap at \[.*\]: expected \S+, got \S+"),
    ("streamline", swapped_passes_while_streamlining, r"stage streamline: output tap at \[.*\]: expected \S+, got \S+"),
    (
        "streamline",
        another_head_than_was_exported,
        r"stage streamline: head's values unlike.* is 1,.*fc_weight",
    ),
    ("lower", a_wrong_stride_while_lowering, r"stage lower: node Im2Col_\d .* stated as \[1, 4, 4, .* as \[1, 8, 8"),
    ("lower", a_flipped_weight_while_lowering, r"stage lower: output tap at \[.*\]: expected \S+, got \S+"),
    ("hardware", a_shifted_threshold_in_hardware, r"stage hardware: .*expected \S+, got \S+"),
    ("hardware", a_flipped_classifier_weight_in_hardware, r"stage hardware: output packet at \[.*\]: expected"),
    ("partition", a_flipped_weight_in_the_partition, r"stage partition: output packet at \[.*\]: expected"),
    ("specialise", a_shifted_threshold_while_narrowing, r"stage specialise: .*expected \S+, got \S+"),
    ("specialise", a_wrong_stride_while_specialising, r"stage specialise: .*attribute Stride is \[1, 1\] instead"),
    ("specialise", a_flipped_weight_behind_the_fifos, r"stage specialise: constant 1 of MVAU_rtl_1 differs at \["),
    ("codegen", a_flipped_word_in_a_generated_file, r"stage codegen: weights of MVAU_rtl_1 at \[.* in the graph"),
    ("codegen", a_file_that_is_not_generated, r"stage codegen: Thresholding_rtl_0 has no Thresholding_rtl_0_threshs"),
    ("cam", a_flipped_weight_in_the_cpp, r"stage cam: output logits at \[.*\]: expected \S+, got \S+"),
    ("cam", a_heatmap_two_levels_off, r"stage cam: heatmap against float64 is .* levels, limit ≤ 1 levels"),
    ("package", a_folder_of_this_machine_in_the_package, r"stage package: .*state\.bin names the folder"),
]


@pytest.mark.parametrize(("stage", "break_it", "message"), BROKEN, ids=[b.__name__ for _, b, _ in BROKEN])
def test_a_broken_stage_stops_the_build(
    copy: Path, monkeypatch: pytest.MonkeyPatch, stage: str, break_it: Break, message: str
) -> None:
    built = copy / "build" / "tiny"
    before = {name: (built / name).read_bytes() for name in ("report.json", "tiny-deploy.zip")}
    told = Quiet()
    break_it(monkeypatch)
    with pytest.raises(CheckFailed, match=message) as error:
        again(copy, told, force=frozenset({stage}))
    assert "\n" not in str(error.value)
    assert told.reasons == {stage: ["forced", "failed"]}
    assert stage not in [run.name for run in told.stages]
    assert before == {name: (built / name).read_bytes() for name in before}


def test_a_layer_that_a_scale_made_dead_is_a_check_that_failed(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every code of the stem's activation is 0: each stage still agrees with the one before, and nothing is seen."""

    def change(loaded: Any) -> None:
        scale_parameter(loaded[0].stem_act.quant).data.mul_(1e6)

    after(monkeypatch, "models.checkpoint.load_checkpoint", change)
    told = again(copy, force=frozenset({"export"}), until="streamline")
    found = [
        c for run in told.stages for c in run.result.checks if c.name == "layers that answer the same to every image"
    ]
    assert [c.passed for c in found] == [False]
    assert found[0].measured >= 1
    assert "a scale may be too large" in found[0].detail


def test_a_checkpoint_of_another_network_stops_the_build(copy: Path) -> None:
    shutil.copyfile(copy / "build" / "tiny" / "model" / "network.safetensors", copy / "tiny.safetensors")
    again(copy, untrained=False, until="model")
    config = copy / "tiny.toml"
    for change, message in (
        (("strides = [1, 2]", "strides = [2, 2]"), r"strides: \[2, 2\]"),
        (("first_bit_width = 4", "first_bit_width = 5"), "first_bit_width = 5, got 4"),
        (("size = 8", "size = 16"), "a checkpoint for size = 16, got 8"),
    ):
        config.write_text(TINY.replace(*change))
        told = Quiet()
        with pytest.raises((ModelError, UserError), match=message):
            again(copy, told, untrained=False)
        assert told.reasons["model"][-1] == "failed"
        assert told.stages == []
