"""Stage `cam`: the CAM block's C++, compiled with g++ and run on the golden taps, and the example pictures."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finn_build.config import CamSettings
from finn_build.report.schema import Verification, check
from finn_build.stages.files import COMPILED, EXAMPLES, SOURCES
from finn_build.stages.result import Progress, StageResult, required
from models.spec import InputSpec

if TYPE_CHECKING:
    from cam_postproc.block import CamBlock
    from finn_build.head import Head
    from finn_build.localise import Answer, Picture

MOST_LEVELS = 1.0
"""The heatmap may differ from float64 by this much: rounding to a level is half of it."""


def simulate_cam(
    specialised: Path,
    integer: Path,
    golden: Path,
    head: Path,
    cam: CamSettings,
    input_spec: InputSpec,
    output: int,
    out: Path,
    progress: Progress,
) -> StageResult:
    """Generates the block as the graph folds it, simulates it, and compares every word with the golden set.

    Raises:
        CamError: g++ is missing, or the C++ does not compile.
        CheckFailed: a map, logit, class, heatmap or packet differs from the integer model, or the heatmap from float64.
    """
    from cam_postproc.hls.csim import CamCsim
    from cam_postproc.hls.sources import write_sources
    from finn_build.head import read_arrays, read_head
    from finn_build.verify.compare import require_equal

    classifier, expected = read_head(head), read_arrays(golden)
    spec = classifier.cam_spec(output, cam.sampling)
    block = block_of(specialised, spec)
    write_sources(block, classifier.fc_weight, classifier.bias, out / SOURCES)
    simulation = CamCsim(block, classifier.fc_weight, classifier.bias, out / COMPILED)
    progress(0.4)
    got = simulation.run(expected["tap"])
    classes = expected["logits"].argmax(axis=1)
    wanted = {
        "logits": expected["logits"],
        "class": classes,
        "shown map": expected["maps"][np.arange(len(classes)), classes],
        "heatmap": expected["heatmap"],
        "packet": expected["packet"],
    }
    simulated = {
        "logits": got["logits"],
        "class": got["class"],
        "shown map": got["shown_maps"][:, 0],
        "heatmap": got["heatmap"],
        "packet": got["packet"],
    }
    if "maps" in got:
        wanted["maps"], simulated["maps"] = expected["maps"], got["maps"]
    rows: Sequence[Verification] = require_equal(
        "cam", wanted, simulated, remedy="the block's C++ is not its integer model"
    )
    progress(0.6)
    error = _levels_off(spec, expected, classes)
    close = check("heatmap against float64", error, "<=", MOST_LEVELS, unit="levels")
    required("cam", close, "the fixed-point resize has too few bits")
    examples = _examples(integer, classifier, block, simulation, cam, input_spec, out)
    return StageResult(
        checks=(close,),
        verification=tuple(rows),
        facts={"cam": _facts(block, classifier, cam, error, len(classes)), "examples": examples},
    )


def block_of(specialised: Path, spec: Any) -> "CamBlock":
    """The block with the folding of the graph's CAM node; the smallest where the graph has none."""
    import onnx

    from cam_postproc.block import CamBlock

    model = onnx.load(specialised, load_external_data=False)
    for node in model.graph.node:
        if node.op_type.startswith("ClassActivationMap"):
            values = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            storage = values.get("Storage", b"maps").decode()
            return CamBlock(
                spec,
                pe=values.get("PE", 1),
                class_pe=values.get("ClassPE", 1),
                storage="tap" if storage == "tap" else "maps",
                runtime_weights=bool(values.get("RuntimeWeights", 0)),
                out_bytes=values.get("OutBytes", 1),
            )
    return CamBlock(spec)


def _levels_off(spec: Any, expected: dict[str, Any], classes: Any) -> float:
    """Largest distance of the golden heatmaps from the same maps normalised and resized in float64, in levels."""
    from cam_postproc.reference import heatmap_float64

    shown = expected["maps"][np.arange(len(classes)), classes]
    return float(np.abs(heatmap_float64(spec, shown) - expected["heatmap"]).max())


def _facts(block: "CamBlock", head: "Head", cam: CamSettings, error: float, images: int) -> dict[str, Any]:
    from cam_postproc.cost import estimate_cost
    from cam_postproc.rtl import longest_interval, longest_latency
    from finn_build.folding.costs.fit import predict

    spec, cost, in_rtl = block.spec, estimate_cost(block), replace(block, storage="maps")
    size = {
        "size": spec.map_height, "channels": spec.channels, "classes": spec.classes, "pe": block.pe,
        "class_pe": block.class_pe, "out": spec.out_height, "product_bits": spec.tap_bits + spec.weight_bits,
        "weight_bits": spec.weight_bits,
    }  # fmt: skip
    takes = predict("ClassActivationMap", size)
    cycles = f"interval at most {longest_interval(in_rtl):,}, latency at most {longest_latency(in_rtl):,} cycles"
    return {
        "classes": spec.classes,
        "map": [spec.map_height, spec.map_width],
        "output": [spec.out_height, spec.out_width],
        "max_abs_error": error,
        "images": images,
        "mismatches": 0,
        "channels": spec.channels,
        "tap_bits": spec.tap_bits,
        "weight_bits": spec.weight_bits,
        "backend": cam.backend,
        "sampling": spec.sampling,
        "storage": block.storage,
        "threshold": cam.threshold,
        "packet_bytes": spec.layout.length,
        "cycles": cost.interval,
        "facts": {
            "channels a cycle": block.pe,
            "classes at a time": block.class_pe,
            "map bits": spec.map_bits,
            "C++, estimated": f"interval {cost.interval:,}, latency {cost.latency:,} cycles; {cost.lut:,} LUT, "
            f"{cost.bram18:,} BRAM18, {cost.dsp:,} DSP, control logic not counted",
            "SystemVerilog, weights fixed": f"{cycles}; {takes.lut:,.0f} LUT, {takes.bram18:,} BRAM18, "
            f"{takes.dsp:,} DSP by the cost models",
        },
    }


def _examples(
    integer: Path,
    head: "Head",
    block: "CamBlock",
    simulation: Any,
    cam: CamSettings,
    input_spec: InputSpec,
    out: Path,
) -> list[dict[str, Any]]:
    """The shipped pictures through the integer graph and the block's C++, with an overlay each."""
    from finn_build.executors.base import Output
    from finn_build.executors.batch import BatchExecutor
    from finn_build.localise import Picture, network_input, read_packets
    from finn_build.report.overlay import Marks, draw_overlay, to_png
    from finn_build.samples import example_pictures

    pictures = [Picture(name, pixels) for name, pixels in example_pictures()]
    graph = BatchExecutor(integer, {"tap": Output("tap", "NCHW")})
    taps = graph.run(network_input(pictures, input_spec.size))["tap"].astype(np.uint8)
    simulation.reset()
    packets = simulation.run(taps)["packet"]
    folder = out / EXAMPLES
    folder.mkdir()
    told = []
    for picture, found in zip(
        pictures, read_packets(packets, block.spec.layout, head, cam.threshold, pictures), strict=True
    ):
        marks = Marks(f"{found.label} {found.score:.2f}", found.peak, found.box)
        (folder / f"{picture.name}.png").write_bytes(to_png(picture.pixels))
        (folder / f"{picture.name}-overlay.png").write_bytes(to_png(draw_overlay(picture.pixels, found.heatmap, marks)))
        told.append(_example(picture, found, head))
    return told


def _example(picture: "Picture", found: "Answer", head: "Head") -> dict[str, Any]:
    best = np.argsort(-found.scores, kind="stable")[:3]
    return {
        "image": picture.name,
        "class": found.class_index,
        "label": found.label,
        "score": found.score,
        "peak": found.peak,
        "box": found.box,
        "size": found.size,
        "executor": "csim",
        "top": [{"label": head.labels[i], "score": float(found.scores[i])} for i in best],
        "picture": f"cam/{EXAMPLES}/{picture.name}.png",
        "overlay": f"cam/{EXAMPLES}/{picture.name}-overlay.png",
    }
