"""Every file that a stage's module reaches counts, however it is imported."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from finn_build.cache import source


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    files = {
        "finn_build/__init__.py": "",
        "finn_build/top.py": "import finn_build.plain\ndef f():\n    from finn_build.sub import late\n",
        "finn_build/plain.py": "import os\n",
        "finn_build/sub/__init__.py": "",
        "finn_build/sub/late.py": "from . import sibling\nfrom ..other import thing\n",
        "finn_build/sub/sibling.py": "",
        "finn_build/sub/picture.png": "x",
        "finn_build/sub/template.j2": "x",
        "finn_build/sub/rtl/fork.sv": "x",
        "finn_build/other.py": "from models.net import N\n",
        "finn_build/unreached.py": "",
        "finn_build/apart/__init__.py": "",
        "finn_build/apart/page.html": "x",
        "models/__init__.py": "",
        "models/net.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    caches = (source._file_of, source._imports, source._resources, source._digest)
    for cached in caches:
        cached.cache_clear()
    yield tmp_path
    for cached in caches:
        cached.cache_clear()


def test_it_follows_absolute_relative_and_late_imports(project: Path) -> None:
    assert sorted(source.source_digests("finn_build.top")) == [
        "finn_build/__init__.py",
        "finn_build/other.py",
        "finn_build/plain.py",
        "finn_build/sub/__init__.py",
        "finn_build/sub/late.py",
        "finn_build/sub/picture.png",
        "finn_build/sub/rtl/fork.sv",
        "finn_build/sub/sibling.py",
        "finn_build/sub/template.j2",
        "finn_build/top.py",
        "models/__init__.py",
        "models/net.py",
    ]


def test_a_changed_file_changes_its_digest(project: Path) -> None:
    before = source.source_digests("finn_build.top")
    (project / "models/net.py").write_text("N = 1\n")
    source._digest.cache_clear()
    after = source.source_digests("finn_build.top")
    assert [name for name in before if before[name] != after[name]] == ["models/net.py"]


def test_every_file_that_is_read_counts() -> None:
    """A kind of file that no digest covers would let a result stay that is no longer right."""
    for package in source.PACKAGES:
        for path in (source.ROOT / package).rglob("*"):
            if path.is_file() and not {"checkpoints", "__pycache__"} & set(path.parts):
                assert path.suffix in {".py", ".md", *source.RESOURCE_SUFFIXES}, path
