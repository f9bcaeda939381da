"""Golden vectors for the stand-alone test bench."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cam_postproc.arithmetic import check_tap
from cam_postproc.block import CamBlock
from cam_postproc.errors import CamError
from cam_postproc.hostside import UInt8
from cam_postproc.spec import ARGMAX, NO_GATE


def write_golden(
    block: CamBlock,
    tap: UInt8,
    packet: UInt8,
    out_dir: Path,
    *,
    select: Sequence[int] | None = None,
    gate: Sequence[int] | None = None,
    bank: Sequence[int] | None = None,
    banks: npt.NDArray[np.uint32] | None = None,
) -> Path:
    """Write golden.txt, which cam_tb.cpp reads, beside the sources.

    Args:
        tap: uint8 [N, h, w, C].
        packet: uint8 [N, L], what the block has to send; the frame counter starts at 0.
        select: class select register for each frame; None: the argmax.
        gate: gate register for each frame; None: none.
        bank: active bank for each frame; None: bank 0.
        banks: uint32 [2 · bank_words], both banks; needed where weights are loaded at run time.

    Raises:
        CamError: arrays that do not fit the block, or no banks where it needs them.
    """
    check_tap(block.spec, tap)
    frames = len(tap)
    if packet.shape != (frames, block.spec.layout.length):
        expected = f"shape {(frames, block.spec.layout.length)}"
        raise CamError("golden packets", expected, str(packet.shape), "make them with arithmetic.run_cam")
    if block.runtime_weights and (banks is None or banks.shape != (2 * block.bank_words,)):
        got = "None" if banks is None else str(banks.shape)
        raise CamError("golden banks", f"{2 * block.bank_words} words", got, "make them with pack_bank")
    lines = [f"{frames} {int(block.runtime_weights)}"]
    if banks is not None and block.runtime_weights:
        lines.append(" ".join(map(str, banks.tolist())))
    for n in range(frames):
        registers = (
            select[n] if select is not None else ARGMAX,
            gate[n] if gate is not None else NO_GATE,
            bank[n] if bank is not None else 0,
        )
        lines.append(" ".join(map(str, registers)))
        lines.append(" ".join(map(str, tap[n].reshape(-1).tolist())))
        lines.append(" ".join(map(str, packet[n].tolist())))
    path = out_dir / "golden.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path
