import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from graph_helpers import PART, chain, copy, node_of
from qonnx.custom_op.registry import getCustomOp

from finn_build.errors import CheckFailed
from finn_build.folding.automatic import set_folding
from finn_build.graph.codegen import check_files, compare_constants, generate_code, with_absolute_paths
from finn_build.graph.fifos import DEFAULT_DEPTH, connect, set_safe_depths
from finn_build.graph.specialise import specialise


@pytest.fixture(scope="module")
def connected():
    """Folded a little, so that lanes and folds of memories differ from 1; widths, FIFOs and DMAs in place."""
    specialised, _ = specialise(chain(max_pool=True).generic, PART)
    folded, _ = set_folding(specialised, 100e6 / 2000, 100)
    deep, bypasses = set_safe_depths(folded)
    return folded, bypasses, connect(deep, PART)


@pytest.fixture(scope="module")
def generated(connected, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("code")
    model, report = generate_code(connected[2], PART, 10.0, folder)
    return model, report, folder


def test_every_bypass_holds_a_whole_tensor(connected) -> None:
    folded, bypasses, model = connected
    adds = [node for node in folded.graph.node if node.op_type == "ElementwiseAdd_hls"]
    assert {fifo.add for fifo in bypasses} == {node.name for node in adds}
    for fifo in bypasses:
        add = getCustomOp(next(node for node in adds if node.name == fifo.add))
        assert fifo.depth_words == int(np.prod(add.get_folded_input_shape()[:-1]))
    fifos = [getCustomOp(node) for node in model.graph.node if node.op_type == "StreamingFIFO_rtl"]
    depths = sorted({fifo.get_nodeattr("depth") for fifo in fifos})
    assert depths[0] == DEFAULT_DEPTH
    assert set(depths[1:]) == {fifo.depth_words for fifo in bypasses} - {DEFAULT_DEPTH}
    assert all(fifo.get_ram_style() != "ultra" for fifo in fifos)


def test_the_bypass_is_the_branch_with_less_window(connected) -> None:
    folded, bypasses, _ = connected
    for fifo in bypasses:
        node = next(node for node in folded.graph.node if node.name == fifo.branch)
        ops = []
        while node is not None and not node.op_type.startswith("DuplicateStreams"):
            ops.append(node.op_type)
            node = folded.find_producer(node.input[0])
        windows = [op for op in ops if op.startswith("ConvolutionInputGenerator")]
        assert len(windows) <= 1


def test_streams_fit_after_connecting(connected) -> None:
    model = connected[2]
    for node in model.graph.node:
        for index, name in enumerate(node.output):
            reader = model.find_consumer(name)
            if reader is not None:
                width = getCustomOp(node).get_outstream_width_padded(index)
                assert getCustomOp(reader).get_instream_width_padded(list(reader.input).index(name)) == width
    assert [node.op_type for node in model.graph.node].count("IODMA_hls") == 2
    assert (model.graph.input[0].name, model.graph.output[0].name) == ("image", "packet")


def test_every_node_has_its_files_and_every_word_is_right(generated) -> None:
    model, report, folder = generated
    assert set(report.folders) == {node.name for node in model.graph.node} == {p.name for p in folder.iterdir()}
    layers = [n.op_type for n in model.graph.node]
    constants = layers.count("MVAU_rtl") + layers.count("Thresholding_rtl") + 2 * layers.count("ClassActivationMap_hls")
    assert len(report.rows) == constants
    assert all(row["mismatches"] == 0 and row["method"] == "structural" for row in report.rows)
    weights = sum(model.get_initializer(n.input[1]).size for n in model.graph.node if n.op_type == "MVAU_rtl")
    assert sum(row["values"] for row in report.rows if "MVAU" in row["output"]) == weights


def test_the_folder_can_be_moved(generated, tmp_path: Path) -> None:
    model, report, folder = generated
    moved = tmp_path / "elsewhere"
    shutil.copytree(folder, moved)
    texts = [path for path in moved.rglob("*") if path.is_file() and path.suffix != ".npy"]
    assert len(texts) > 30
    import finn

    for path in texts:
        text = path.read_text(encoding="utf-8")
        assert str(folder) not in text, path
        assert str(Path(finn.__file__).parent) not in text, path
    stream = next(moved.glob("MVAU_rtl_0/*_memstream_wrapper.v")).read_text(encoding="utf-8")
    assert '"MVAU_rtl_0/memblock.dat"' in stream
    script = (moved / "ElementwiseAdd_hls_0" / "hls_syn_ElementwiseAdd_hls_0.tcl").read_text(encoding="utf-8")
    assert 'config_hwsrcdir "."' in script
    assert "$::env(FINN_DEPS)/finn-hlslib" in script
    assert report.rewritten
    placed = with_absolute_paths(model, moved)
    for node in placed.graph.node:
        assert Path(getCustomOp(node).get_nodeattr("code_gen_dir_ipgen")) == moved / node.name


def spoil(folder: Path, name: str, change) -> None:
    path = folder / name
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


def flip_first_digit(text: str) -> str:
    return ("1" if text[0] != "1" else "2") + text[1:]


def change_first_weight(text: str) -> str:
    start = text.index("CAM_WEIGHT[")
    return text[:start] + re.sub(r"\{\{(-?\d+)", lambda m: "{{" + str(int(m[1]) + 1), text[start:], count=1)


@pytest.mark.parametrize(
    ("op", "file", "change", "expected"),
    [
        ("MVAU_rtl", "memblock.dat", flip_first_digit, r"weights of MVAU_rtl_0 at \[\d+, \d+\]: -?\d+ in the"),
        ("MVAU_rtl", "memblock.dat", lambda t: t[t.index("\n") + 1 :], r"memblock.dat has \d+ words, not \d+"),
        ("MVAU_rtl", "memblock.dat", lambda t: "zz" + t[2:], "is no memory file of"),
        ("Thresholding_rtl", "{}_threshs_0_2.dat", flip_first_digit, r"thresholds of Thresholding_rtl_0 at \["),
        ("ClassActivationMap_hls", "cam_config.h", change_first_weight, r"weights of ClassActivation\w+ at \[0, 0\]"),
        (
            "ClassActivationMap_hls", "cam_config.h", lambda t: t.replace("CAM_BIAS[4] = {0", "CAM_BIAS[4] = {7"),
            r"biases of ClassActivationMap_hls_0 at \[0\]: 7 in the generated file, 0 in the graph",
        ),
    ],
)  # fmt: skip
def test_a_corrupted_word_is_found(generated, tmp_path: Path, op: str, file: str, change, expected: str) -> None:
    model, _, folder = generated
    node = node_of(model, op)
    broken = tmp_path / node.name
    shutil.copytree(folder / node.name, broken)
    assert compare_constants(model, node, broken)
    spoil(broken, file.format(node.name), change)
    with pytest.raises(CheckFailed, match=expected):
        compare_constants(model, node, broken)


@pytest.mark.parametrize(
    "op", ["MVAU_rtl", "Thresholding_rtl", "ConvolutionInputGenerator_rtl", "Pool_hls", "IODMA_hls"]
)
def test_a_missing_or_empty_file_is_found(generated, tmp_path: Path, op: str) -> None:
    model, _, folder = generated
    node = node_of(model, op)
    for number, path in enumerate(sorted((folder / node.name).iterdir())):
        if path.suffix in (".npy", ".h", ".hpp"):
            continue
        broken = tmp_path / f"{number}"
        shutil.copytree(folder / node.name, broken)
        check_files(node, broken)
        (broken / path.name).write_text("")
        with pytest.raises(CheckFailed, match=f"{node.name} has no {path.name}"):
            check_files(node, broken)


def test_a_changed_weight_in_the_graph_is_found(generated) -> None:
    model, _, folder = generated
    changed = copy(model)
    node = node_of(changed, "MVAU_rtl", 2)
    weights = changed.get_initializer(node.input[1]).copy()
    weights[1, 3] += 1
    changed.set_initializer(node.input[1], weights)
    with pytest.raises(CheckFailed, match=r"weights of MVAU_rtl_2 at \[1, 3\]"):
        compare_constants(changed, node, folder / node.name)
