"""The board's side of a package: driver, shared host code, `install.sh` and notebook.

For an accelerator that ends in the tap the host does what the CAM block would: such a package holds the block's integer
specification itself, the files of `cam_postproc` that need numpy alone.
"""

import json
from pathlib import Path

import cam_postproc.arithmetic
import cam_postproc.checks
import cam_postproc.errors
import cam_postproc.hostside
import cam_postproc.spec
import finn_build.board
import finn_build.board.__main__  # reaches every module of the driver: a stage's key holds what its module imports

FOLDER, INSTALL, NOTEBOOK, SHARED = "cam_board", "install.sh", "cam_board.ipynb", "hostside.py"
LIBRARY = "cam_postproc"
MODULES = ("__init__", "arithmetic", "checks", "errors", "hostside", "spec")
"""What the CAM block's integer specification consists of."""

_FILES = Path(__file__).with_name("files")


def driver_files(config: str, head: str = "cam") -> dict[str, bytes]:
    """All of it by path: the same bytes for the same sources, config and head."""
    folder, library = Path(finn_build.board.__file__).parent, Path(cam_postproc.hostside.__file__).parent
    files = {f"{FOLDER}/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.py"))}
    if head == "tap":
        # The driver's stand-in for the shared file finds that file there.
        files |= {f"{LIBRARY}/{name}.py": (library / f"{name}.py").read_bytes() for name in MODULES}
    else:
        files[f"{FOLDER}/{SHARED}"] = (library / SHARED).read_bytes()
    files[INSTALL] = (_FILES / INSTALL).read_bytes().replace(b"@CONFIG@", config.encode())
    files[NOTEBOOK] = notebook(config, head)
    return files


TAPS = [
    ("markdown", "The tap itself, for `finn-cam localize --taps` on another machine."),
    (
        "code",
        "import numpy as np\n\n"
        "taps = accelerator.taps([picture])  # uint8 [N, h, w, C]\n"
        "np.save('taps.npy', taps)\n"
        "print(taps.shape, taps.max())",
    ),
]


def notebook(config: str, head: str = "cam") -> bytes:
    """A Jupyter notebook that opens the accelerator, shows a golden image under its heatmap, and measures."""
    cells: list[tuple[str, str]] = [
        ("markdown", f"# {config} on the board\n\nRun the cells in order. The first one programs the chip."),
        (
            "code",
            "from cam_board import CamAccelerator\n\n"
            "accelerator = CamAccelerator(package='.')\n"
            "print(accelerator.bundle.manifest['config'], accelerator.bundle.manifest['build_id'])",
        ),
        ("markdown", "A golden image: class, score, and where in the image the evidence lies."),
        (
            "code",
            "from IPython.display import Image\n"
            "from cam_board.overlay import draw, png\n\n"
            "picture = accelerator.bundle.golden()['images'][0]\n"
            "answer = accelerator.predict(picture)\n"
            "print(answer.label, round(answer.score, 3), 'peak', answer.peak, 'box', answer.box)\n"
            "Image(png(draw(picture, answer)))",
        ),
        ("markdown", "Your own picture: any size; put its path here."),
        (
            "code",
            "from pathlib import Path\n"
            "from cam_board.pictures import read_picture\n\n"
            "path = Path('my_picture.jpg')\n"
            "if path.is_file():\n"
            "    picture = read_picture(path)\n"
            "    answer = accelerator.predict(picture)\n"
            "    print(answer.label, round(answer.score, 3))\n"
            "    display(Image(png(draw(picture, answer))))",
        ),
        *(TAPS if head == "tap" else []),
        ("markdown", "Images a second, latency, and power where the board measures it."),
        (
            "code",
            "from cam_board.measure import latency, power, throughput\n\n"
            "print(throughput(accelerator))\nprint(latency(accelerator))\nprint(power())",
        ),
        ("markdown", "The buffers are given back here."),
        ("code", "accelerator.close()"),
    ]
    made = {
        "cells": [_cell(number, kind, text) for number, (kind, text) in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return (json.dumps(made, indent=1, ensure_ascii=False) + "\n").encode()


def _cell(number: int, kind: str, text: str) -> dict[str, object]:
    cell: dict[str, object] = {
        "cell_type": kind,
        "id": f"cell-{number}",
        "metadata": {},
        "source": text.splitlines(keepends=True),
    }
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})
