"""Runs the Dockerfile's RUN steps for real, without Docker: in a clean Debian of debootstrap, by chroot.

`make docker-check` calls it. Each step is told as passed, failed or not run; the whole has passed only if every step
has. It needs root, debootstrap and the package mirror; without them it says 'not run' and ends with status 2.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
SUITES = {"debian:bookworm-slim": ("bookworm", "http://deb.debian.org/debian")}
PASSED_ON = ("http_proxy", "https_proxy", "no_proxy", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS")
"""This machine's way to the network and to packages; an image is built on a machine that has its own."""

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class NotRunError(Exception):
    """The check cannot be made here."""


@dataclass
class State:
    """What earlier instructions set."""

    root: Path
    shell: list[str] = field(default_factory=lambda: ["/bin/sh", "-c"])
    variables: dict[str, str] = field(default_factory=dict)


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """Keyword and arguments of each instruction, continued lines joined, comments left out."""
    whole = ""
    for line in dockerfile.read_text(encoding="utf-8").splitlines():
        if line.lstrip().startswith("#") or (not whole and not line.strip()):
            continue
        whole += line.removesuffix("\\") + " "
        if not line.endswith("\\"):
            keyword, _, arguments = whole.strip().partition(" ")
            yield keyword.upper(), arguments.strip()
            whole = ""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Docker's ${NAME} in ENV, ARG and COPY."""
    return re.sub(r"\$\{(\w+)\}", lambda match: variables.get(match[1], ""), text)


def make_root(base: str, folder: Path) -> None:
    """A clean Debian in `folder`.

    Raises:
        NotRunError: no root rights, no debootstrap, another base, or no mirror.
    """
    tagged = base.partition("@")[0]
    if tagged not in SUITES:
        raise NotRunError(f"{tagged} is no base that debootstrap can make")
    if os.geteuid() != 0:
        raise NotRunError("chroot takes root rights; sudo make docker-check")
    program = shutil.which("debootstrap")
    if program is None:
        raise NotRunError("debootstrap is not installed; sudo apt-get install debootstrap")
    suite, mirror = SUITES[tagged]
    done = subprocess.run([program, "--variant=minbase", suite, str(folder), mirror], capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("E:", "W:"))]
        raise NotRunError(f"debootstrap: {lines[-1] if lines else f'status {done.returncode}'}")


def own_surroundings(state: State, mounted: list[Path]) -> dict[str, str]:
    """Makes this machine's network and package folders known inside; returns variables, adds to `mounted`."""
    shutil.copyfile("/etc/resolv.conf", state.root / "etc" / "resolv.conf")
    given = {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}
    places = [value.removeprefix("file://") for value in " ".join(given.values()).split()]
    for place in (Path(value) for value in places if value.startswith("/")):
        # A folder of an index is asked for by its parents' names too.
        if place.is_dir():
            inside = state.root / place.relative_to("/")
            inside.mkdir(parents=True, exist_ok=True)
            mount("--bind", "--read-only", str(place), str(inside))
            mounted.append(inside)
    mount("-t", "proc", "proc", str(state.root / "proc"))
    mounted.append(state.root / "proc")
    if CERTIFICATES.is_file():
        inside = state.root / "opt" / "check-certificates.crt"
        shutil.copyfile(CERTIFICATES, inside)
        given |= dict.fromkeys(("PIP_CERT", "SSL_CERT_FILE", "GIT_SSL_CAINFO"), "/opt/check-certificates.crt")
    return given


def mount(*arguments: str) -> None:
    """Mounts something.

    Raises:
        NotRunError: this machine does not allow it.
    """
    done = subprocess.run([shutil.which("mount") or "mount", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise NotRunError(f"mount {arguments[-1]}: {done.stderr.strip()}")


def clear(folder: Path) -> None:
    """Removes a folder, but never what is mounted below it.

    Raises:
        NotRunError: something still is.
    """
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    below = [line.split()[1] for line in mounts if line.split()[1].startswith(f"{folder}/")]
    if below:
        raise NotRunError(f"{below[0]} is still mounted; unmount it, then remove {folder}")
    shutil.rmtree(folder, ignore_errors=True)


def copy(arguments: str, state: State) -> None:
    """COPY of files, several into a folder, and of folders."""
    *sources, target = shlex.split(expand(arguments, state.variables))
    place = state.root / target.lstrip("/")
    for source in sources:
        end = place / Path(source).name if target.endswith("/") else place
        end.parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / source).is_dir():
            shutil.copytree(PROJECT / source, end, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(PROJECT / source, end)


def run(arguments: str, state: State, given: Mapping[str, str]) -> str | None:
    """RUN in the root; returns None, or the last line of what it printed."""
    command = ["chroot", str(state.root), *state.shell, arguments]
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    environment = {"PATH": path, "HOME": "/root", **given, **state.variables}
    # Docker gives an ARG's default where the build names no other.
    environment |= {name: value for name, value in given.items() if not environment.get(name)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return None if done.returncode == 0 else (lines[-1] if lines else f"status {done.returncode}")


def check(dockerfile: Path, folder: Path) -> int:
    """Goes through the Dockerfile; returns 0 if every step passed, 1 if one failed."""
    steps = list(instructions(dockerfile))
    base = next(arguments for keyword, arguments in steps if keyword == "FROM")
    state = State(folder / "root")
    total = sum(keyword == "RUN" for keyword, _ in steps)
    mounted: list[Path] = []
    passed, failed = 0, False
    try:
        make_root(base, state.root)
        given = own_surroundings(state, mounted)
        for keyword, arguments in steps:
            if keyword == "SHELL":
                state.shell = list(re.findall(r'"([^"]*)"', arguments))
            elif keyword in ("ENV", "ARG"):
                name, _, value = arguments.partition("=")
                state.variables[name] = expand(value, state.variables)
            elif keyword == "COPY":
                copy(arguments, state)
            elif keyword == "RUN":
                title = " ".join(arguments.split())[:60]
                if failed:
                    say(f"not run   {title}…")
                    continue
                start = time.monotonic()
                error = run(arguments, state, given)
                failed = error is not None
                passed += not failed
                say(f"{'failed' if failed else 'passed'}    {title}… ({time.monotonic() - start:.0f} s)")
                if error is not None:
                    say(f"          {error}")
    finally:
        for place in reversed(mounted):
            subprocess.run([shutil.which("umount") or "umount", str(place)], check=False)
    say(f"docker-check: {passed} of {total} RUN steps passed, in a clean {base.partition('@')[0]}")
    return 1 if failed else 0


def say(line: str) -> None:
    """A line on standard output, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Works below the folder that is the only argument, and clears it away."""
    folder = Path(sys.argv[1]).resolve()
    try:
        clear(folder)
        folder.mkdir(parents=True)
        try:
            return check(PROJECT / "docker" / "Dockerfile", folder)
        finally:
            clear(folder)
    except NotRunError as error:
        say(f"docker-check: not run: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
