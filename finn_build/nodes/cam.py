"""Putting the CAM block behind the tap."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from cam_postproc.cost import choose_block
from cam_postproc.spec import CamSpec, Sampling, spec_for_head
from finn_build.adapter import quiet
from finn_build.head import Head
from finn_build.nodes.registry import DOMAIN, register_nodes


@dataclass(frozen=True)
class CamNode:
    """What the CAM block computes.

    Attributes:
        head: the classifier.
        out_size: height and width of the heatmap, pixels.
        sampling: where an output pixel looks in the map.
        shown: heatmaps in a packet.
    """

    head: Head
    out_size: tuple[int, int]
    sampling: Sampling = "half-pixel"
    shown: int = 1

    @property
    def spec(self) -> CamSpec:
        """The block's specification: sizes, and widths derived from them."""
        _, height, width, channels = self.head.tap_shape
        return spec_for_head(
            self.head.fc_weight, self.head.bias, (height, width, channels), self.head.tap_bits, self.out_size,
            sampling=self.sampling, shown=self.shown,
        )  # fmt: skip


def append_cam(model: ModelWrapper, cam: CamNode, packet: str) -> ModelWrapper:
    """Adds the CAM node behind the graph's only output, the tap; the packet becomes the output.

    Args:
        model: ends at the tap.
        cam: the block.
        packet: name of the output tensor, UINT8 [1, L].
    """
    register_nodes()
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    spec, tap = cam.spec, model.graph.output[0]
    weights, bias = "cam_weights", "cam_bias"
    node = helper.make_node(
        "ClassActivationMap", [tap.name, weights, bias], [packet], name="ClassActivationMap", domain=DOMAIN,
        backend="fpgadataflow", MapHeight=spec.map_height, MapWidth=spec.map_width, NumChannels=spec.channels,
        Classes=spec.classes, OutHeight=spec.out_height, OutWidth=spec.out_width, Sampling=spec.sampling,
        Shown=spec.shown, BiasBits=spec.bias_bits, inputDataType=f"UINT{spec.tap_bits}",
        weightDataType=f"INT{spec.weight_bits}", PE=1, ClassPE=1, OutBytes=1,
        Storage=choose_block(spec).storage,
    )  # fmt: skip
    model.graph.node.append(node)
    size = model.get_tensor_shape(tap.name)
    kind = model.get_tensor_datatype(tap.name)
    model.graph.output.remove(tap)
    model.set_tensor_shape(tap.name, size)
    model.set_tensor_datatype(tap.name, kind)
    model.set_initializer(weights, cam.head.fc_weight.astype(np.float32))
    model.set_tensor_datatype(weights, DataType[f"INT{spec.weight_bits}"])
    model.set_initializer(bias, cam.head.bias.astype(np.float32))
    model.set_tensor_datatype(bias, DataType["INT32"])
    model.graph.output.append(helper.make_tensor_value_info(packet, TensorProto.FLOAT, [1, spec.layout.length]))
    model.set_tensor_datatype(packet, DataType["UINT8"])
    return model
