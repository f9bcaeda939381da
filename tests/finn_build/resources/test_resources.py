import pytest
from graph_helpers import PART, chain
from qonnx.custom_op.registry import getCustomOp

from finn_build.errors import UserError
from finn_build.folding.automatic import set_folding
from finn_build.graph.specialise import specialise
from finn_build.resources.devices import KEYS, device
from finn_build.resources.estimates import estimate
from finn_build.resources.lanes import mvu_lanes
from finn_build.resources.slices import slices


def test_the_chip() -> None:
    found = device(PART)
    assert found == {"LUT": 53200, "FF": 106400, "BRAM18": 280, "DSP": 220, "slices": 13300}
    assert tuple(found) == KEYS
    found["LUT"] = 0
    assert device("xc7z020")["LUT"] == 53200
    with pytest.raises(UserError, match="part xc7a35t: expected one of xc7z020"):
        device("xc7a35t")


@pytest.mark.parametrize(("weights", "activations", "lanes"), [(4, 4, 4), (5, 5, 3), (6, 6, 2), (8, 8, 2), (5, 8, 2)])
def test_multiplications_in_one_dsp(weights: int, activations: int, lanes: int) -> None:
    assert mvu_lanes(weights, activations) == lanes


def test_estimates_follow_the_folding() -> None:
    specialised, _ = specialise(chain().generic, PART)
    folded, _ = set_folding(specialised, 100e6 / 2000, 100)
    slow, fast = (estimate(model, PART, 100.0) for model in (specialised, folded))
    assert fast.fps > slow.fps
    assert fast.fps == pytest.approx(100e6 / fast.cycles_per_image)
    slowest = max(fast.nodes, key=lambda node: node.cycles)
    assert (fast.bottleneck, fast.cycles_per_image) == (slowest.name, slowest.cycles)
    assert fast.totals["DSP"] > slow.totals["DSP"] > 0
    assert fast.totals["FF"] > slow.totals["FF"] > 0
    assert fast.totals["slices"] == slices(fast.totals["LUT"], fast.totals["FF"]) > fast.totals["LUT"] / 4
    assert fast.lower_bounds == []
    for node in fast.nodes:
        instance = getCustomOp(next(n for n in folded.graph.node if n.name == node.name))
        if node.op == "MVAU":
            lanes = 2 if node.name == "MVAU_rtl_0" else 4  # INT4 weights; the image has 8 bits
            assert node.dsp == -(-node.pe // lanes) * node.simd
            assert node.modelled
            assert node.lut > 4 * node.pe * node.simd
        assert node.cycles == instance.get_exp_cycles()
        assert node.backend in ("rtl", "hls")


def test_totals_are_sums() -> None:
    found = estimate(specialise(chain().generic, PART)[0], PART, 50.0)
    for key, attribute in (("LUT", "lut"), ("FF", "ff"), ("BRAM18", "bram18"), ("DSP", "dsp")):
        assert found.totals[key] == sum(getattr(node, attribute) or 0 for node in found.nodes)
    cam = next(node for node in found.nodes if node.op == "ClassActivationMap")
    assert cam.lut is not None
    assert cam.lut > 0
    assert cam.cycles > 0
