"""Makes the deployment package: a folder and a zip of the same files."""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cam_postproc.spec import Sampling
from finn_build.errors import UserError
from finn_build.head import Head, read_arrays, read_head
from finn_build.package import contents
from finn_build.package import manifest as m
from finn_build.package.archive import mode_of, zip_bytes
from finn_build.package.driver import driver_files
from finn_build.package.portable import machine_roots, portable_graph, source_files, without_machine_paths
from finn_build.package.readme import readme
from finn_build.package.verify import verify_package
from finn_build.report.schema import Package

FOLDER = "deploy"
GOLDEN_KEYS = {"images", "logits"}
DRIVEN = ("cam", "tap")
"""Heads that the driver is for; one that ends in logits is a reference for the others, not hardware."""


@dataclass(frozen=True)
class PackageSources:
    """What a package is made of.

    Attributes:
        config: the config's name.
        part, clock_mhz: of the accelerator.
        image_size: height and width of its input in pixels.
        head_file: `head.npz`.
        golden_file: `golden.npz`: uint8 images NHWC and what has to come out.
        nodes: a folder with a folder of generated sources for each node.
        head: what leaves the accelerator, 'cam', 'tap' or 'logits'.
        output: height and width of the heatmap in pixels.
        sampling, threshold: of the heatmap and of the box.
        versions: of the tools.
        settings: the config's tables as JSON, for the record.
        cam_sources: folder of the CAM block's sources.
        graph: the specialised graph (ONNX), with its DMAs; none is needed but for head 'tap'.
        folding: its folding JSON.
        build_id: where the hardware already holds one, '0x' and eight hex digits; else it is made from the contents.
        runtime_weights: whether the CAM block's FC weights lie in banks that the host writes, not in ROM.
        registers: whether the CAM block has its AXI-lite registers; the SystemVerilog block has none.
        bitfile: made by vendor tools from these sources, with its `.hwh` of the same name beside it; None as long as
            there is none.
        made_by: arguments of `make build` that make this package again; by default the config's name.
    """

    config: str
    part: str
    clock_mhz: float
    image_size: int
    head_file: Path
    golden_file: Path
    nodes: Path
    head: str = "cam"
    output: int = 32
    sampling: Sampling = "half-pixel"
    threshold: float = 0.5
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    cam_sources: Path | None = None
    graph: Path | None = None
    folding: Path | None = None
    build_id: str | None = None
    runtime_weights: bool = False
    registers: bool = True
    bitfile: Path | None = None
    made_by: str = ""


@dataclass(frozen=True)
class PackageResult:
    """What was written: the folder, the zip, and what the report says of them."""

    folder: Path
    archive: Path
    manifest: m.Manifest
    summary: Package


def build_package(sources: PackageSources, out: Path) -> PackageResult:
    """Writes `out/deploy/` and `out/<config>-deploy.zip`; the same sources always give the same bytes.

    An earlier package stays whole until the new one is: a failed run leaves it as it was.

    Raises:
        UserError: an input is missing or broken, or the golden vectors do not fit the network.
        CheckFailed: a binary file names a folder of this machine.
    """
    head = read_head(sources.head_file)
    files = _files(sources, head)
    spec = head.cam_spec(sources.output, sources.sampling)
    cam = sources.head == "cam"
    tap = contents.tap(sources.graph, head) if sources.head == "tap" else None
    leaves = spec.layout.length if cam else tap.bytes if tap else None
    made = m.Manifest(
        config=sources.config,
        build_id=sources.build_id or contents.build_id(files),
        state=m.WITHOUT_BITFILE if sources.bitfile is None else m.WITH_BITFILE,
        bitfile=None if sources.bitfile is None else contents.bitfile(sources.config),
        missing=m.missing(sources.made_by or f"CONFIG={sources.config}")
        if sources.bitfile is None and sources.head in DRIVEN
        else (),
        part=sources.part,
        clock_mhz=sources.clock_mhz,
        head=sources.head,
        input=m.Input(shape=(1, sources.image_size, sources.image_size, 3)),
        packet=contents.packet(spec) if cam else None,
        tap=tap,
        dmas=m.dmas(3 * sources.image_size**2, leaves) if leaves else (),
        cam_block=m.CAM_BLOCK if cam and sources.registers else None,
        registers=m.registers(sources.runtime_weights) if cam and sources.registers else (),
        weights=contents.weight_memory(head, spec) if cam and sources.runtime_weights else None,
        versions=dict(sources.versions),
        files=(),
    )
    files[m.README] = readme(made, files)
    made = contents.sealed(made, files)
    files[m.MANIFEST] = m.to_json(made.model_dump(mode="json"))
    archive = out / archive_name(sources.config)
    content = zip_bytes(files)
    out.mkdir(parents=True, exist_ok=True)
    _replace_folder(out / FOLDER, files)
    _replace_file(archive, content)
    return PackageResult(out / FOLDER, archive, made, _summary(made, archive.name, content))


def archive_name(config: str) -> str:
    """What the zip of a config's package is called."""
    return f"{config}-deploy.zip"


def publish_package(made: Path, place: Path, config: str) -> None:
    """Copies a package from where a stage made it to where users look for it, if it is not there already.

    Args:
        made: holds `deploy/` and `<config>-deploy.zip`.
        place: gets the same two; what lies there is replaced unless it is whole and the same.
        config: the config's name.
    """
    name = archive_name(config)
    content = (made / name).read_bytes()
    if not _same_file(place / name, content) or not _same_manifest(made / FOLDER, place / FOLDER):
        files = {
            path.relative_to(made / FOLDER).as_posix(): path.read_bytes()
            for path in sorted((made / FOLDER).rglob("*"))
            if path.is_file()
        }
        place.mkdir(parents=True, exist_ok=True)
        _replace_folder(place / FOLDER, files)
        _replace_file(place / name, content)


def _files(sources: PackageSources, head: Head) -> dict[str, bytes]:
    """All but manifest and README, by path."""
    golden = read_arrays(sources.golden_file)
    _check_golden(sources, golden)
    spec = head.cam_spec(sources.output, sources.sampling)
    settings = without_machine_paths(m.to_json(dict(sources.settings)), machine_roots(sources.nodes), contents.CONFIG)
    files = {
        contents.HEAD: sources.head_file.read_bytes(),
        **({contents.WORDS: contents.fc_words(head, spec)} if sources.head == "cam" else {}),
        contents.CAM: m.to_json(contents.cam_settings(head, spec, sources.threshold)),
        contents.LABELS: m.to_json(list(head.labels)),
        contents.CONFIG: settings,
        contents.GOLDEN: sources.golden_file.read_bytes(),
        **contents.licence_texts(),
        **(driver_files(sources.config, sources.head) if sources.head in DRIVEN else {}),
    }
    if not sources.nodes.is_dir():
        raise UserError(str(sources.nodes), "the generated sources", "no such folder", "build the config again")
    files.update(source_files(sources.nodes, contents.NODES))
    if sources.cam_sources is not None:
        files.update(source_files(sources.cam_sources, contents.CAM_SOURCES))
    if sources.graph is not None:
        files[contents.GRAPH] = portable_graph(sources.graph)
    if sources.folding is not None:
        files[contents.FOLDING] = sources.folding.read_bytes()
    if sources.bitfile is not None:
        for suffix in (".bit", ".hwh"):
            made = sources.bitfile.with_suffix(suffix)
            if not made.is_file():
                raise UserError(str(made), "what the vendor tools made", "no such file", "run them again")
            files[contents.bitfile(sources.config, suffix)] = made.read_bytes()
    return files


def _check_golden(sources: PackageSources, golden: Mapping[str, Any]) -> None:
    place, remedy = str(sources.golden_file), "build the config again"
    missing = GOLDEN_KEYS - golden.keys()
    if missing:
        raise UserError(place, f"the arrays {', '.join(sorted(GOLDEN_KEYS))}", contents.golden_arrays(golden), remedy)
    wanted = (sources.image_size, sources.image_size, 3)
    if golden["images"].shape[1:] != wanted or golden["images"].dtype.name != "uint8":
        got = f"{golden['images'].dtype} {list(golden['images'].shape)}"
        raise UserError(f"{place}: images", f"uint8 [N, {', '.join(map(str, wanted))}]", got, remedy)


def _summary(made: m.Manifest, name: str, content: bytes) -> Package:
    return Package(
        file=name,
        sha256=hashlib.sha256(content).hexdigest(),
        files=len(made.files) + 1,
        bytes=len(content),
        bitfile=made.bitfile is not None,
        build_id=made.build_id,
        missing=made.missing,
    )


def _replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a folder beside the earlier one, then exchanges them."""
    partial, earlier = (folder.with_name(f".{folder.name}.{state}") for state in ("partial", "earlier"))
    if earlier.exists() and not folder.exists():
        # A run was killed between the two renames below.
        earlier.rename(folder)
    for left in (partial, earlier):
        shutil.rmtree(left, ignore_errors=True)
    try:
        for path, content in files.items():
            place = partial / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            place.chmod(mode_of(path))
        if folder.exists():
            folder.rename(earlier)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(earlier, ignore_errors=True)


def _replace_file(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _same_file(path: Path, content: bytes) -> bool:
    return path.is_file() and path.read_bytes() == content


def _same_manifest(made: Path, place: Path) -> bool:
    """Whether the folder is whole and of the same manifest."""
    if not _same_file(place / m.MANIFEST, (made / m.MANIFEST).read_bytes()):
        return False
    try:
        verify_package(place)
    except UserError:
        return False
    return True
