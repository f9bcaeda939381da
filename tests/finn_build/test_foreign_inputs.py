"""A network, an address or a report from elsewhere that is not what the config says: one line, exit code 2, early."""

from pathlib import Path

import pytest
from graph_helpers import CLASSES, Builder, Options, network, save
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.adapter import quiet
from finn_build.cli.app import run
from finn_build.config import load_config
from finn_build.errors import UserError
from finn_build.sources import find_sources

ONNX = """
[model]
source = "onnx"
path = "network.onnx"
{more}

[input]
size = 8

[data]
dataset = "folder"
classes = {classes}
"""


def told(capfd: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    assert run(arguments) == 2
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("finn-cam: ")]
    assert len(lines) == 1
    return lines[0]


def build_of(folder: Path, classes: int = CLASSES, more: str = "") -> list[str]:
    (folder / "mine.toml").write_text(ONNX.format(classes=classes, more=more))
    return ["build", str(folder / "mine.toml"), "--out", str(folder / "build"), "--until", "streamline"]


def one_pixel_network() -> ModelWrapper:
    """8×8 pixels through strides of 2, 2 and 2: a map of 1×1."""
    b = Builder(Options())
    x = b.quant("x", 1 / 255, 8, signed=False)
    x = b.relu(b.convolution(x, 3, 4, 3, 2), 0.09)
    x = b.block(b.block(x, 4, 4, 2), 4, 8, 2)
    x = b.add("ReduceMean", [x, b.constant([2, 3], int)], keepdims=0)
    b.nodes.append(helper.make_node("Gemm", [x, b.weights((CLASSES, 8), 0.06)], ["y"], "classifier", transB=1))
    graph = helper.make_graph(
        b.nodes, "pixel", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CLASSES])],
        [numpy_helper.from_array(value, name) for name, value in b.constants.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("qonnx.custom_op.general", 2)]
    with quiet():
        return ModelWrapper(helper.make_model(graph, opset_imports=opsets))


def test_a_map_of_one_pixel_is_told_before_anything_is_compared(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save(one_pixel_network(), tmp_path, "network.onnx")
    line = told(capfd, build_of(tmp_path))
    said = "[input] size 8 and strides that leave a map of 1×1 pixels; a heatmap needs 2×2"
    assert f"expected keys that agree, got {said}; correct the table" in line
    assert not (tmp_path / "build" / "mine" / "tidy").exists()
    # The words of a network that is built here, which is refused as its config is read.
    own = 'checkpoint = "a"\ngroups = { blocks = [1, 1, 1], channels = [4, 4, 8], strides = [2, 2, 2] }'
    text = ONNX.format(classes=CLASSES, more=own).replace('source = "onnx"\npath = "network.onnx"\n', "")
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(UserError) as caught:
        load_config(str(tmp_path / "own.toml"))
    assert f"expected keys that agree, got {said}; correct the table" in str(caught.value)


def test_classes_that_the_network_does_not_have_are_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    save(network(), tmp_path, "network.onnx")
    line = told(capfd, build_of(tmp_path, classes=CLASSES + 1))
    assert f"[data] classes: expected {CLASSES} as the network has, got {CLASSES + 1}; correct [data] classes" in line
    assert run(build_of(tmp_path)) == 0


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a.onnx", "http://[::1/a.onnx", "https://exa mple.org/a b", "http://a:port/", "nonsense", ""],
)
def test_a_malformed_address_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], url: str) -> None:
    line = told(capfd, build_of(tmp_path, more=f'url = "{url}"\nsha256 = "{"0" * 64}"'))
    assert "address" in line
    assert "correct the address" in line
    assert not (tmp_path / "network.onnx").exists()


def test_a_download_names_every_place_where_the_file_may_lie(tmp_path: Path) -> None:
    build_of(tmp_path, more=f'url = "http://127.0.0.1:9/a.onnx"\nsha256 = "{"0" * 64}"')
    with pytest.raises(UserError) as caught:
        find_sources(load_config(str(tmp_path / "mine.toml")), None, False)
    place = tmp_path / "network.onnx"
    assert caught.value.remedy == (
        f"connect, or put the file at {place}, or name the folder that holds network.onnx with FINN_CAM_MODELS"
    )


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"stages": ' * 50_000, '{"config": 1e999999}', "\ufeff", '{"a":\x00}']
)
def test_a_report_that_no_build_wrote_is_one_line(tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str) -> None:
    place = tmp_path / "resnet8_5w5a"
    place.mkdir()
    (place / "report.json").write_text(text)
    assert "report.json" in told(capfd, ["report", "--out", str(tmp_path)])


def test_no_stage_is_no_stage(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for option in ("--until", "--force"):
        line = told(capfd, ["build", "resnet8_5w5a", "--out", str(tmp_path), option, ""])
        assert "stage: expected one of model, export" in line
        assert "got ''" in line
    assert not list(tmp_path.iterdir())
