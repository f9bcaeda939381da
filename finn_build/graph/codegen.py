"""Generated code: RTL, HLS C++ and memory contents of every node, in one folder that can be moved."""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from cam_postproc.rtl import read_biases, read_weights
from finn_build.adapter import apply_pass, finn_session, quiet
from finn_build.errors import CheckFailed
from finn_build.folding.rules import generic_op
from finn_build.graph.decode import (
    decoded_cam_biases,
    decoded_cam_weights,
    decoded_thresholds,
    decoded_weights,
    threshold_files,
)
from finn_build.graph.walk import Array, attributes, constant
from finn_build.nodes.mvu import MEMORY, MODULES
from finn_build.nodes.variants import register_rtl_nodes

WEIGHT_FILE = "memblock.dat"
CAM_HEADER = "cam_config.h"
ID_MEMORY = "_build_id.dat"
BUILD_ID = re.compile(rb"CAM_BUILD_ID = (0x[0-9a-f]{8})u")
PATHS = ("code_gen_dir_ipgen", "ipgen_path", "ip_path")
"""Node attributes that name folders."""


@dataclass(frozen=True)
class CodegenReport:
    """What was generated.

    Attributes:
        folders: of each node, relative to the output folder.
        files: number of generated files.
        rewritten: files, relative to the output folder, in which absolute paths were replaced.
        rows: verification rows of weights, thresholds and biases decoded back from the files.
    """

    folders: dict[str, str]
    files: int
    rewritten: list[str]
    rows: list[dict[str, Any]]


def generate_code(
    model: ModelWrapper, part: str, clock_period_ns: float, folder: Path
) -> tuple[ModelWrapper, CodegenReport]:
    """Generates every node's sources, reads weights and thresholds back from them, and makes the folder movable.

    No file holds a path of this machine: memory contents are named relative to `folder`, HLS scripts run in the node's
    own folder, and FINN's HLS library is found by the environment variable FINN_DEPS.

    Args:
        model: specialised, connected.
        part: FPGA part.
        clock_period_ns: target clock period in ns.
        folder: gets one folder a node, named after it.

    Returns:
        The model, whose `code_gen_dir_ipgen` are relative to `folder`, and the report.

    Raises:
        CheckFailed: a node has no generated files, a file keeps a path of this machine, or a weight or threshold in a
            file is not the graph's.
    """
    from finn.transformation.fpgadataflow.prepare_ip import PrepareIP

    register_rtl_nodes()
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        _forget_paths(node)
    with finn_session(folder):
        model = apply_pass(model, PrepareIP(part, clock_period_ns), seconds=600)
    folders = {node.name: _own_folder(node, folder) for node in model.graph.node}
    for node in model.graph.node:
        check_files(node, folder / folders[node.name])
    rows = [row for node in model.graph.node for row in compare_constants(model, node, folder / folders[node.name])]
    rewritten = _replace_paths(folder)
    stamp_build_id(folder)
    files = sum(1 for path in folder.rglob("*") if path.is_file())
    return model, CodegenReport(folders, files, rewritten, rows)


def with_absolute_paths(model: ModelWrapper, folder: Path) -> ModelWrapper:
    """Points the nodes' folder attributes, relative to `folder`, to where they are now, as FINN's code wants them."""
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        instance = getCustomOp(node)
        for name in PATHS:
            if instance.get_nodeattr(name):
                instance.set_nodeattr(name, str(folder.resolve() / instance.get_nodeattr(name)))
    return model


def _forget_paths(node: NodeProto) -> None:
    """Drops paths of an earlier run: FINN would take the node's code for generated."""
    for attribute in list(node.attribute):
        if attribute.name in PATHS:
            node.attribute.remove(attribute)


def _own_folder(node: NodeProto, folder: Path) -> str:
    """Gives a node's folder the node's name, and writes it into the node relative to the output folder."""
    instance = getCustomOp(node)
    made = Path(str(instance.get_nodeattr("code_gen_dir_ipgen")))
    target = folder / node.name
    made.rename(target)
    for name in PATHS:
        if instance.get_nodeattr(name):
            instance.set_nodeattr(name, node.name)
    return str(node.name)


def stamp_build_id(folder: Path) -> None:
    """Writes the digest of all generated files into the build id register of the CAM block, if it has one.

    The block's own sources know only themselves; a driver has to tell any two accelerators apart.
    """
    holders = _id_holders(folder)
    if not holders:
        return
    value = int(_digest_id(folder), 16)
    for path in holders:
        if path.suffix == ".dat":
            path.write_text(f"{value:08x}\n", encoding="ascii")
        else:
            path.write_bytes(BUILD_ID.sub(b"CAM_BUILD_ID = 0x%08xu" % value, path.read_bytes()))


def _id_holders(folder: Path) -> list[Path]:
    """Files that hold the build id: the C++ block's header, or the SystemVerilog block's memory of one word."""
    return sorted([*folder.glob(f"*/{CAM_HEADER}"), *folder.glob(f"*/*{ID_MEMORY}")])


def hardware_id(folder: Path) -> str:
    """The build id of generated hardware: its register's, or the same digest where it has no such register."""
    return read_build_id(folder) or _digest_id(folder)


def _digest_id(folder: Path) -> str:
    holders = _id_holders(folder)
    whole = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".npy":
            content = path.read_bytes()
            if path in holders:
                content = b"" if path.suffix == ".dat" else BUILD_ID.sub(b"", content)
            whole.update(path.relative_to(folder).as_posix().encode() + b"\0" + sha256(content).digest())
    return f"0x{max(1, int.from_bytes(whole.digest()[:4], 'big')):08x}"


def read_build_id(folder: Path) -> str | None:
    """The build id that the generated hardware in a folder of nodes holds, or None where it has no such register."""
    for path in _id_holders(folder):
        if path.suffix == ".dat":
            return f"0x{int(path.read_text(encoding='ascii'), 16):08x}"
        match = BUILD_ID.search(path.read_bytes())
        if match is not None:
            return match[1].decode()
    return None


def check_files(node: NodeProto, folder: Path) -> None:
    """Checks that a node's top source and its memory contents exist and are not empty.

    Raises:
        CheckFailed: names the missing or empty file.
    """
    if node.op_type.endswith("_hls"):
        wanted = [f"top_{node.name}.cpp", f"hls_syn_{node.name}.tcl"]
    else:
        top = str(getCustomOp(node).get_nodeattr("gen_top_module")) or node.name
        wrapped = generic_op(node) in ("MVAU", "ConvolutionInputGenerator")
        wanted = [f"{top}_wrapper.v" if wrapped else f"{top}.v"]
    if node.op_type == "ConvolutionInputGenerator_rtl":
        wanted.append(f"{node.name}_impl.sv")
    if node.op_type == "MVAU_rtl":
        copied = (MEMORY, *(MODULES if getCustomOp(node).is_own else ()))
        wanted += [WEIGHT_FILE, f"{node.name}_memstream_wrapper.v", *(f"{module}.sv" for module in copied)]
    elif node.op_type == "Thresholding_rtl":
        wanted += threshold_files(node)
    elif node.op_type == "ClassActivationMap_hls":
        wanted += ["cam_config.h", "cam.hpp"]
    for name in wanted:
        path = folder / name
        if not path.is_file() or not path.stat().st_size:
            raise CheckFailed("codegen", f"{node.name} has no {name}", "the node's code was not generated in full")


def compare_constants(model: ModelWrapper, node: NodeProto, folder: Path) -> list[dict[str, Any]]:
    """Compares weights, thresholds and biases in a node's files with the graph, word for word.

    Returns:
        A verification row each; none for a node without constants.

    Raises:
        CheckFailed: the first word that differs, with its index and both values.
    """
    found: dict[str, tuple[Array, int]] = {}
    if node.op_type == "MVAU_rtl":
        found["weights"] = decoded_weights(node, folder / WEIGHT_FILE), 1
    elif node.op_type == "Thresholding_rtl":
        thresholds = constant(model, node, 1)
        shared = thresholds is not None and thresholds.shape[0] == 1
        found["thresholds"] = decoded_thresholds(node, folder, shared), 1
    elif node.op_type == "ClassActivationMap_hls" and not attributes(node).get("RuntimeWeights"):
        # Weights that a host loads stand in no generated file but in the package, which its own stage reads back.
        values = attributes(node)
        header = folder / CAM_HEADER
        found["weights"] = decoded_cam_weights(header, int(values["Classes"]), int(values["NumChannels"])), 1
        found["biases"] = decoded_cam_biases(header), 2
    elif node.op_type == "ClassActivationMap_rtl" and not attributes(node).get("RuntimeWeights"):
        instance = getCustomOp(node)
        place = folder, str(instance.get_nodeattr("gen_top_module"))
        found["weights"] = read_weights(instance.block, *place), 1
        found["biases"] = read_biases(instance.block, *place), 2
    return [_row(model, node, what, words, index) for what, (words, index) in found.items()]


def _row(model: ModelWrapper, node: NodeProto, what: str, found: Array, index: int) -> dict[str, Any]:
    wanted = constant(model, node, index)
    if wanted is None:
        raise CheckFailed("codegen", f"{node.name} has no constant {what}", "make the graph again")
    whole = np.rint(wanted).astype(np.int64)
    if what == "thresholds" and whole.shape[0] == 1:
        whole = np.repeat(whole, found.shape[0], axis=0)
    if found.shape != whole.shape:
        got = f"{list(found.shape)} instead of {list(whole.shape)}"
        raise CheckFailed(
            "codegen", f"{what} of {node.name} in the generated files are {got}", "generate the code again"
        )
    if not np.array_equal(found, whole):
        place = tuple(int(i) for i in np.argwhere(found != whole)[0])
        values = f"{found[place]} in the generated file, {whole[place]} in the graph"
        raise CheckFailed("codegen", f"{what} of {node.name} at {list(place)}: {values}", "generate the code again")
    row: dict[str, Any] = {"stage": "codegen", "output": f"{node.name} {what}", "values": int(whole.size)}
    return row | {"mismatches": 0, "max_abs_diff": 0.0, "method": "structural"}


def _replace_paths(folder: Path) -> list[str]:
    """Takes this machine's paths out of every text file.

    Raises:
        CheckFailed: a file keeps one.
    """
    from finn.util.settings import FINNSettings

    library = str(FINNSettings().finn_deps)
    rewritten = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in (".npy", ".dat"):
            continue
        text = path.read_text(encoding="utf-8")
        new = text.replace(library, "$::env(FINN_DEPS)")
        # FINN names the folder that it made for the node; it has the node's name now.
        new = re.sub(rf"{re.escape(str(folder))}/code_gen_ipgen_\w+?(?=[/\"])", _new_place(path), new)
        if str(folder) in new or library in new:
            raise CheckFailed(
                "codegen", f"{path.relative_to(folder)} holds a path of this machine", "report this as a bug"
            )
        if new != text:
            path.write_text(new, encoding="utf-8")
            rewritten.append(path.relative_to(folder).as_posix())
    return rewritten


def _new_place(path: Path) -> str:
    """A script runs in its node's folder; memory contents are looked up from the output folder."""
    return "." if path.suffix == ".tcl" else path.parent.name
