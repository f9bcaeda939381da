"""Whether the DSP chains of a folded graph find place on the chip, which only an hour of placement would show."""

from collections.abc import Mapping
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_build.errors import UserError
from finn_build.folding.costs.nodes import multipliers
from finn_build.folding.rules import generic_op
from finn_build.graph.walk import attributes
from finn_build.resources.chains import CHAIN_LANES, chains_of, columns_hold


def chain_lengths(get: Mapping[str, Any]) -> list[int]:
    """DSPs of each chain of a node with these attributes; none where it has none."""
    if multipliers(get) != "chain":
        return []
    return -(-int(get["PE"]) // CHAIN_LANES) * chains_of(int(get["SIMD"]))


def require_columns(model: ModelWrapper, part: str, place: str) -> None:
    """Checks that all chains of DSPs fit into the columns of a part.

    Args:
        model: specialised, folded.
        part: FPGA part.
        place: of the folding, for the message.

    Raises:
        UserError: they do not; how many of which length there are.
    """
    units = [attributes(node) for node in model.graph.node if generic_op(node) == "MVAU"]
    lengths = [length for unit in units for length in chain_lengths(unit)]
    if not columns_hold(part, lengths):
        told = ", ".join(f"{lengths.count(length)} of {length}" for length in sorted(set(lengths), reverse=True))
        expected = f"chains of DSPs that find place in the columns of {part}"
        raise UserError(f"{place}: dspStyle chain", expected, told, 'write "resType": "lut" at one of them')
