"""FINN operators of the project's own, made known to FINN and QONNX under FINN's domains."""

from finn_build.nodes.registry import register_nodes

__all__ = ["register_nodes"]
