"""What FINN's C++ and the block design need from git: headers and board files, at fixed commits, in one folder.

finn-plus names the commits of its own dependencies in its wheel, and these are read from there. For the PYNQ-Z2's board
files it names a download without a version: those come from AMD's board store, where they lie at a fixed commit.

`python -m finn_build.vendor.deps FOLDER` fetches them; a build needs no network after that.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from finn_build.errors import UserError

RECORD = "finn-cam-deps.json"
BOARD_FILES = "board_files"
REMEDY = "run make vendor-deps, or build with make docker-build"
HEADERS = ("finn-hlslib", "attention-hlslib")
"""Of finn-plus' dependencies those that generated C++ includes; the others are for other chips."""

PROBES = {"finn-hlslib": "dma.h", "attention-hlslib": ".", "pynq-z2": "A.0/board.xml"}


@dataclass(frozen=True)
class Dependency:
    """A folder of a git repository at a commit, and where it is put below the folder of dependencies."""

    name: str
    url: str
    commit: str
    folder: str
    target: str


BOARD = Dependency(
    name="pynq-z2",
    url="https://github.com/Xilinx/XilinxBoardStore.git",
    commit="20bbb1210350982586fc3e42e9a15ee531417fea",
    folder="boards/TUL/pynq-z2",
    target=f"{BOARD_FILES}/pynq-z2",
)


def dependencies() -> list[Dependency]:
    """All of them, with the commits that the installed finn-plus names.

    Raises:
        UserError: finn-plus is not installed, or lists them otherwise.
    """
    import yaml  # type: ignore[import-untyped]

    found = find_spec("finn")
    for place in (found.submodule_search_locations or []) if found is not None else []:
        path = Path(place) / "interface" / "external_dependencies.yaml"
        if path.is_file():
            try:
                listed = yaml.safe_load(path.read_text(encoding="utf-8"))["git_deps"]
                entries = [(name, listed[name]["url"], listed[name]["commit"]) for name in HEADERS]
            except (KeyError, TypeError, yaml.YAMLError) as error:
                raise UserError(str(path), "finn-hlslib with its commit", repr(error), "pin finn-plus 1.6.1") from None
            return [*(Dependency(name, url, commit, ".", name) for name, url, commit in entries), BOARD]
    raise UserError("finn-plus", "its list of dependencies in the wheel", "none", "run make setup")


def missing(folder: Path) -> list[str]:
    """Names of the dependencies that `folder` does not hold, or holds at another commit."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        commits = {entry["name"]: entry["commit"] for entry in record}
    except (OSError, ValueError, KeyError, TypeError):
        commits = {}
    return [
        wanted.name
        for wanted in dependencies()
        if commits.get(wanted.name) != wanted.commit or not (folder / wanted.target / PROBES[wanted.name]).exists()
    ]


def require(folder: Path) -> None:
    """Checks that everything is there.

    Raises:
        UserError: names what is not.
    """
    if lacking := missing(folder):
        wanted = {entry.name: entry.commit[:12] for entry in dependencies()}
        expected = ", ".join(f"{name} at {wanted[name]}" for name in lacking)
        raise UserError(str(folder), expected, "nothing" if not folder.exists() else "not that", REMEDY)


def fetch(folder: Path) -> None:
    """Fetches what is missing; the record of the commits is written last.

    Raises:
        UserError: git is missing, or a repository cannot be reached.
    """
    git = shutil.which("git")
    if git is None:
        raise UserError("git", "git on PATH", "none", "sudo apt-get install git")
    folder.mkdir(parents=True, exist_ok=True)
    lacking = missing(folder)
    for wanted in dependencies():
        if wanted.name in lacking:
            _fetch(git, wanted, folder)
    (folder / RECORD).write_text(json.dumps([asdict(entry) for entry in dependencies()], indent=1) + "\n")


def _fetch(git: str, wanted: Dependency, folder: Path) -> None:
    partial, target = folder / f".{wanted.name}.partial", folder / wanted.target
    shutil.rmtree(partial, ignore_errors=True)
    here = [git, "-C", str(partial)]
    commands = [
        [git, "init", "-q", str(partial)],
        [*here, "remote", "add", "origin", wanted.url],
        # The one commit, and of the board store the one folder: the whole of it is 2 GB.
        [*here, "config", "remote.origin.promisor", "true"],
        [*here, "config", "remote.origin.partialclonefilter", "blob:none"],
        [*here, "sparse-checkout", "set", "--no-cone", "/*" if wanted.folder == "." else f"/{wanted.folder}/"],
        [*here, "fetch", "-q", "--depth=1", "--filter=blob:none", "origin", wanted.commit],
        [*here, "checkout", "-q", wanted.commit],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            shutil.rmtree(partial, ignore_errors=True)
            got = lines[-1] if lines else f"status {done.returncode}"
            raise UserError(wanted.url, f"commit {wanted.commit[:12]}", got, "check the network")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    (partial / wanted.folder).rename(target)
    shutil.rmtree(target / ".git", ignore_errors=True)
    shutil.rmtree(partial, ignore_errors=True)


def main() -> int:
    """Fetches into the folder that is the only argument."""
    try:
        fetch(Path(sys.argv[1]).resolve())
    except UserError as error:
        sys.stderr.write(f"vendor-deps: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
