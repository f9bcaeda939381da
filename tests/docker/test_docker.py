"""The Docker flow without Docker: what the run script hands to it, and what the check makes of a Dockerfile."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tests" / "tools"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docker_check", ROOT / "docker" / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docker_check"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder as AMD's installer leaves it, of two versions."""
    for version in ("2022.2", "2024.2"):
        for tool in ("Vivado", "Vitis_HLS"):
            (tmp_path / "Xilinx" / tool / version).mkdir(parents=True)
            (tmp_path / "Xilinx" / tool / version / "settings64.sh").write_text(
                f'export PATH="/{tool}/{version}:$PATH"\n'
            )
    return tmp_path / "Xilinx"


def run(tools: Path, *arguments: str, **changed: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    calls = tools.parent / "calls"
    calls.unlink(missing_ok=True)
    known = ("XILINX_VIVADO", "XILINXD_LICENSE_FILE", "LM_LICENSE_FILE", "FINN_CAM_DATA")
    environment = {name: value for name, value in os.environ.items() if name not in known}
    environment |= {
        "PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}",
        "XILINX_ROOT": str(tools),
        "STANDIN_CALLS": str(calls),
    }
    command = ["bash", str(ROOT / "docker" / "run.sh"), *arguments]
    done = subprocess.run(command, env=environment | changed, capture_output=True, text=True, check=False)
    return done, calls.read_text().splitlines() if calls.is_file() else []


def test_the_project_and_the_newest_tools_are_mounted_and_the_user_is_the_caller(tools: Path) -> None:
    done, calls = run(tools, "resnet8_5w5a", "--json")
    assert done.returncode == 0, done.stderr
    assert calls[0].startswith("build finn-cam:")
    ran = calls[1]
    assert f"--user {os.getuid()}:{os.getgid()}" in ran
    assert f"--volume {ROOT}:{ROOT}:rw --workdir {ROOT}" in ran
    assert f"--volume {tools}/Vivado/2024.2:{tools}/Vivado/2024.2:ro" in ran
    assert f"--volume {tools}/Vitis_HLS/2024.2:{tools}/Vitis_HLS/2024.2:ro" in ran
    assert "--network none" in ran
    assert ran.endswith("python -m finn_build.cli build resnet8_5w5a --json")


def test_the_image_is_made_once_and_xilinx_vivado_chooses_the_version(tools: Path) -> None:
    done, calls = run(tools, "resnet8_5w5a", STANDIN_IMAGE="there", XILINX_VIVADO=str(tools / "Vivado" / "2022.2"))
    assert done.returncode == 0, done.stderr
    assert len(calls) == 1
    assert "Vivado/2022.2" in calls[0]
    assert "2024.2" not in calls[0]


def test_licences_are_passed_on(tools: Path, tmp_path: Path) -> None:
    licence = tmp_path / "vivado.lic"
    licence.write_text("")
    done, calls = run(tools, "a", XILINXD_LICENSE_FILE=f"2100@server:{licence}")
    assert done.returncode == 0, done.stderr
    assert f"--env XILINXD_LICENSE_FILE=2100@server:{licence}" in calls[-1]
    assert f"--volume {licence}:{licence}:ro" in calls[-1]
    assert "--network host" in calls[-1]


@pytest.mark.parametrize(
    ("arguments", "changed", "code", "words"),
    [
        ([], {}, 2, "expected a config"),
        (["/etc/other.toml"], {}, 2, "the container sees the project alone"),
        (["a"], {"XILINX_ROOT": "/nowhere"}, 2, "expected version 2024.2 or 2022.2 below /nowhere"),
        (["a"], {"XILINXD_LICENSE_FILE": "/nowhere.lic"}, 2, "got /nowhere.lic, which does not exist"),
        (["a"], {"STANDIN_FAULT": "no_daemon"}, 3, "expected a daemon that answers"),
        (["a"], {"STANDIN_FAULT": "build"}, 3, "the image could not be made"),
    ],
)
def test_what_is_wrong_is_one_line(
    tools: Path, arguments: list[str], changed: dict[str, str], code: int, words: str
) -> None:
    done, calls = run(tools, *arguments, **changed)
    assert done.returncode == code
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("docker-build: ")
    assert words in last
    assert not any(call.startswith("run") for call in calls)


def test_the_entry_script_sources_the_tools_settings(tools: Path, tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home")}
    environment["FINN_CAM_TOOLS"] = f"{tools}/Vivado/2024.2 {tools}/Vitis_HLS/2024.2"
    command = ["bash", str(ROOT / "docker" / "entry.sh"), "bash", "-c", 'echo "$PATH $PYTHONPATH"']
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("/Vitis_HLS/2024.2:/Vivado/2024.2:")
    assert done.stdout.strip().endswith(str(tmp_path))
    assert (tmp_path / "home").is_dir()


def pin(dockerfile: Path, **changed: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}", "STANDIN_CALLS": "/dev/null"} | changed
    command = ["bash", str(ROOT / "docker" / "pin.sh"), str(dockerfile)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_pinning_writes_the_digest_and_can_be_repeated(tmp_path: Path) -> None:
    dockerfile = tmp_path / "Dockerfile"
    shutil.copyfile(ROOT / "docker" / "Dockerfile", dockerfile)
    before = dockerfile.read_text()
    assert pin(dockerfile, STANDIN_FAULT="no_registry").returncode == 3
    assert pin(dockerfile, STANDIN_DIGEST="nonsense").returncode == 3
    assert dockerfile.read_text() == before
    for digit in ("7", "8"):
        digest = f"sha256:{digit * 64}"
        assert pin(dockerfile, STANDIN_DIGEST=digest).returncode == 0
        assert dockerfile.read_text().count("FROM ") == before.count("FROM ")
        assert f"FROM debian:bookworm-slim@{digest}\n" in dockerfile.read_text()
    assert "Base by tag" not in dockerfile.read_text()


def test_the_check_reads_the_dockerfile_as_docker_does(check: ModuleType) -> None:
    steps = list(check.instructions(ROOT / "docker" / "Dockerfile"))
    words = [keyword for keyword, _ in steps]
    assert words[0] == "FROM"
    assert words.count("RUN") == 3
    assert words[-1] == "ENTRYPOINT"
    copied = [name for keyword, given in steps if keyword == "COPY" for name in given.split()[:-1]]
    assert all((ROOT / name).exists() for name in copied), copied
    ignored = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    assert all(f"!{name}" in ignored for name in copied), ignored


def test_the_check_runs_each_step_and_stops_at_the_first_that_fails(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        'FROM debian:bookworm-slim\nSHELL ["/bin/bash", "-c"]\nARG WORD=\nENV SAID=a${WORD}b\n'
        'RUN echo "$SAID" \\\n # a comment\n && test "$SAID" = ab\nRUN echo broken; exit 5\nRUN true\n'
    )
    # A root takes minutes; the steps run here instead, each in a shell of its own as there.
    monkeypatch.setattr(check, "make_root", lambda base, folder: folder.mkdir())
    monkeypatch.setattr(check, "own_surroundings", lambda state, mounted: {})
    plain = subprocess.run

    def without_chroot(command: list[str], **options: object) -> object:
        return plain(command[2:] if command[0] == "chroot" else command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(check.subprocess, "run", without_chroot)
    assert check.check(dockerfile, tmp_path) == 1
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["passed", "failed", "broken", "not", "docker-check:"]


def test_where_it_cannot_run_it_says_not_run(
    check: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(check.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(check.sys, "argv", ["check.py", str(tmp_path / "root")])
    assert check.main() == 2
    told = capsys.readouterr().out
    assert "not run" in told
    assert "passed" not in told
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("tool", "files"), [("shellcheck", ["run.sh", "entry.sh", "pin.sh"]), ("hadolint", ["Dockerfile"])]
)
def test_lint(tool: str, files: list[str]) -> None:
    program = shutil.which(tool) or shutil.which(str(Path(sys.executable).parent / tool))
    if program is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run([program, *files], cwd=ROOT / "docker", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
