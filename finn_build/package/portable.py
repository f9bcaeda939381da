"""Generated sources without the paths of the machine that generated them."""

import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from finn_build.environment import ROOT
from finn_build.errors import CheckFailed

NODES, FINN, BUILD, PYTHON, CHECKOUT = "@NODES@", "@FINN@", "@BUILD@", "@PYTHON@", "@CHECKOUT@"
MEANINGS = {
    NODES: "`hardware/nodes` of this package",
    FINN: "the folder of the Python package `finn` (finn-plus)",
    BUILD: "the folder of the build, which is not in this package",
    PYTHON: "the Python environment of the build",
    CHECKOUT: "the project's checkout",
}
"""What stands for a path, and where it led; a vendor flow puts its own paths in."""

LEFT_OUT_SUFFIXES = {".npy", ".npz", ".log", ".jou", ".pyc", ".o", ".so", ".a", ".fst", ".vcd"}
"""What tools leave beside sources: made anew, or never needed."""


def machine_roots(generated: Path) -> dict[str, str]:
    """Folders of this machine that generated files may name, longest first, and what stands for each.

    Args:
        generated: the folder of the generated nodes. A stage writes it in a folder of partial results beside it, so
            that name counts too.
    """
    generated = generated.resolve()
    build = generated.parent
    roots = {
        generated: NODES,
        build / ".partial" / generated.name: NODES,
        build: BUILD,
        ROOT: CHECKOUT,
        Path(sys.prefix): PYTHON,
        Path(sys.base_prefix): PYTHON,
    }
    finn = find_spec("finn")
    for place in (finn.submodule_search_locations or []) if finn else []:
        roots[Path(place)] = FINN
    # A root directory would stand for every path there is.
    known = {str(path): stands for path, stands in roots.items() if len(path.parts) > 1}
    return dict(sorted(known.items(), key=lambda item: -len(item[0])))


def without_machine_paths(content: bytes, roots: Mapping[str, str], place: str) -> bytes:
    """A file's content with each root replaced.

    Raises:
        CheckFailed: a file that is no text names one of them.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is None or "\0" in text:
        for root in roots:
            if root.encode() in content:
                what = f"binary file {place} names the folder {root} of this machine"
                raise CheckFailed("package", what, "leave it out, or write it without paths") from None
        return content
    for root, stands in roots.items():
        text = text.replace(root, stands)
    return text.encode()


def source_files(folder: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """The files of a folder of generated sources, sorted, by their path in the package, without machine paths.

    Args:
        folder: holds the sources.
        name: goes before their paths.
    """
    roots = machine_roots(folder)
    for path in sorted(folder.rglob("*"), key=lambda path: path.relative_to(folder).parts):
        if path.is_file() and path.suffix not in LEFT_OUT_SUFFIXES and "__pycache__" not in path.parts:
            place = f"{name}/{path.relative_to(folder).as_posix()}"
            yield place, without_machine_paths(path.read_bytes(), roots, place)


def portable_graph(path: Path) -> bytes:
    """An ONNX graph without attributes and metadata that hold paths of this machine; the same bytes each time."""
    import onnx

    model = onnx.load(path)
    nodes = list(model.graph.node)
    for node in nodes:
        # Absolute paths: where code was generated, built or run. They mean nothing elsewhere.
        kept = [a for a in node.attribute if not (a.type == onnx.AttributeProto.STRING and a.s.startswith(b"/"))]
        if len(kept) != len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)
    properties = [entry for entry in model.metadata_props if not entry.value.startswith("/")]
    if len(properties) != len(model.metadata_props):
        del model.metadata_props[:]
        model.metadata_props.extend(properties)
    content: bytes = model.SerializeToString(deterministic=True)
    return without_machine_paths(content, machine_roots(path.parent), path.name)
