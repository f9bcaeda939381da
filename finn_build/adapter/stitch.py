"""FINN's script that joins the nodes' IP in one block design, without its call of Vivado.

Measured with finn-plus 1.6.1. CreateStitchedIP writes the script and then runs it by a shell script that goes on after
an error and ends with status 0, its output in a debug log; the folder has a random name. Here it only writes: a
program that does nothing stands in for Vivado while it does, and the build runs the script itself, so that its log,
its errors and its resumption are the build's.
"""

import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from finn_build.adapter.passes import apply_pass
from finn_build.adapter.session import finn_session
from finn_build.errors import CheckFailed

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

PROJECT = "finn_vivado_stitch_proj"
NOTHING = """#!/bin/sh
# Stands in for Vivado: leaves the one file that FINN waits for.
mkdir -p {project}.srcs/sources_1/bd/{name}/hdl
: >{project}.srcs/sources_1/bd/{name}/hdl/{name}_wrapper.v
"""
TOOL_FOLDER = "FINN_TOOL_DIR_OVERRIDE"
SCRIPT = "make_project.tcl"


@dataclass(frozen=True)
class Stitched:
    """What FINN wrote.

    Attributes:
        script: Tcl that makes the block design and packages it as IP in `ip/`, to be run in `folder`.
        vlnv: the IP's name.
        interfaces: by protocol (`s_axis`, `m_axis`, `axilite`, `ap_none`, …) the names of its interfaces.
    """

    script: Path
    vlnv: str
    interfaces: dict[str, list[str]]


def stitch(model: "ModelWrapper", part: str, clock_period_ns: float, folder: Path, name: str) -> Stitched:
    """Writes the script and what it reads.

    Args:
        model: every node with its generated code or IP at absolute paths.
        part: FPGA part.
        clock_period_ns: in ns.
        folder: becomes the project's folder; must not exist.
        name: of the IP.

    Raises:
        CheckFailed: two different files would define the same module.
    """
    from finn.transformation.fpgadataflow.create_stitched_ip import CreateStitchedIP

    scratch = folder.with_name(f".{folder.name}.finn")
    tools = scratch / "tools"
    tools.mkdir(parents=True)
    shim = tools / "vivado"
    shim.write_text(NOTHING.format(project=PROJECT, name=name), encoding="utf-8")
    shim.chmod(0o755)
    kept = os.environ.get(TOOL_FOLDER)
    os.environ[TOOL_FOLDER] = str(tools)
    try:
        with finn_session(scratch):
            model = apply_pass(model, CreateStitchedIP(part, clock_period_ns, ip_name=name), seconds=600)
    finally:
        os.environ.pop(TOOL_FOLDER)
        if kept is not None:
            os.environ[TOOL_FOLDER] = kept
    made = Path(str(model.get_metadata_prop("vivado_stitch_proj")))
    made.rename(folder)
    # What stood in for Vivado left it; Vivado itself would take it for its own.
    shutil.rmtree(folder / f"{PROJECT}.srcs")
    shutil.rmtree(scratch)
    script = folder / SCRIPT
    text = script.read_text(encoding="utf-8").replace(str(made), str(folder))
    script.write_text(each_file_once(wrapper_where_it_is(text, folder, name)), encoding="utf-8")
    names = json.loads(str(model.get_metadata_prop("vivado_stitch_ifnames")))
    interfaces = {kind: [i if isinstance(i, str) else i[0] for i in found] for kind, found in names.items()}
    return Stitched(script, str(model.get_metadata_prop("vivado_stitch_vlnv")), interfaces)


def wrapper_where_it_is(script: str, folder: Path, name: str) -> str:
    """Adds the wrapper that Vivado makes from where it makes it: in `.srcs` up to 2020.1, in `.gen` since.

    Raises:
        CheckFailed: the script is not laid out as FINN 1.6.1 lays it out.
    """
    base = f"{folder}/{PROJECT}.srcs/sources_1/bd/{name}"
    make = f"make_wrapper -files [get_files {base}/{name}.bd] -top"
    old = f"{make}\nadd_files -norecurse {base}/hdl/{name}_wrapper.v\n"
    if script.count(old) != 1:
        raise CheckFailed("vendor", "FINN's script makes its wrapper otherwise", "pin finn-plus 1.6.1")
    return script.replace(old, f"add_files -norecurse [{make}]\n")


def each_file_once(script: str) -> str:
    """Leaves one `add_files` for files of the same name and content.

    The project's RTL nodes each have a copy of the modules that they share; a project that holds them all defines a
    module many times.

    Raises:
        CheckFailed: two files of the same name differ.
    """
    first: dict[str, Path] = {}
    lines = []
    for line in script.splitlines():
        found = re.fullmatch(r"add_files -norecurse (\S+)", line.strip())
        if found is None:
            lines.append(line)
            continue
        path = Path(found[1])
        known = first.get(path.name)
        if known is None:
            first[path.name] = path
            lines.append(line)
        elif known != path and known.read_bytes() != path.read_bytes():
            raise CheckFailed("vendor", f"{known} and {path} differ, but share a name", "report this as a bug")
    return "\n".join(lines) + "\n"
