"""What `finn-cam localize` leaves behind: overlays, heatmaps, contact sheets, results as CSV and JSON."""

import csv
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cam_postproc.hostside import resize_image, scale_box, scale_point
from finn_build.localise import Answer, Picture
from finn_build.report.contact_sheet import SIDE, contact_sheet, draw_tile
from finn_build.report.overlay import Marks, Pixels, draw_overlay, to_png

MOST_DRAWN = 2048
"""Pixels of an overlay's longer side: larger pictures are drawn smaller. Results are in the picture's own pixels."""

SHORTEST_DRAWN = 256
TILES_A_SHEET = 96
COLUMNS = ("image", "class", "label", "score", "peak_x", "peak_y", "x0", "y0", "x1", "y1", "overlay", "heatmap")


def row_of(answer: Answer) -> dict[str, Any]:
    """An answer as JSON has it."""
    return {
        "image": answer.picture,
        "class": answer.class_index,
        "label": answer.label,
        "score": answer.score,
        "peak": None if answer.peak is None else list(answer.peak),
        "box": None if answer.box is None else list(answer.box),
    }


def write_results(
    folder: Path, answers: Sequence[Answer], load: Callable[[int], Picture], progress: Callable[[float], None]
) -> list[str]:
    """Writes NAME_overlay.png and NAME_heatmap.npy for each picture, contact sheets, results.csv and results.json.

    Args:
        folder: made if it is not there.
        answers: one a picture.
        load: gives a picture by its number; only one is held at a time.
        progress: told the fraction that is done.

    Returns:
        The overlays' file names. Pictures of equal names get a number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for stale in folder.glob("contact_sheet-*.png"):
        # Of an earlier run with more pictures; whatever else lies there stays.
        stale.unlink()
    stems = _stems([answer.picture for answer in answers])
    tiles: list[Pixels] = []
    for number, (stem, answer) in enumerate(zip(stems, answers, strict=True)):
        picture = load(number)
        caption = f"{answer.label} {answer.score:.2f}"
        drawn, marks = _fitted(picture, answer, caption, MOST_DRAWN)
        overlay = draw_overlay(drawn, answer.heatmap, marks, shortest_side=_shortest_side(drawn))
        (folder / _overlay(stem)).write_bytes(to_png(overlay))
        np.save(folder / _heatmap(stem), answer.heatmap, allow_pickle=False)
        small, marks = _fitted(picture, answer, f"{caption} · {stem}", SIDE)
        tiles.append(draw_tile(small, answer.heatmap, marks))
        if len(tiles) == TILES_A_SHEET or number + 1 == len(answers):
            page = number // TILES_A_SHEET + 1
            name = "contact_sheet.png" if page == 1 else f"contact_sheet-{page}.png"
            (folder / name).write_bytes(to_png(contact_sheet(tiles)))
            tiles = []
        progress((number + 1) / len(answers))
    rows = [
        {**row_of(answer), "overlay": _overlay(stem), "heatmap": _heatmap(stem)}
        for stem, answer in zip(stems, answers, strict=True)
    ]
    (folder / "results.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / "results.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, extrasaction="ignore", lineterminator="\n")
        table.writeheader()
        table.writerows({**row, **_flat(row)} for row in rows)
    return [_overlay(stem) for stem in stems]


def _overlay(stem: str) -> str:
    return f"{stem}_overlay.png"


def _heatmap(stem: str) -> str:
    return f"{stem}_heatmap.npy"


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Peak and box as columns, empty where there is none."""
    peak, box = row["peak"] or ["", ""], row["box"] or [""] * 4
    return dict(zip(COLUMNS[4:10], [*peak, *box], strict=True))


def _stems(names: Sequence[str]) -> list[str]:
    """Names that differ in more than case, which not every file system tells apart."""
    stems: list[str] = []
    taken: set[str] = set()
    for name in names:
        stem, number = Path(name).stem, 2
        while stem.casefold() in taken:
            stem = f"{Path(name).stem}-{number}"
            number += 1
        taken.add(stem.casefold())
        stems.append(stem)
    return stems


def _fitted(picture: Picture, answer: Answer, caption: str, most: int) -> tuple[Pixels, Marks]:
    """The picture with at most `most` pixels on its longer side, and the marks in its pixels."""
    longest = max(picture.size)
    if longest <= most:
        return picture.pixels, Marks(caption, answer.peak, answer.box)
    height, width = (max(1, side * most // longest) for side in picture.size)
    peak = None if answer.peak is None else scale_point(answer.peak, picture.size, (height, width))
    box = None if answer.box is None else scale_box(answer.box, picture.size, (height, width))
    return resize_image(picture.pixels, height, width), Marks(caption, peak, box)


def _shortest_side(picture: Pixels) -> int:
    """What `draw_overlay` enlarges to: no strip of pixels becomes longer than the longest overlay."""
    short, long = sorted(picture.shape[:2])
    return int(short * min(math.ceil(SHORTEST_DRAWN / short), max(1, MOST_DRAWN // long)))
