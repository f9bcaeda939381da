"""`python3 -m cam_board COMMAND`: classify, localize, taps, packets, throughput, selftest, camera, on the board."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from .accelerator import CamAccelerator
from .answer import Prediction
from .camera import camera
from .errors import BoardError, Refused
from .hostside import CamError, UInt8
from .measure import latency, power, throughput
from .overlay import draw, png
from .pictures import find_pictures, read_picture
from .selftest import self_test

FAILED, MISTAKE = 1, 2


def main(arguments: Sequence[str]) -> int:
    """Runs one command: 0 well, 1 the self-test failed, 2 an expected failure, told in one line."""
    options = _parser().parse_args(list(arguments))
    try:
        return int(options.run(options))
    except (BoardError, CamError) as error:
        name = error.name if isinstance(error, BoardError) else "refused"
        _say(f"cam_board: {name}: {error}", sys.stderr)
        if options.json:
            _say(json.dumps({"error": {"name": name, "message": str(error)}}))
        return MISTAKE
    except KeyboardInterrupt:
        _say("cam_board: interrupted", sys.stderr)
        return MISTAKE


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--bitfile", metavar="FILE", help="another .bit than the package's, its .hwh beside it")
    shared.add_argument("--package", metavar="DIR", help="the package's folder, if not the one above this driver")
    shared.add_argument("--batch", type=int, default=32, help="images in a buffer (32)")
    shared.add_argument("--timeout", type=float, metavar="SECONDS", help="after which a DMA counts as hung")
    shared.add_argument("--json", action="store_true", help="JSON on standard output")
    parser = argparse.ArgumentParser(prog="python3 -m cam_board", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[Any], int], text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, parents=[shared], help=text, description=text)
        made.set_defaults(run=run)
        return made

    for name, run, text in (
        ("classify", _classify, "class and score of pictures"),
        ("localize", _localize, "class, score, peak, box, and an overlay PNG a picture"),
    ):
        made = command(name, run, text)
        made.add_argument("images", nargs="+", metavar="IMAGE", help="files or folders")
        made.add_argument("--class", dest="class_id", metavar="CLASS", help="whose map is shown: number or name")
    made.add_argument("--out", default="localize", metavar="DIR", help="where overlays and results.json go")
    made = command("taps", _taps, "with head = tap: the last feature maps of pictures, for finn-cam localize --taps")
    made.add_argument("images", nargs="+", metavar="IMAGE", help="files or folders; or an .npy: uint8 [N, H, W, 3]")
    made.add_argument("--out", default="taps.npy", metavar="FILE", help="gets uint8 [N, h, w, C] (taps.npy)")
    made = command("packets", _packets, "the accelerator's own answers to an array of images")
    made.add_argument("input", metavar="IN.npy", help="uint8 [N, H, W, 3] at the network's size")
    made.add_argument("output", metavar="OUT.npy", help="gets uint8 [N, L]")
    made = command("throughput", _throughput, "images a second, latency, and watts where the board measures them")
    made.add_argument("--seconds", type=float, default=2.0)
    made = command("selftest", _selftest, "golden vectors in, exact comparison out")
    made.add_argument("--out", metavar="FILE", help="gets the report as JSON")
    made.add_argument("--seconds", type=float, default=1.0, help="of the throughput measurement; 0 for none")
    made = command("camera", _camera, "a web page with the camera's picture under its heatmap")
    made.add_argument("--source", default="0", help="number of a USB camera, or a folder of pictures (0)")
    made.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 shows it to the network")
    made.add_argument("--port", type=int, default=8080)
    made.add_argument("--frames", type=int, help="end after so many frames")
    return parser


def _open(options: Any) -> CamAccelerator:
    return CamAccelerator(options.bitfile, package=options.package, batch=options.batch, timeout_s=options.timeout)


def _class_of(accelerator: CamAccelerator, given: str | None) -> int | None:
    if given is None or given.isdigit():
        return None if given is None else int(given)
    if given not in accelerator.labels:
        raise Refused(f"--class: expected one of {', '.join(accelerator.labels)}, got {given!r}; correct it")
    return accelerator.labels.index(given)


def _predicted(options: Any) -> list[tuple[Path, Prediction]]:
    # Read before the accelerator is opened: a broken file costs no time.
    paths = find_pictures(options.images)
    pictures = [read_picture(path) for path in paths]
    with _open(options) as accelerator:
        answers = accelerator.predict(pictures, _class_of(accelerator, options.class_id))
    return list(zip(paths, answers))  # noqa: B905  equal by construction


def _classify(options: Any) -> int:
    found = _predicted(options)
    if options.json:
        _say(json.dumps([answer.row(str(path)) for path, answer in found]))
    else:
        for path, answer in found:
            _say(f"{path.name}: {answer.label} {answer.score:.3f}")
    return 0


def _localize(options: Any) -> int:
    found = _predicted(options)
    folder = Path(options.out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    taken: set[str] = set()
    for path, answer in found:
        stem, number = path.stem, 2
        # As on the host: no picture's files replace another's, not even where case does not count.
        while stem.casefold() in taken:
            stem, number = f"{path.stem}-{number}", number + 1
        taken.add(stem.casefold())
        (folder / f"{stem}_overlay.png").write_bytes(png(draw(read_picture(path), answer)))
        np.save(folder / f"{stem}_heatmap.npy", answer.heatmap, allow_pickle=False)
        rows.append({**answer.row(str(path)), "overlay": f"{stem}_overlay.png", "heatmap": f"{stem}_heatmap.npy"})
        if not options.json:
            _say(f"{path.name}: {answer.label} {answer.score:.3f}, peak {answer.peak}, box {answer.box}")
    (folder / "results.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    _say(json.dumps(rows) if options.json else f"in {folder}: overlays, heatmaps, results.json")
    return 0


def _taps(options: Any) -> int:
    array = [name for name in options.images if Path(name).suffix == ".npy"]
    if array and len(options.images) > 1:
        raise Refused("taps: expected pictures or one .npy of images, got both; run it twice")
    paths = [] if array else find_pictures(options.images)
    pictures = _array(array[0]) if array else [read_picture(path) for path in paths]
    out = Path(options.out)
    if out.suffix != ".npy":
        raise Refused(f"--out {out}: expected a name that ends in .npy, got {out.name!r}; correct it")
    with _open(options) as accelerator:
        taps = accelerator.taps(pictures)
        answers = accelerator.answers_of(taps, pictures)
    _save(options.out, taps)
    names = [str(path) for path in paths] or [f"{array[0]}[{number}]" for number in range(len(taps))]
    if options.json:
        rows = [answer.row(name) for name, answer in zip(names, answers)]  # noqa: B905  equal by construction
        _say(json.dumps({"taps": str(out), "shape": list(taps.shape), "pictures": rows}))
        return 0
    # In the file's order: whoever reads it has to name the same pictures so.
    for number, (name, answer) in enumerate(zip(names, answers)):  # noqa: B905  equal by construction
        _say(f"{number} {name}: {answer.label} {answer.score:.3f}")
    _say(f"in {out}: uint8 {list(taps.shape)}")
    return 0


def _packets(options: Any) -> int:
    images = _array(options.input)
    with _open(options) as accelerator:
        _save(options.output, accelerator.packets(images))
    return 0


def _array(name: str) -> Any:
    try:
        found = np.load(name, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        got = getattr(error, "strerror", None) or error
        raise Refused(f"{name}: expected an array of images, got {got}; save uint8 [N, H, W, 3]") from None
    if not isinstance(found, np.ndarray) or found.ndim != 4:
        got = "an archive" if not isinstance(found, np.ndarray) else f"{found.dtype} {list(found.shape)}"
        raise Refused(f"{name}: expected an array of images, got {got}; save uint8 [N, H, W, 3]")
    return found


def _save(name: str, array: UInt8) -> None:
    try:
        np.save(name, array, allow_pickle=False)
    except OSError as error:
        raise Refused(f"{name}: expected a file that can be written, got {error.strerror}; choose another") from None


def _throughput(options: Any) -> int:
    with _open(options) as accelerator:
        found = {"throughput": throughput(accelerator, options.seconds), "latency": latency(accelerator)}
    found["power"] = power()  # type: ignore[assignment]
    if options.json:
        _say(json.dumps(found))
        return 0
    fast, slow, watts = found["throughput"], found["latency"], found["power"]
    _say(f"{fast['fps']:.1f} images a second ({fast['images']} images in batches of {fast['batch']})")
    _say(f"latency {slow['median_ms']:.2f} ms (median), {slow['worst_ms']:.2f} ms (worst of {slow['runs']})")
    _say(f"power {watts} W" if watts else "power: this board has no sensor for it")
    return 0


def _selftest(options: Any) -> int:
    report = self_test(lambda: _open(options), options.seconds)
    text = json.dumps(report, indent=1)
    if options.out:
        Path(options.out).write_text(text + "\n", encoding="utf-8")
    if options.json:
        _say(text)
    elif report["passed"]:
        _say(f"self-test passed: {report['images']} golden images, {report['bytes']} bytes, all as they have to be")
        if "throughput" in report:
            fps, ms = report["throughput"]["fps"], report["latency"]["median_ms"]
            _say(f"{fps:.1f} images a second, latency {ms:.2f} ms")
    for error in report["errors"]:
        _say(f"cam_board: {error['name']}: {error['message']}", sys.stderr)
    return 0 if report["passed"] else FAILED


def _camera(options: Any) -> int:
    with _open(options) as accelerator:
        return camera(accelerator, options.source, options.host, options.port, options.frames, _say)


def _say(text: str, stream: TextIO | None = None) -> None:
    out = stream or sys.stdout
    out.write(text + "\n")
    out.flush()
