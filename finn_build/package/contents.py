"""What goes into a package: weights, settings, labels, golden vectors, sources and the page that explains them."""

import hashlib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from cam_postproc.packet import HEADER_BYTES, PACKET_VERSION
from cam_postproc.spec import CamSpec
from finn_build.errors import CheckFailed, UserError
from finn_build.head import Head
from finn_build.package import manifest as m

HEAD, WORDS, GOLDEN = "weights/head.npz", "weights/fc_words.bin", "golden/golden.npz"
CAM, LABELS, CONFIG = "cam.json", "labels.json", "config.json"
DMA_BYTES = 8
"""A DMA's beat, and the marks by which the driver tells what did not come."""

NODES, CAM_SOURCES, GRAPH, FOLDING = "hardware/nodes", "hardware/cam", "hardware/graph.onnx", "hardware/folding.json"
LICENCES = {"finn-plus": "the generated RTL and the templates it came from", "hls4ml": "the ap_types headers"}


def fc_words(head: Head, spec: CamSpec) -> bytes:
    """One bank of the weight memory, little-endian uint32 words.

    INT8 weight (c, k) is byte c·C + k; zeros fill the last word; then one int32 bias a class if the block has biases.
    """
    weights = head.fc_weight.astype("<i1").tobytes()
    filled = weights + bytes(-len(weights) % 4)
    return filled + (head.bias.astype("<i4").tobytes() if spec.bias_bits else b"")


def weight_memory(head: Head, spec: CamSpec) -> m.WeightMemory:
    """Where the FC weights are written at run time."""
    words = len(fc_words(head, spec)) // 4
    return m.WeightMemory(offset=m.WEIGHTS_OFFSET, banks=m.WEIGHT_BANKS, words=words, file=WORDS)


def packet(spec: CamSpec) -> m.Packet:
    """What a packet of this block looks like."""
    layout = spec.layout
    return m.Packet(
        bytes=layout.length,
        version=PACKET_VERSION,
        header_bytes=HEADER_BYTES,
        classes=layout.classes,
        maps=layout.maps,
        height=layout.height,
        width=layout.width,
    )


def tap(graph: Path | None, head: Head) -> m.Tap:
    """What leaves an accelerator that ends in the tap, as its output DMA is built.

    Args:
        graph: of the generated code, with its DMAs.
        head: whose tap it is.

    Raises:
        CheckFailed: the stream does not hold the head's tap.
        UserError: the driver could not tell a tap that came in part.
    """
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp

    from finn_build.adapter import quiet

    if graph is None or not graph.is_file():
        raise UserError(str(graph), "the graph of the generated code", "no such file", "build the config again")
    with quiet():
        model = ModelWrapper(str(graph))
    node = model.find_producer(model.graph.output[0].name)
    kind = model.get_tensor_datatype(model.graph.output[0].name).name
    if node is None or node.op_type != "IODMA_hls" or kind != f"UINT{head.tap_bits}":
        raise CheckFailed("package", f"the graph ends in no DMA for UINT{head.tap_bits}", "report this as a bug")
    last = getCustomOp(node)
    beats, beat_bytes = int(np.prod(last.get_nodeattr("numInputVectors"))), int(last.get_nodeattr("NumChannels"))
    _, height, width, channels = head.tap_shape
    lanes, rest = divmod(height * width * channels, beats)
    bytewise = last.get_nodeattr("dataType") == "UINT8"
    if rest or not bytewise or beat_bytes != -(-lanes * head.tap_bits // 8):
        what = f"{beats} beats of {beat_bytes} bytes are no tap of {list(head.tap_shape)} {kind}"
        raise CheckFailed("package", what, "report this as a bug")
    if beats * beat_bytes % DMA_BYTES:
        got = f"{beats * beat_bytes} bytes"
        remedy = 'fold the last layer with another PE, or build with head = "cam"'
        raise UserError("[hardware] head = tap", f"a tap of whole beats of {DMA_BYTES} bytes", got, remedy)
    return m.Tap(
        bytes=beats * beat_bytes, height=height, width=width, channels=channels, bits=head.tap_bits, lanes=lanes
    )


def cam_settings(head: Head, spec: CamSpec, threshold: float) -> dict[str, Any]:
    """`cam.json`: the block's sizes, and what turns its integers into scores and boxes."""
    return {
        "classes": spec.classes,
        "channels": spec.channels,
        "map": [spec.map_height, spec.map_width],
        "output": [spec.out_height, spec.out_width],
        "tap_bits": spec.tap_bits,
        "weight_bits": spec.weight_bits,
        "bias_bits": spec.bias_bits,
        "map_bits": spec.map_bits,
        "sampling": spec.sampling,
        "maps_shown": spec.shown,
        "threshold": threshold,
        "weight_scale": head.weight_scale,
        "tap_scale": head.tap_scale,
        "logit_scale": head.logit_scale,
        "labels": LABELS,
    }


def licence_texts() -> dict[str, bytes]:
    """Licences of the packages whose files lie in a package, as their wheels hold them."""
    found: dict[str, bytes] = {}
    for name in LICENCES:
        try:
            files = distribution(name).files or []
        except PackageNotFoundError:
            continue
        for file in files:
            if file.parent.name == "licenses" and file.name.startswith("LICENSE"):
                found[f"licences/{name}.txt"] = Path(str(file.locate())).read_bytes()
    return found


def bitfile(config: str, suffix: str = ".bit") -> str:
    """Where the bitfile lies in a package; the `.hwh` of the same name beside it."""
    return f"bitfile/{config}{suffix}"


def build_id(files: Mapping[str, bytes]) -> str:
    """An id of the hardware and its weights: 32 bits of SHA-256, as the `build_id` register holds it, never 0."""
    whole = hashlib.sha256()
    for path in sorted(files):
        if path.startswith(("hardware/", "weights/")):
            whole.update(f"{path}\0{hashlib.sha256(files[path]).hexdigest()}\n".encode())
    return f"0x{max(1, int.from_bytes(whole.digest()[:4], 'big')):08x}"


def sealed(made: m.Manifest, files: Mapping[str, bytes]) -> m.Manifest:
    """The manifest with every file's checksum."""
    listed = tuple(
        m.PackedFile(path=path, bytes=len(files[path]), sha256=hashlib.sha256(files[path]).hexdigest())
        for path in sorted(files)
    )
    return made.model_copy(update={"files": listed})


def golden_arrays(content: Mapping[str, np.ndarray[Any, Any]]) -> str:
    """The golden arrays in words: names, types and shapes."""
    return ", ".join(f"{name} {array.dtype} {list(array.shape)}" for name, array in sorted(content.items()))
