"""Every SystemVerilog module of the project's own is clean under all of Verilator's warnings."""

import subprocess

import pytest

from cam_postproc.rtl import module_files
from finn_build.nodes.wrappers import SOURCES
from finn_build.rtl.library import rtl_library
from finn_build.rtl.verilator import verilator_program

MODULES = {path.stem: path for path in (*SOURCES.glob("*.sv"), *module_files())}


def lint(tmp_path, top, files):
    # What FINN's library warns of is not this project's to put right.
    waiver = tmp_path / "library.vlt"
    waiver.write_text('`verilator_config\nlint_off -file "*/finn-rtllib/*"\n')
    command = [verilator_program(), "--lint-only", "-Wall", "--quiet-stats", "--top-module", top, str(waiver)]
    return subprocess.run([*command, *map(str, files)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_module_has_no_warning(tmp_path, name):
    # Verilator takes what a module that is top and instantiates itself hands to itself for unconnected.
    top = {"digit_sum": "lut_products"}.get(name, name)
    done = lint(tmp_path, top, [*MODULES.values(), rtl_library() / "mvu" / "replay_buffer.sv"])
    assert "Warning" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_a_width_that_does_not_fit_is_found(tmp_path):
    broken = tmp_path / "stream_skid.sv"
    broken.write_text(MODULES["stream_skid"].read_text().replace("spare <= idat", "spare <= {idat, idat}"))
    assert "WIDTHTRUNC" in lint(tmp_path, "stream_skid", [broken]).stderr


def test_each_module_begins_with_its_contract():
    for name, path in MODULES.items():
        head, _, _ = path.read_text().partition("module ")
        assert "// Contract" in head, name
        assert path.read_text().count("\nendmodule") == 1, name
