"""What `simulate` and `synth` say: mistakes in one line, and figures as the report takes them."""

import pytest

from finn_build.cli.app import run
from finn_build.cli.synth import result
from finn_build.report.hardware import Hardware
from finn_build.report.html import render_html
from finn_build.report.schema import Report
from finn_build.resources.slices import PACKING, slices
from finn_build.rtl.synth import Resources, Synthesised


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--wave", "5:1"], ("--wave", "FROM:TO", "'5:1'")),
        (["--wave", "soon"], ("--wave", "FROM:TO", "'soon'")),
        (["--images", "0"], ("--images",)),
        (["no-such-picture.png"], ("no-such-picture.png",)),
        (["--cam", "vhdl"], ("vhdl",)),
    ],
)
def test_a_mistake_is_one_line(arguments, words, capfd):
    assert run(["simulate", "resnet8_5w5a", *arguments]) == 2
    told = capfd.readouterr().err.strip().splitlines()
    assert all(word in told[-1] for word in words), told


def hardware():
    device = {"LUT": 53200, "FF": 106400, "BRAM18": 280, "DSP": 220, "slices": 13300}
    layers = [{"name": "MVAU_rtl_0", "op": "MVAU", "backend": "rtl", "LUT": 100, "BRAM18": 4, "DSP": 12}]
    return Hardware.model_validate(
        {
            "part": "xc7z020clg400-1", "clock_mhz": 100, "cycles_per_image": 1000, "fps": 1e5,
            "bottleneck": "MVAU_rtl_0",
            "resources": {"LUT": 900, "BRAM18": 5, "DSP": 12}, "budget": device, "device": device, "layers": layers,
        }
    )  # fmt: skip


def test_synthesis_stands_beside_the_estimates(tmp_path):
    modules = [
        Synthesised("MVAU_rtl_0", "MVAU", Resources(lut=1000, lut_memory=200, ff=3000, bram18=4, dsp=12), 9.0, "d", {}),
        Synthesised("StreamingFIFO_rtl_0", "StreamingFIFO", Resources(lut=50, ff=70), 5.0, "e", {}),
    ]
    whole = {"LUT": 1250, "FF": 3070, "BRAM18": 4, "DSP": 12}
    found = result("xc7z020clg400-1", modules, whole, hardware(), "abc", 12.34)
    assert {"part", "resources", "modules", "seconds"} <= set(found)
    assert found["resources"]["slices"] == slices(1250, 3070)
    assert found["modules"][0]["estimate"] == {"LUT": 100, "FF": None, "BRAM18": 4, "DSP": 12}
    assert found["modules"][1]["estimate"] == {}
    assert any("Timing and placement" in line for line in found["unproven"])
    page = render_html(Report.model_validate({"config": "small", "synthesis": found}), tmp_path)
    assert "Synthesis with open tools" in page
    assert "-28 %" in page  # 900 LUT estimated, 1,250 synthesised


def test_slices_are_those_of_the_published_placement():
    # 9,761 slices wanted where 9,469 of 13,300 were left.
    assert slices(40_593, 63_355) == 13_592
    assert 0.67 < PACKING < 1
    assert slices(35_617, 46_435) <= 13_300
    assert slices(0, 8 * 300) == slices(4 * 300, 0)
