"""A report as `make build CONFIG=resnet8_5w5a` makes one: ResNet8 with 32/32/64/128 channels on 32×32 pixels."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from finn_build.report.hardware import Hardware, HardwareLayer, Resources
from finn_build.report.overlay import Marks, draw_overlay, to_png
from finn_build.report.schema import (
    Accuracy,
    Cam,
    Check,
    Example,
    LayerFidelity,
    Network,
    Package,
    Report,
    Score,
    Stage,
    Verification,
    check,
)

CONVOLUTIONS = (
    # input side, channels in, channels out, kernel, stride, PE, SIMD
    (32, 3, 32, 3, 1, 8, 3),
    (32, 32, 32, 3, 1, 8, 8),
    (32, 32, 32, 3, 1, 8, 8),
    (32, 32, 64, 3, 2, 8, 4),
    (16, 64, 64, 3, 1, 8, 8),
    (32, 32, 64, 1, 2, 2, 2),
    (16, 64, 128, 3, 2, 8, 4),
    (8, 128, 128, 3, 1, 8, 8),
    (16, 64, 128, 1, 2, 2, 2),
)


def layers(repeat: int = 1, plumbing: bool = False) -> tuple[HardwareLayer, ...]:
    """Nodes of the specialised graph, in stream order; `repeat` chains as many networks, for a long list."""
    found: list[HardwareLayer] = []
    counts: dict[str, int] = {}

    def add(op: str, backend: str, cycles: int, **more: object) -> None:
        index = counts.get(op, 0)
        counts[op] = index + 1
        found.append(HardwareLayer(name=f"{op}_{index}", op=op, backend=backend, cycles=cycles, **more))
        if plumbing:
            fifo = counts.get("StreamingFIFO_rtl", 0)
            counts["StreamingFIFO_rtl"] = fifo + 1
            name = f"StreamingFIFO_rtl_{fifo}"
            found.append(HardwareLayer(name=name, op="StreamingFIFO_rtl", backend="rtl", LUT=40, BRAM18=0))

    for _ in range(repeat):
        for number, (side, into, out, kernel, stride, pe, simd) in enumerate(CONVOLUTIONS):
            small = side // stride
            if number in (1, 3, 6):
                add("DuplicateStreams_hls", "hls", side * side * into // pe, pe=pe)
            if kernel == 3:
                add("FMPadding_rtl", "rtl", (side + 2) ** 2 * into // simd, simd=simd, LUT=0, FF=0, BRAM18=0, DSP=0)
            window = small * small * kernel * kernel * into // simd
            add("ConvolutionInputGenerator_rtl", "rtl", window, simd=simd, LUT=310, FF=140, BRAM18=2, DSP=0)
            cycles = small * small * kernel * kernel * into * out // (pe * simd)
            add(
                "MVAU_rtl",
                "rtl",
                cycles,
                pe=pe,
                simd=simd,
                LUT=0,
                FF=0,
                BRAM18=max(1, into * out * kernel * kernel * 5 // 18432),
                DSP=-(-pe // 4) * simd,
                input_type="UINT8" if number == 0 else "UINT5",
                weight_type="INT5",
                output_type="INT16",
            )
            add("Thresholding_rtl", "rtl", small * small * out // pe, pe=pe, LUT=650, FF=1500, BRAM18=0, DSP=0)
            if number in (2, 5, 8):
                add("ElementwiseAdd_hls", "hls", small * small * out // pe, pe=pe)
                add("Thresholding_rtl", "rtl", small * small * out // pe, pe=pe, LUT=650, FF=1500, BRAM18=0, DSP=0)
        add("CamHead_hls", "hls", 8 * 8 * 128 * 10 // 16, pe=2, LUT=2100, FF=2500, BRAM18=3, DSP=4)
    return tuple(found)


def hardware(repeat: int = 1, plumbing: bool = False, factor: float = 0.8) -> Hardware:
    """The accelerator on a PYNQ-Z2 at 100 MHz."""
    nodes = layers(repeat, plumbing)
    slowest = max(nodes, key=lambda node: node.cycles or 0)
    device = {"LUT": 53200, "FF": 106400, "BRAM18": 280, "DSP": 220, "slices": 13300}
    used = {key: sum(getattr(node, key) or 0 for node in nodes) for key in ("LUT", "FF", "BRAM18", "DSP")}
    return Hardware(
        part="xc7z020clg400-1",
        board="PYNQ-Z2",
        clock_mhz=100.0,
        cycles_per_image=slowest.cycles or 1,
        fps=100e6 / (slowest.cycles or 1),
        bottleneck=slowest.name,
        resources=Resources(**used, slices=None),
        budget=Resources(**{key: int(value * factor) for key, value in device.items()}),
        device=Resources(**device),
        layers=nodes,
        folding="SetFolding at 500 FPS",
        lower_bounds=("LUT", "FF"),
    )


def picture() -> npt.NDArray[np.uint8]:
    """A picture of 96×128 pixels: a bright blob on a textured ground."""
    y, x = np.mgrid[0:96, 0:128].astype(np.float64)
    blob = np.exp(-((x - 80) ** 2 + (y - 40) ** 2) / 500)
    ground = 70 + 25 * np.sin(x / 7) * np.cos(y / 9)
    return np.stack([ground + 150 * blob, ground + 90 * blob, ground + 20 * blob], axis=-1).astype(np.uint8)


def heatmap(size: int = 32) -> npt.NDArray[np.uint8]:
    """A uint8 map with one peak, as the CAM block makes one."""
    y, x = np.mgrid[0:8, 0:8].astype(np.float64)
    cells = 255 * np.exp(-((x - 4.7) ** 2 + (y - 2.8) ** 2) / 5)
    resized = cv2.resize(cells.astype(np.float32), (size, size), interpolation=cv2.INTER_LINEAR)
    return np.clip(resized, 0, 255).astype(np.uint8)


def example(
    folder: Path,
    name: str = "example.png",
    label: str = "cat",
    shown: npt.NDArray[np.uint8] | None = None,
    box: tuple[int, int, int, int] = (56, 14, 104, 68),
    peak: tuple[int, int] = (80, 38),
) -> Example:
    """An example whose two pictures are written below `folder`."""
    shown = picture() if shown is None else shown
    (folder / "examples").mkdir(exist_ok=True)
    stem = Path(name).stem
    (folder / f"examples/{stem}.png").write_bytes(to_png(shown))
    drawn = draw_overlay(shown, heatmap(), Marks(peak=peak, box=box))
    (folder / f"examples/{stem}-overlay.png").write_bytes(to_png(drawn))
    return Example(
        image=name,
        class_=3,
        label=label,
        score=0.9421,
        peak=peak,
        box=box,
        size=shown.shape[:2],
        executor="C simulation",
        top=(
            Score(label=label, score=0.9421),
            Score(label="dog", score=0.0388),
            Score(label="frog", score=0.0102),
        ),
        picture=f"examples/{stem}.png",
        overlay=f"examples/{stem}-overlay.png",
    )


def verification() -> tuple[Verification, ...]:
    """Rows of each stage: the golden set's 19 images, tap 8×8×128 and ten logits."""
    tap, logits = 19 * 8 * 8 * 128, 190
    rows = [
        Verification(stage="qonnx", output="tap", values=tap, mismatches=23, allowed=156, max_abs_diff=1.0),
        Verification(stage="qonnx", output="class", values=19, mismatches=0, max_abs_diff=0),
    ]
    for stage in ("tidy", "streamline", "lower", "hardware", "partition"):
        rows.append(Verification(stage=stage, output="tap", values=tap, mismatches=0, max_abs_diff=0))
        rows.append(Verification(stage=stage, output="logits", values=logits, mismatches=0, max_abs_diff=0))
    for node in layers():
        if "MVAU" in node.name or "Thres" in node.name:
            for stage in ("specialise", "codegen"):
                words = 147456 if "MVAU" in node.name else 3968
                rows.append(
                    Verification(stage=stage, output=node.name, values=words, mismatches=0, method="structural")
                )
    rows.append(Verification(stage="cam", output="maps", values=19 * 640, mismatches=0, max_abs_diff=0))
    rows.append(Verification(stage="cam", output="packet", values=19 * 1080, mismatches=0, max_abs_diff=0))
    return tuple(rows)


def fidelity() -> tuple[LayerFidelity, ...]:
    """One row for each layer of the integer graph."""
    return tuple(
        LayerFidelity(
            name=node.name.replace("_rtl", "").replace("_hls", ""),
            op=node.op.split("_")[0],
            mse_brevitas=0.002 * 1.11**index,
            mse_qonnx=0.002 * 1.11**index * (1.0 + 1e-5),
            values=19 * 32 * 32 * 32,
            mismatches=0,
        )
        for index, node in enumerate(node for node in layers() if node.op.startswith(("MVAU", "Thres")))
    )


def stages() -> tuple[Stage, ...]:
    """The chain with times as measured on two cores."""
    exact = check("values that differ", 0, "==", 0)
    return (
        Stage(name="model", seconds=1.9, reused=True, summary="1 checkpoint, 307,296 weights", checks=(exact,)),
        Stage(
            name="export",
            seconds=9.4,
            reused=True,
            summary="QONNX with 61 nodes, head.npz, golden.npz with 19 images",
            checks=(
                check("values that differ from Brevitas", 0.000147, "<=", 0.001),
                check("classes that differ", 0, "==", 0),
                Check(name="pooling", measured="average over the whole map", passed=True),
            ),
        ),
        Stage(name="tidy", seconds=2.1, reused=True, checks=(exact,)),
        Stage(name="streamline", seconds=3.2, checks=(exact, check("float tensors left", 0, "==", 0))),
        Stage(name="lower", seconds=1.1, checks=(exact,)),
        Stage(name="hardware", seconds=1.7, summary="47 nodes", checks=(exact, check("nodes outside", 0, "==", 0))),
        Stage(name="partition", seconds=0.9, checks=(exact,)),
        Stage(name="specialise", seconds=2.4, checks=(exact,)),
        Stage(name="codegen", seconds=6.1, checks=(exact,)),
        Stage(name="estimate", seconds=0.4, checks=(check("DSP", 114, "<=", 176), check("BRAM18", 134, "<=", 224))),
        Stage(name="cam", seconds=3.3, checks=(check("heatmap", 0.7, "<=", 1, unit="levels"),)),
        Stage(name="package", seconds=0.3),
    )


def report(folder: Path) -> Report:
    """The whole report; its example's pictures are written below `folder`."""
    return Report(
        config="resnet8_5w5a",
        versions={"python": "3.11.7", "finn-plus": "1.6.1", "qonnx": "1.0.0", "brevitas": "0.13.4", "torch": "2.13.0"},
        commit="0123456789abcdef0123456789abcdef01234567",
        stages=stages(),
        network=Network(
            description="ResNet8",
            input=(32, 32),
            weights=307296,
            macs=49_100_000,
            weight_bits=5,
            act_bits=5,
        ),
        accuracy=Accuracy(
            dataset="CIFAR-10 (JPEG copy)",
            split="test",
            images=8000,
            float_=0.8688,
            quantised=0.8652,
            integer=0.8651,
        ),
        verification=verification(),
        layers=fidelity(),
        hardware=hardware(),
        cam=Cam(
            classes=10,
            map=(8, 8),
            output=(32, 32),
            max_abs_error=0.71,
            images=19,
            mismatches=0,
            channels=128,
            tap_bits=5,
            weight_bits=5,
            backend="hls",
            sampling="half-pixel",
            storage="maps",
            threshold=0.5,
            packet_bytes=1080,
            cycles=5120,
            facts={"bits of a map value": 18, "bits of a logit": 24, "multipliers": 16},
        ),
        examples=(example(folder),),
        package=Package(
            file="resnet8_5w5a-deploy.zip",
            sha256="ab" * 32,
            files=212,
            bytes=1_480_222,
            bitfile=False,
            build_id="0x1f2e3d4c",
            missing=("the bitfile and its .hwh: made by the vendor tools",),
        ),
    )
