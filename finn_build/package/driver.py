"""The board's side of a package: driver, shared host code, `install.sh` and notebook."""

import json
from pathlib import Path

import cam_postproc.hostside
import finn_build.board
import finn_build.board.__main__  # reaches every module of the driver: a stage's key holds what its module imports

FOLDER, INSTALL, NOTEBOOK, SHARED = "cam_board", "install.sh", "cam_board.ipynb", "hostside.py"
_FILES = Path(__file__).with_name("files")


def driver_files(config: str) -> dict[str, bytes]:
    """All of it by path: the same bytes for the same sources and config."""
    folder = Path(finn_build.board.__file__).parent
    files = {f"{FOLDER}/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.py"))}
    # The checkout has a stand-in there; a package holds the shared file itself.
    files[f"{FOLDER}/{SHARED}"] = Path(cam_postproc.hostside.__file__).read_bytes()
    files[INSTALL] = (_FILES / INSTALL).read_bytes().replace(b"@CONFIG@", config.encode())
    files[NOTEBOOK] = notebook(config)
    return files


def notebook(config: str) -> bytes:
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
