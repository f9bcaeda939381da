"""Which files of this project a stage's result depends on: all that its module imports, directly or not."""

import ast
from functools import cache
from pathlib import Path

from finn_build.cache.digest import file_digest
from finn_build.environment import ROOT

PACKAGES = ("models", "finn_build", "cam_postproc")
RESOURCE_SUFFIXES = {
    *(".hpp", ".h", ".cpp", ".tcl", ".sv", ".v", ".vh", ".j2", ".html", ".css", ".json", ".csv", ".png", ".sh"),
}


def source_digests(module: str) -> dict[str, str]:
    """Digest of each source file that `module` (a dotted name) reaches, by path relative to the checkout.

    Imports inside functions count: stages import heavy packages late. Files beside a reached module that are no Python
    (C++ headers, templates, SystemVerilog, pictures) count with it.
    """
    reached: set[Path] = set()
    waiting = [module]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        path = _file_of(name)
        if path is None:
            continue
        reached.add(path)
        reached.update(_resources(path.parent))
        waiting.extend(_imports(path, name))
    return {str(path.relative_to(ROOT)): _digest(path) for path in sorted(reached)}


@cache
def _digest(path: Path) -> str:
    return file_digest(path)


@cache
def _file_of(module: str) -> Path | None:
    base = ROOT.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@cache
def _resources(folder: Path) -> frozenset[Path]:
    found: set[Path] = set()
    for path in folder.iterdir():
        if path.is_dir():
            # A folder with an __init__ is a package of its own and counts when it is reached itself.
            if not (path / "__init__.py").exists() and path.name != "__pycache__":
                found |= _resources(path)
        elif path.suffix in RESOURCE_SUFFIXES:
            found.add(path)
    return frozenset(found)


@cache
def _imports(path: Path, module: str) -> tuple[str, ...]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(package, node.level, node.module)
            names.add(base)
            # `from package import module` names a module as easily as an attribute.
            names.update(f"{base}.{alias.name}" for alias in node.names)
    ours = [name for name in names if name.split(".")[0] in PACKAGES]
    # Importing a.b.c runs a/__init__ and a/b/__init__ too.
    parents = {".".join(name.split(".")[:depth]) for name in ours for depth in range(1, name.count(".") + 1)}
    return tuple(sorted({*ours, *parents}))


def _absolute(package: str, level: int, module: str | None) -> str:
    if level == 0:
        return module or ""
    parts = package.split(".")
    base = parts[: len(parts) - (level - 1)]
    return ".".join([*base, module] if module else base)
