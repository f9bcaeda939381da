"""The package's page: its code runs as it stands, and what it says of the package holds."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cam_postproc

PAGE = Path(cam_postproc.__file__).with_name("README.md").read_text(encoding="utf-8")


def test_the_examples_run_and_agree(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for example in re.findall(r"```python\n(.*?)```", PAGE, re.S):
        exec(compile(example, "README.md", "exec"), names)  # noqa: S102 - the page's own code
    assert list(names["table"]) == list(names["METHODS"])
    # The files hold the last method's maps.
    last = names["table"][names["METHODS"][-1]]
    assert (names["figures"]["MaxBoxAcc"], names["figures"]["MaxBoxAccV2"]) == last[:2]
    assert names["table"]["cam"][0] == names["table"]["gradcam"][0]
    assert len(capsys.readouterr().out.splitlines()) == len(names["METHODS"]) + 1


@pytest.mark.parametrize(
    "module", [m for row in re.findall(r"^\| (`.*?) \|", PAGE, re.M) for m in re.findall("[a-z_.]+", row)]
)
def test_modules_of_the_page_are_there(module):
    importlib.import_module(f"cam_postproc.{module}")


def test_metrics_and_sources_need_numpy_and_opencv_alone():
    code = """
import importlib, pkgutil, sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top not in sys.stdlib_module_names and top not in ("cam_postproc", "numpy", "cv2"):
            raise ModuleNotFoundError(name, name=name)

import cam_postproc
import numpy, cv2
sys.meta_path.insert(0, Refuse())
for module in pkgutil.walk_packages(cam_postproc.__path__, "cam_postproc."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        print(module.name, error.name)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["cam_postproc.fusion torch", "cam_postproc.methods torch"]
