"""The golden set is what the integer graph and the CAM's specification say, and both say the same."""

from collections.abc import Callable

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from cam_postproc.packet import decode_packets
from cam_postproc.spec import spec_for_head
from finn_build.errors import CheckFailed
from finn_build.executors.base import Output
from finn_build.executors.batch import BatchExecutor
from finn_build.verify.compare import require_equal
from finn_build.verify.golden import make_golden

Graph = Callable[..., ModelWrapper]
Golden = tuple[dict[str, np.ndarray], Callable[..., dict[str, np.ndarray]]]


@pytest.fixture
def golden(residual: Graph, pictures: np.ndarray) -> Golden:
    model = residual()
    outputs = BatchExecutor(model, {"tap": Output("tap", "NCHW"), "logits": "logits"}).run(pictures)
    weight = model.get_initializer("fc").T.astype(np.int8)
    spec = spec_for_head(weight, None, (4, 4, 6), 3, (8, 8))

    def make(changes: dict[str, np.ndarray] | None = None, weight: np.ndarray = weight) -> dict[str, np.ndarray]:
        return make_golden(pictures, {**outputs, **(changes or {})}, spec, weight, np.zeros(5, np.int32))

    return outputs, make


def test_arrays(golden: Golden, pictures: np.ndarray) -> None:
    outputs, make = golden
    arrays = make()
    kinds = {name: (values.dtype.name, values.shape) for name, values in arrays.items()}
    assert kinds == {
        "images": ("uint8", (6, 8, 8, 3)), "tap": ("uint8", (6, 4, 4, 6)), "logits": ("int32", (6, 5)),
        "maps": ("int32", (6, 5, 4, 4)), "heatmap": ("uint8", (6, 8, 8)), "packet": ("uint8", (6, 16 + 20 + 64 + 4)),
    }  # fmt: skip
    np.testing.assert_array_equal(arrays["maps"].sum(axis=(2, 3)), outputs["logits"])
    spec = spec_for_head(np.ones((5, 6), np.int8), None, (4, 4, 6), 3, (8, 8))
    packets = decode_packets(spec.layout, arrays["packet"])
    np.testing.assert_array_equal(packets.logits, outputs["logits"])
    np.testing.assert_array_equal(packets.maps[:, 0], arrays["heatmap"])


def test_a_head_with_one_other_weight(golden: Golden, residual: Graph) -> None:
    _, make = golden
    weight = residual().get_initializer("fc").T.astype(np.int8)
    weight[3, 2] += 1
    with pytest.raises(CheckFailed, match=r"stage streamline: output logits at \[\d, 3\]: expected"):
        make(weight=weight)


def test_a_tap_beyond_its_type(golden: Golden) -> None:
    outputs, make = golden
    tap = outputs["tap"].copy()
    tap[0, 0, 0, 0] = 256
    with pytest.raises(CheckFailed, match=r"output tap at \[0, 0, 0, 0\]: expected 0 to 7, got 256"):
        make({"tap": tap})


@pytest.mark.parametrize("wrong", ["by one", "next byte"])
def test_a_packet_with_a_wrong_byte(wrong: str, golden: Golden) -> None:
    arrays = golden[1]()
    packet = arrays["packet"].copy()
    if wrong == "by one":
        packet[2, 40] += 1
    else:
        packet = np.roll(packet, 1, axis=1)
    with pytest.raises(CheckFailed, match=r"stage cam: output packet at \[\d, \d+\]: expected \d+, got \d+"):
        require_equal("cam", {"packet": arrays["packet"]}, {"packet": packet})
