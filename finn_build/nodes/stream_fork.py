"""DuplicateStreams as RTL: FINN has it in HLS alone."""

from pathlib import Path
from typing import Any

from finn.custom_op.fpgadataflow.duplicatestreams import DuplicateStreams

from finn_build.nodes.rtl_node import OwnRtl
from finn_build.nodes.wrappers import fork_wrapper, padded, source


class DuplicateStreams_rtl(DuplicateStreams, OwnRtl):  # type: ignore[misc]  # noqa: N801
    """FINN's operator on the module stream_fork; SpecializeLayers finds it by its name and prefers it."""

    def get_nodeattr_types(self) -> dict[str, Any]:
        """Those of the generic operator and of FINN's RTL nodes."""
        return {**DuplicateStreams.get_nodeattr_types(self), **OwnRtl.get_nodeattr_types(self)}

    def module_sources(self) -> list[Path]:
        """The fork and its buffer."""
        return [source("stream_skid"), source("stream_fork")]

    def wrapper_text(self, name: str) -> str:
        """One input, NumOutputStreams outputs, PE elements a word."""
        return fork_wrapper(name, int(self.get_instream_width()), int(self.get_nodeattr("NumOutputStreams")))

    def lut_estimation(self, fpgapart: str) -> int:
        """A LUT a bit for each output's choice between its two words, and control."""
        return int(self.get_nodeattr("NumOutputStreams")) * (padded(int(self.get_instream_width())) + 4)

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Copies the input to every output, as the generic operator does."""
        DuplicateStreams.execute_node(self, context, graph)
