"""Stage `package`: what is copied to the board, with checksums; the bitfile is made from it where Vivado is."""

from pathlib import Path
from typing import Any

from finn_build.config import CamSettings, HardwareSpec
from finn_build.report.schema import check
from finn_build.stages.files import FOLDING, GRAPH, SOURCES
from finn_build.stages.result import Progress, StageResult
from models.spec import DataSpec, InputSpec


def pack(
    golden: Path,
    head: Path,
    codegen: Path,
    generated: Path,
    cam_folder: Path,
    specialised: Path,
    name: str,
    hardware: HardwareSpec,
    cam: CamSettings,
    input_spec: InputSpec,
    data: DataSpec,
    made_by: str,
    output: int,
    out: Path,
    progress: Progress,
    vendor: Path | None = None,
) -> StageResult:
    """Writes `deploy/` and the zip of it; the same inputs always give the same bytes.

    Raises:
        UserError: an input is missing or broken.
        CheckFailed: a generated file names a folder of this machine in a way that cannot be taken out.
    """
    from finn_build.cache.key import tool_versions
    from finn_build.graph.codegen import hardware_id, read_build_id
    from finn_build.package.build import PackageSources, build_package
    from finn_build.package.verify import verify_package

    tables: dict[str, Any] = {"hardware": hardware, "cam": cam, "input": input_spec, "data": data}
    sources = PackageSources(
        config=name,
        part=hardware.part,
        clock_mhz=hardware.clock_mhz,
        image_size=input_spec.size,
        head_file=head,
        golden_file=golden,
        nodes=codegen,
        head=hardware.head,
        output=output,
        sampling=cam.sampling,
        threshold=cam.threshold,
        versions=tool_versions(),
        settings={key: table.model_dump(mode="json", exclude={"path", "checkpoint"}) for key, table in tables.items()},
        cam_sources=cam_folder / SOURCES if hardware.head == "cam" else None,
        graph=generated,
        folding=specialised / FOLDING,
        build_id=hardware_id(codegen),
        registers=read_build_id(codegen) is not None,
        runtime_weights=_runtime_weights(specialised / GRAPH),
        made_by=made_by,
        bitfile=None if vendor is None else vendor / f"{name}.bit",
    )
    progress(0.2)
    result = build_package(sources, out)
    # As the board will read it: every file against the manifest's checksum, in the folder and in the zip.
    confirmed = min(len(verify_package(made).files) for made in (result.folder, result.archive))
    whole = check("files that the manifest confirms", confirmed, "==", len(result.manifest.files), unit="files")
    return StageResult(checks=(whole,), facts={"package": result.summary.model_dump(mode="json", by_alias=True)})


def _runtime_weights(specialised: Path) -> bool:
    """Whether the graph's CAM node takes its weights from banks that a host writes."""
    import onnx

    graph = onnx.load(specialised, load_external_data=False).graph
    return any(a.name == "RuntimeWeights" and a.i == 1 for node in graph.node for a in node.attribute)
