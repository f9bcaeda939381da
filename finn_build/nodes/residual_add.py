"""ElementwiseAdd of two streams as RTL. FINN's own RTL variant is for floats on Versal's DSP58."""

from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.elementwise_binary import ElementwiseAdd

from finn_build.nodes.rtl_node import OwnRtl
from finn_build.nodes.wrappers import add_wrapper, source


class ElementwiseAdd_rtl(ElementwiseAdd, OwnRtl):  # type: ignore[misc]  # noqa: N801
    """FINN's operator on the module residual_add, under the name of FINN's own RTL variant, which it replaces.

    Both operands are streams of integers of one shape; `variants.choose_rtl` checks that.
    """

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Those of the generic operator and of FINN's RTL nodes."""
        return {**ElementwiseAdd.get_nodeattr_types(self), **OwnRtl.get_nodeattr_types(self)}

    def module_sources(self) -> list[Path]:
        """The addition and its buffers."""
        return [source("stream_skid"), source("residual_add")]

    def wrapper_text(self, name: str) -> str:
        """Two inputs, one output, PE sums a word."""
        lhs, rhs = ((int(kind.bitwidth()), bool(kind.signed())) for kind in (self.lhs_dtype, self.rhs_dtype))
        return add_wrapper(name, int(self.get_nodeattr("PE")), lhs, rhs, int(self.out_dtype.bitwidth()))

    def lut_estimation(self, fpgapart: str) -> int:
        """A LUT a bit of each sum, and of each operand's choice between its two words."""
        words = sum(int(self.get_instream_width(i)) for i in (0, 1)) + int(self.get_outstream_width())
        return words + 12

    def bram_estimation(self, fpgapart: str) -> int:
        """None."""
        return 0

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Adds, as the generic operator does."""
        ElementwiseAdd.execute_node(self, context, graph)
