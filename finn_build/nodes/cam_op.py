"""ClassActivationMap: the classifier as a dataflow node. Tap in, packet out; executed by the integer specification."""

from typing import TYPE_CHECKING, Any

import numpy as np
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from onnx import GraphProto
from qonnx.core.datatype import DataType

from cam_postproc.arithmetic import run_cam
from cam_postproc.block import CamBlock
from cam_postproc.cost import estimate_cost
from cam_postproc.spec import CamSpec

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

BYTE = DataType["UINT8"]


class ClassActivationMap(HWCustomOp):  # type: ignore[misc]
    """The CAM block, generic form.

    Inputs: the tap, UINTb NHWC [1, h, w, C], a stream of PE channels a beat with channel 0 in the low bits; the
    classifier's weights, INTb [classes, C], and its biases, INT [classes] (zeros where it has none): constants, no
    streams. Output: the packet, UINT8 [1, L], a stream of OutBytes bytes a beat with the first byte in the low bits.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Sizes in pixels and classes; PE, ClassPE and OutBytes are the folding, Storage is what the block keeps.

        RuntimeWeights: weights and biases come from two banks behind AXI-lite instead of ROM.
        """
        kinds: dict[str, Any] = super().get_nodeattr_types()
        kinds |= {
            "MapHeight": ("i", True, 0),
            "MapWidth": ("i", True, 0),
            "NumChannels": ("i", True, 0),
            "Classes": ("i", True, 0),
            "OutHeight": ("i", True, 0),
            "OutWidth": ("i", True, 0),
            "Sampling": ("s", True, "half-pixel", {"half-pixel", "top-left"}),
            "Shown": ("i", False, 1),
            "BiasBits": ("i", False, 0),
            "inputDataType": ("s", True, ""),
            "weightDataType": ("s", True, ""),
            "PE": ("i", True, 1),
            "ClassPE": ("i", False, 1),
            "OutBytes": ("i", False, 1),
            "Storage": ("s", False, "maps", {"maps", "tap"}),
            "RuntimeWeights": ("i", False, 0, {0, 1}),
        }
        return kinds

    @property
    def spec(self) -> CamSpec:
        """The block's specification, from the attributes."""
        get = self.get_nodeattr
        return CamSpec(
            map_height=get("MapHeight"),
            map_width=get("MapWidth"),
            channels=get("NumChannels"),
            classes=get("Classes"),
            tap_bits=DataType[get("inputDataType")].bitwidth(),
            weight_bits=DataType[get("weightDataType")].bitwidth(),
            out_height=get("OutHeight"),
            out_width=get("OutWidth"),
            sampling=get("Sampling"),
            bias_bits=get("BiasBits"),
            shown=get("Shown"),
        )

    @property
    def block(self) -> CamBlock:
        """The specification with its folding."""
        get = self.get_nodeattr
        return CamBlock(
            self.spec, get("PE"), get("ClassPE"), get("Storage"), bool(get("RuntimeWeights")), get("OutBytes")
        )

    def get_exp_cycles(self) -> int:
        """Cycles from frame to frame."""
        return estimate_cost(self.block).interval

    def bram_estimation(self, fpgapart: str) -> int:
        """Block RAMs of 18 Kb."""
        return estimate_cost(self.block).bram18

    def lut_estimation(self, fpgapart: str) -> int:
        """LUTs of memories and narrow multipliers; control logic is not counted."""
        return estimate_cost(self.block).lut

    def dsp_estimation(self, fpgapart: str) -> int:
        """DSP48E1."""
        return estimate_cost(self.block).dsp

    def execute_node(self, context: dict[str, Any], graph: GraphProto) -> None:
        """Computes the packet of one frame by the integer numpy model; the frame counter stands at 0."""
        tap, weights, bias = (context[name] for name in self.onnx_node.input)
        result = run_cam(
            self.spec, tap.astype(np.uint8), weights.astype(np.int8), bias.reshape(-1).astype(np.int32)
        )  # fmt: skip
        context[self.onnx_node.output[0]] = result.packet.astype(np.float32)

    def infer_node_datatype(self, model: "ModelWrapper") -> None:
        """Takes the tap's type over; the output is bytes."""
        kind = model.get_tensor_datatype(self.onnx_node.input[0])
        self.set_nodeattr("inputDataType", kind.name)
        model.set_tensor_datatype(self.onnx_node.output[0], BYTE)

    def verify_node(self) -> list[str]:
        """Nothing beyond what the specification checks."""
        return [f"CAM of {self.spec}"]

    def get_input_datatype(self, ind: int = 0) -> Any:
        """UINTb of the tap, INTb of the weights, INT of the biases."""
        if ind == 0:
            return DataType[self.get_nodeattr("inputDataType")]
        return DataType[self.get_nodeattr("weightDataType")] if ind == 1 else DataType["INT32"]

    def get_output_datatype(self, ind: int = 0) -> Any:
        """Bytes."""
        return BYTE

    def get_normal_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """[1, h, w, C], [classes, C] and [classes]."""
        spec = self.spec
        if ind == 0:
            return (1, spec.map_height, spec.map_width, spec.channels)
        return (spec.classes, spec.channels) if ind == 1 else (spec.classes,)

    def get_normal_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """[1, L]."""
        return (1, self.spec.layout.length)

    def get_folded_input_shape(self, ind: int = 0) -> tuple[int, ...]:
        """PE channels a beat; constants as they are."""
        normal = self.get_normal_input_shape(ind)
        if ind != 0:
            return normal
        pe = self.get_nodeattr("PE")
        if normal[-1] % pe:
            raise ValueError(f"PE {pe} does not divide {normal[-1]} channels")
        return (*normal[:-1], normal[-1] // pe, pe)

    def get_folded_output_shape(self, ind: int = 0) -> tuple[int, ...]:
        """OutBytes bytes a beat."""
        length, lanes = self.spec.layout.length, self.get_nodeattr("OutBytes")
        if length % lanes:
            raise ValueError(f"OutBytes {lanes} does not divide a packet of {length} bytes")
        return (1, length // lanes, lanes)

    def get_instream_width(self, ind: int = 0) -> int:
        """PE channels; weights and biases are no streams."""
        return int(self.get_nodeattr("PE") * self.get_input_datatype().bitwidth()) if ind == 0 else 0

    def get_outstream_width(self, ind: int = 0) -> int:
        """OutBytes bytes."""
        return 8 * int(self.get_nodeattr("OutBytes"))

    def get_number_output_values(self) -> int:
        """Beats of a packet."""
        return int(np.prod(self.get_folded_output_shape()[:-1]))
