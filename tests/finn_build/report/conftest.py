"""The sample report, its pictures written once for all tests."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from finn_build.report.schema import Report


def _load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The module that makes sample reports (tests are no package, so it is loaded by its path)."""
    return _load("report_sample", Path(__file__).with_name("sample.py"))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the sample report's pictures lie."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="session")
def report(sample: ModuleType, folder: Path) -> Report:
    """A report of `resnet8_5w5a` in which every check passed."""
    made: Report = sample.report(folder)
    return made
