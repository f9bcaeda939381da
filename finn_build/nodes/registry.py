"""Making the project's operators known.

SpecializeLayers looks variants up in dictionaries of FINN's own, QONNX instantiates by domain: each class is entered in
both. Names and domains are strings that FINN tests for.
"""

DOMAIN = "finn.custom_op.fpgadataflow"


def register_nodes() -> None:
    """Registers every operator of this package; a second call changes nothing."""
    from finn.custom_op import fpgadataflow
    from finn.custom_op.fpgadataflow import hls
    from qonnx.custom_op.registry import add_op_to_domain

    from finn_build.nodes.cam_hls import ClassActivationMap_hls
    from finn_build.nodes.cam_op import ClassActivationMap

    fpgadataflow.register_custom_op(ClassActivationMap)
    add_op_to_domain(DOMAIN, ClassActivationMap)
    hls.register_custom_op(ClassActivationMap_hls)
    add_op_to_domain(f"{DOMAIN}.hls", ClassActivationMap_hls)
