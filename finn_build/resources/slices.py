"""Slices from LUTs and flip-flops, by what placement made of a published design of the same kind.

A 7-series slice has four LUTs and eight flip-flops, and a placer never fills them all. The packing is fitted on the
one public placement of this network on this chip (the NTU ResNet8-5w5a): its 40,593 LUTs and 63,355 flip-flops wanted
9,761 slices more where 9,469 of 13,300 were left: 13,592 in all. Its authors' 6w6a design (35,617 LUTs) was placed and
routed, which bounds the packing from below: at less than 0.67 it would not have fitted.
"""

from math import ceil

LUTS, FLIPFLOPS = 4, 8
"""Of a slice."""

PACKING = (40_593 / LUTS) / (13_300 - 9_469 + 9_761)
"""Share of its slices' LUTs that a placed design fills: 0.747."""


def slices(lut: float, ff: float) -> int:
    """Slices that a placement takes: max(LUT / 4, FF / 8) / packing. An estimate; only placement proves it."""
    return ceil(max(lut / LUTS, ff / FLIPFLOPS) / PACKING)
