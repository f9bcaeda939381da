"""Frame after frame with every process of the block at work: no stream is too shallow, and pauses change nothing."""

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cam_postproc.arithmetic import run_cam
from cam_postproc.block import CamBlock
from cam_postproc.hls.csim import compile_cpp, find_ap_types, find_compiler
from cam_postproc.hls.golden import write_golden
from cam_postproc.hls.sources import write_sources
from cam_postproc.spec import CamSpec

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="C simulation needs g++")

HERE = Path(__file__).parent / "concurrent"
SPEC = CamSpec(4, 4, 16, 12, 3, 4, 8, 8, bias_bits=8, shown=2)


def declared_depths(folder, block):
    """Depths of the STREAM pragmas of the frame function that the block uses."""
    text = (folder / "cam.hpp").read_text()
    function = "frame_stored_rom" if block.storage == "maps" else "frame_tap_rom"
    body = text[text.index(f"void {function}(") :].split("\n}\n")[0]
    sizes = {"C::CLASSES": block.spec.classes, "C::CHANNELS/C::PE": block.channel_fold}
    found = dict(re.findall(r"STREAM variable=(\w+) depth=(\S+)", body))
    return {name: sizes.get(depth) or int(depth) for name, depth in found.items()}


@pytest.mark.parametrize("storage", ["maps", pytest.param("tap", marks=pytest.mark.verify)])
def test_processes_at_once_with_pauses(storage, synthetic, tmp_path):
    block = CamBlock(SPEC, pe=2, class_pe=6, storage=storage, out_bytes=2)
    weight, bias = synthetic.head(SPEC, 1)
    tap = synthetic.tap(SPEC, 1, 12)
    tap[4] = 3
    write_sources(block, weight, bias, tmp_path)
    shutil.copy(HERE / "hls_stream.h", tmp_path / "sim" / "hls_stream.h")
    shutil.copy(HERE / "main.cpp", tmp_path)
    compile_cpp(find_compiler()[0], ["main.cpp"], ["-pthread"], find_ap_types(), tmp_path, tmp_path / "concurrent")
    write_golden(block, tap, run_cam(SPEC, tap, weight, bias).packet, tmp_path)
    depths = declared_depths(tmp_path, block)
    assert {"registers", "verdicts", "sent"} < set(depths)

    def run(seed, **changed):
        sizes = {**depths, "tap": 2, "packet": 2, **changed}
        command = ["./concurrent", str(seed), *(f"{name}={depth}" for name, depth in sizes.items())]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    for seed in range(2):
        done = run(seed)
        assert (done.returncode, done.stdout) == (0, "0 wrong bytes\n")
    # What the check is for: a stream one word too shallow stops the block for ever.
    name = "logits" if storage == "maps" else "sent"
    done = run(0, **{name: depths[name] - 1})
    assert done.returncode == 3
    assert "deadlock: " in done.stdout
    other = run_cam(SPEC, np.roll(tap, 1, axis=0), weight, bias).packet
    write_golden(block, tap, other, tmp_path)
    assert run(0).returncode == 1
