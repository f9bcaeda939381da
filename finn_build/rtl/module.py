"""One operator synthesised by itself, from its attributes alone: what cost models are calibrated on.

`synthesise_modules([Module("MVAU_rtl", {"MW": 144, "MH": 16, "PE": 4, "SIMD": 8, …})], cache)` gives LUT, FF, BRAM18
and DSP of each. Weights and thresholds are random, in the whole range of their types. The result is that of
`finn-cam synth` for the same operator in an accelerator: same generated code, same wrapper, same memory, same script.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from finn_build.rtl.netlist import Block, read_blocks
from finn_build.rtl.synth import Synthesised, synthesise_block

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

RTL_DOMAIN = "finn.custom_op.fpgadataflow.rtl"
PART = "xc7z020clg400-1"
CLOCK_NS = 10.0
NODE = "module_under_test"
"""The node's name in the generated code: no word of any source, since equal blocks are renamed to one name."""
STREAMS = {"ElementwiseAdd_rtl": 2}
CONSTANTS = {"MVAU_rtl": 1, "Thresholding_rtl": 1, "ClassActivationMap_rtl": 2}


@dataclass(frozen=True)
class Module:
    """An operator and its attributes, as a node of a specialised graph has them.

    Args:
        op: MVAU_rtl, Thresholding_rtl, ConvolutionInputGenerator_rtl, FMPadding_rtl, StreamingFIFO_rtl,
            StreamingDataWidthConverter_rtl, DuplicateStreams_rtl, ElementwiseAdd_rtl or ClassActivationMap_rtl.
        attributes: all that the operator requires; folding (PE, SIMD), `resType` and `ram_style` among them.
        name: told in the result.
    """

    op: str
    attributes: Mapping[str, Any]
    name: str = "module"


def synthesise_modules(
    modules: Sequence[Module],
    cache_folder: Path,
    *,
    part: str = PART,
    jobs: int = 2,
    seed: int = 0,
    on_progress: Callable[[float, str], None] | None = None,
) -> list[Synthesised]:
    """Generates each operator's code and synthesises it, or takes the result found before for the same content.

    Args:
        modules: what to synthesise; results come in their order.
        cache_folder: results are kept in it, under a digest of sources, memory contents, script and Yosys' version.
        part: for FINN's code generation.
        jobs: Yosys runs at a time, about 0.5 GB each.
        seed: of weights and thresholds.
        on_progress: called with the share done and the module's name.

    Returns:
        A result each; `.resources.to_json()` has LUT (logic and memory), FF, BRAM18, DSP; `.cells` has every primitive.

    Raises:
        UserError: FINN's generator refuses the attributes.
        ToolFailed: Yosys refuses the module.
    """
    done = 0

    def one(item: tuple[Module, Block, Path]) -> Synthesised:
        nonlocal done
        module, block, code = item
        found = replace(synthesise_block(block, code, cache_folder), name=module.name)
        done += 1
        if on_progress is not None:
            on_progress(done / len(modules), found.name)
        return found

    with TemporaryDirectory() as scratch:
        # FINN's settings are the process': code is generated one module after the other.
        items = [(module, *_generated(module, Path(scratch) / str(i), part, seed)) for i, module in enumerate(modules)]
        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(one, items))


def module_graph(module: Module, seed: int = 0) -> "ModelWrapper":
    """A graph of the one operator, with random constants in the whole range of their types."""
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.custom_op.registry import getCustomOp
    from qonnx.util.basic import qonnx_make_model

    from finn_build.nodes.registry import register_nodes
    from finn_build.nodes.variants import register_rtl_nodes

    register_nodes()
    register_rtl_nodes()
    streams = STREAMS.get(module.op, 1)
    constants = CONSTANTS.get(module.op, 0)
    inputs = [f"in{i}" for i in range(streams + constants)]
    outputs = [f"out{i}" for i in range(int(module.attributes.get("NumOutputStreams", 1)))]
    node = helper.make_node(
        module.op, inputs, outputs, name=NODE, domain=RTL_DOMAIN, backend="fpgadataflow", **module.attributes
    )
    instance = getCustomOp(node)
    shapes = {name: instance.get_normal_input_shape(i) for i, name in enumerate(inputs[:streams])}
    shapes |= {name: instance.get_normal_output_shape(i) for i, name in enumerate(outputs)}
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()}
    graph = helper.make_graph([node], "module", [infos[n] for n in inputs[:streams]], [infos[n] for n in outputs])
    model = ModelWrapper(qonnx_make_model(graph))
    for index, name in enumerate(inputs[:streams]):
        model.set_tensor_datatype(name, instance.get_input_datatype(index))
    for index, name in enumerate(outputs):
        model.set_tensor_datatype(name, instance.get_output_datatype(index))
    rng = np.random.default_rng(seed)
    for name, (values, kind) in zip(inputs[streams:], _constants(module, rng), strict=True):
        model.set_initializer(name, values.astype(np.float32))
        model.set_tensor_datatype(name, DataType[kind])
    return model


def _constants(module: Module, rng: np.random.Generator) -> list[tuple[Any, str]]:
    """Values and type of each constant input."""
    from qonnx.core.datatype import DataType

    get = module.attributes
    if module.op == "MVAU_rtl":
        kind = DataType[get["weightDataType"]]
        # Narrow, as FINN's DSP core wants it: the most negative value is left out.
        return [(rng.integers(int(kind.min()) + 1, int(kind.max()) + 1, (get["MW"], get["MH"])), kind.name)]
    if module.op == "Thresholding_rtl":
        kind = DataType[get["weightDataType"]]
        shape = (get["NumChannels"], get["numSteps"])
        return [(np.sort(rng.integers(int(kind.min()), int(kind.max()) + 1, shape), axis=1), kind.name)]
    if module.op == "ClassActivationMap_rtl":
        kind, bits = DataType[get["weightDataType"]], int(get.get("BiasBits", 0))
        weights = rng.integers(int(kind.min()), int(kind.max()) + 1, (get["Classes"], get["NumChannels"]))
        half = 1 << (bits - 1) if bits else 0
        biases = rng.integers(-half, half, get["Classes"]) if bits else np.zeros(get["Classes"])
        return [(weights, kind.name), (biases, "INT32")]
    return []


def _generated(module: Module, folder: Path, part: str, seed: int) -> tuple[Block, Path]:
    """The operator's block, its code generated below `folder`."""
    from finn_build.graph.codegen import generate_code

    model, _ = generate_code(module_graph(module, seed), part, CLOCK_NS, folder)
    (block,) = read_blocks(model, folder, model.graph.node)
    return block, folder.resolve()
