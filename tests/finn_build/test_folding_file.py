"""A folding JSON from the user's side: a node's name is the same everywhere, and its FIFO depths are used."""

import json
from pathlib import Path
from typing import Any

import pytest
from build_helpers import TINY, Quiet, again
from finn.transformation.general import ApplyConfig
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import apply_pass
from finn_build.cli.app import run
from finn_build.errors import UserError
from finn_build.folding.config import apply_folding
from finn_build.graph.fifos import set_safe_depths
from finn_build.nodes.registry import register_nodes
from finn_build.nodes.variants import register_rtl_nodes

ADD, FORK = "ElementwiseAdd_rtl_0", "DuplicateStreams_rtl_0"


@pytest.fixture(autouse=True)
def _registered() -> None:
    register_nodes()
    register_rtl_nodes()


def fifos(built: Path) -> dict[tuple[str, str], int]:
    """Depth of the FIFO right between two nodes."""
    model = ModelWrapper(str(built / "specialise" / "connected.onnx"))
    found = {}
    for node in model.graph.node:
        if node.op_type.startswith("StreamingFIFO"):
            before, after = model.find_producer(node.input[0]), model.find_consumer(node.output[0])
            if before is not None and after is not None:
                found[before.name, after.name] = int(getCustomOp(node).get_nodeattr("depth"))
    return found


def with_file(copy: Path, folding: dict[str, Any]) -> Path:
    (copy / "folding.json").write_text(json.dumps(folding))
    (copy / "tiny.toml").write_text(TINY.replace("target_fps = 1000.0", 'file = "folding.json"'))
    return copy / "build" / "tiny"


def test_a_node_is_called_the_same_in_file_graphs_folders_and_package(place: Path) -> None:
    built = place / "build" / "tiny"
    folding = json.loads((built / "deploy" / "hardware" / "folding.json").read_text())
    names = set(folding) - {"Defaults"}
    assert {ADD, FORK} < names
    for graph in ("specialise/model.onnx", "specialise/connected.onnx", "deploy/hardware/graph.onnx"):
        found = {node.name: node for node in ModelWrapper(str(built / graph)).graph.node}
        assert names <= set(found), graph
        assert all(name.startswith(node.op_type) for name, node in found.items()), graph
    assert names <= {path.name for path in (built / "codegen" / "nodes").iterdir()}


def test_finn_applies_the_file_to_every_node(place: Path, tmp_path: Path) -> None:
    built = place / "build" / "tiny"
    folding = json.loads((built / "specialise" / "folding.json").read_text())
    for name in (ADD, FORK):
        folding[name]["PE"] = 1 if folding[name]["PE"] != 1 else 2
    path = tmp_path / "folding.json"
    path.write_text(json.dumps(folding))
    model = ModelWrapper(str(built / "specialise" / "model.onnx"))
    folded = {node.name: getCustomOp(node) for node in apply_pass(model, ApplyConfig(str(path))).graph.node}
    for name, values in folding.items():
        for key, value in values.items():
            assert folded[name].get_nodeattr(key) == value


def test_depths_that_are_given_are_used_and_the_others_are_found(copy: Path) -> None:
    built = copy / "build" / "tiny"
    before = fifos(built)
    folding = json.loads((built / "specialise" / "folding.json").read_text())
    specialised = ModelWrapper(str(built / "specialise" / "model.onnx"))
    add = next(node for node in specialised.graph.node if node.name == ADD)
    sources = [specialised.find_producer(tensor).name for tensor in add.input]
    bypass = max((pair for pair in before if pair[1] == ADD), key=lambda pair: before[pair])
    plain = next(pair for pair in before if pair[0].startswith("MVAU") and pair[1].startswith("Thresholding"))
    folding[ADD]["inFIFODepths"] = [9 if source == bypass[0] else 32 for source in sources]
    folding[plain[0]]["outFIFODepths"] = [5]
    with_file(copy, folding)
    told = Quiet()
    again(copy, told, until="specialise")
    after = fifos(built)
    told_of = {pair: after[pair] for pair in before if pair[1] == ADD or pair == plain}
    assert told_of == dict.fromkeys(told_of, 32) | {bypass: 9, plain: 5}
    written = json.loads((built / "specialise" / "folding.json").read_text())
    assert written == folding
    notes = told.stages[-1].result.facts["hardware"]["notes"]
    # Shallower than a whole tensor, but run by a model that knows every operator here to the cycle.
    assert not any("known to be safe" in note for note in notes)


@pytest.mark.parametrize(
    ("node", "key", "depths", "message"),
    [
        (ADD, "inFIFODepths", [32], "a list of 2 depths of at least 2 words, one a stream in, got [32]"),
        (FORK, "outFIFODepths", [32, 32, 32], "a list of 2 depths of at least 2 words, one a stream out"),
        ("MVAU_rtl_1", "inFIFODepths", [32, 32], "a list of 1 depth of at least 2 words, one a stream in"),
        ("MVAU_rtl_1", "outFIFODepths", 32, "a list of 1 depth of at least 2 words, one a stream out, got 32"),
        ("MVAU_rtl_1", "outFIFODepths", [True], "a list of 1 depth of at least 2 words, one a stream out, got [true]"),
        ("MVAU_rtl_1", "outFIFODepths", [1], "a list of 1 depth of at least 2 words, one a stream out, got [1]"),
        ("MVAU_rtl_1", "outFIFODepths", [10**9], "which fill the block RAM of xc7z020clg400-1, got 1,000,000,000"),
    ],
)
def test_depths_that_cannot_be_are_one_line(place: Path, node: str, key: str, depths: object, message: str) -> None:
    built = place / "build" / "tiny" / "specialise"
    model = ModelWrapper(str(built / "model.onnx"))
    folding = json.loads((built / "folding.json").read_text())
    folding[node][key] = depths
    with pytest.raises(UserError) as caught:
        set_safe_depths(apply_folding(model, folding, "folding.json"), folding, "folding.json", "xc7z020clg400-1")
    assert str(caught.value).startswith(f"folding.json: {node}.{key}: expected ")
    assert message in str(caught.value)


def test_a_name_of_before_the_variants_is_told_with_the_right_one(
    copy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    built = copy / "build" / "tiny"
    before = (built / "report.json").read_bytes()
    folding = json.loads((built / "specialise" / "folding.json").read_text())
    folding["ElementwiseAdd_hls_0"] = folding.pop(ADD)
    with_file(copy, folding)
    assert run(["build", str(copy / "tiny.toml"), "--untrained", "--out", str(copy / "build")]) == 2
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("finn-cam:")]
    assert len(told) == 1
    assert (
        f"folding.json: ElementwiseAdd_hls_0: expected the name of a node, got no such node; did you mean {ADD}?"
        in told[0]
    )
    assert (built / "report.json").read_bytes() == before
