"""The package's `README.md`: what it is, what is missing, and how the accelerator is spoken to."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from finn_build.package import contents, driver
from finn_build.package import manifest as m
from finn_build.package.portable import MEANINGS

SENDS = {
    "cam": "sends the class, the logits and a class activation map: where in the image the evidence for the class "
    "lies.",
    "tap": "sends the tap, the network's last feature map. The driver computes class, logits and class activation map "
    "from it on the board's processor: the same bytes as an accelerator with a CAM block sends.",
    "logits": "sends the logits. It is a reference for accelerators with another head: no driver is for it.",
}
"""What leaves the accelerator, by its head."""


def readme(made: m.Manifest, files: Mapping[str, bytes]) -> bytes:
    """The page, for a manifest that lists no files yet, and the files themselves."""
    shape = " × ".join(str(size) for size in made.input.shape)
    parts = [
        f"# {made.config}: deployment package, {made.state}",
        f"An accelerator for {made.part} at {made.clock_mhz:g} MHz, build id `{made.build_id}`. It takes an image and "
        + SENDS[made.head],
        *(["## What is not in it yet\n\n" + "\n".join(f"- {line}" for line in made.missing)] if made.missing else []),
        *([_board_text(made)] if driver.INSTALL in files else []),
        "## What is in it\n\n" + _table(("file", "what it is"), _described(files)),
        f"## Input\n\nOne image at a time: raw pixels, UINT8 [{shape}], RGB, channels innermost, no mean, no scaling.",
    ]
    if made.packet is not None:
        parts.append(_packet_text(made.packet))
    if made.tap is not None:
        parts.append(_tap_text(made.tap))
    if made.registers:
        rows = [(f"`0x{r.offset:02x}`", r.name, r.access, r.meaning) for r in made.registers]
        parts.append(
            "## Registers (AXI-lite, 32 bits, sampled at a frame's first beat)\n\n"
            + _table(("offset", "name", "access", "meaning"), rows)
        )
    if made.weights is not None:
        parts.append(_weights_text(made.weights))
    parts.append(
        "## Paths in the generated sources\n\nNo path of the machine that made them is left. What stands for one:\n\n"
        + _table(("in a file", "means"), [(f"`{stands}`", means) for stands, means in MEANINGS.items()])
    )
    parts.append(
        f"## Checking it\n\n`{m.MANIFEST}` lists every other file with its size and SHA-256; the same build gives the "
        "same package, byte for byte."
    )
    return ("\n\n".join(parts) + "\n").encode()


def _board_text(made: m.Manifest) -> str:
    """What to type on the board."""
    source = Path(__file__).with_name("files").joinpath("board.md.j2").read_text(encoding="utf-8")
    bitfile = contents.bitfile(made.config)
    template = Environment(  # noqa: S701  (Markdown, not HTML)
        undefined=StrictUndefined, trim_blocks=True
    ).from_string(source)
    return template.render(
        packed=made.bitfile is not None,
        bitfile=bitfile,
        description=contents.bitfile(made.config, ".hwh"),
        option="" if made.bitfile else f" --bitfile {bitfile}",
        weights=made.weights is not None,
        tap=made.tap is not None,
        config=made.config,
    ).rstrip()


def _described(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    nodes = {path.split("/")[2] for path in files if path.startswith(f"{contents.NODES}/")}
    rows = [
        (contents.HEAD, "FC weights (int8), biases, scales, labels, as numpy arrays"),
        (contents.WORDS, "the same weights as words of the weight memory"),
        (contents.CAM, "sizes of the CAM block, scale of the logits, threshold of the box"),
        (contents.LABELS, "names of the classes, in order"),
        (contents.CONFIG, "the build's settings"),
        (contents.GOLDEN, "images, and what the accelerator has to answer, exactly"),
        (f"{driver.LIBRARY}/arithmetic.py", "what the host computes from the tap: the CAM block's specification"),
        (f"{driver.FOLDER}/__init__.py", "the driver; its command line is `python3 -m cam_board`"),
        (driver.INSTALL, "checks the board, links the notebook, runs the self-test"),
        (driver.NOTEBOOK, "the same in Jupyter"),
        (contents.GRAPH, "the specialised dataflow graph that the sources were generated from"),
        (contents.FOLDING, "PE and SIMD of every node"),
    ]
    found = [(f"`{path}`", what) for path, what in rows if path in files]
    found += [(f"`{contents.NODES}/`", f"generated sources of {len(nodes)} nodes")] if nodes else []
    if any(path.startswith(f"{contents.CAM_SOURCES}/") for path in files):
        found.append((f"`{contents.CAM_SOURCES}/`", "sources of the CAM block with this network's weights"))
    found += [(f"`licences/{name}.txt`", f"for {what}") for name, what in contents.LICENCES.items()]
    return [row for row in found if not row[0].startswith("`licences/") or row[0].strip("`") in files]


def _packet_text(packed: m.Packet) -> str:
    return (
        f"## Output\n\nOne packet of {packed.bytes:,} bytes an image, little-endian:\n\n"
        + _table(
            ("bytes", "what"),
            [
                ("0–15", "u16 version, class, shown class, peak x, peak y, flags (1 gated, 2 constant map); u32 frame"),
                (f"{packed.header_bytes}–{packed.header_bytes + 4 * packed.classes - 1}", f"{packed.classes} × int32"),
                (
                    f"from {packed.header_bytes + 4 * packed.classes}",
                    f"{packed.maps} × {packed.height} × {packed.width} bytes: heatmap, row by row; then zeros",
                ),
            ],
        )
        + "\n\nlogit = integer logit × `logit_scale` of `cam.json`; score = softmax of the logits."
    )


def _tap_text(sent: m.Tap) -> str:
    beat = -(-sent.lanes * sent.bits // 8)
    held = "One value" if sent.lanes == 1 else f"{sent.lanes} values, the first in the low bits,"
    rest = ", the rest zeros" if sent.lanes * sent.bits % 8 else ""
    return (
        f"## Output\n\nOne tap of {sent.bytes:,} bytes an image: UINT{sent.bits} [{sent.height} × {sent.width} × "
        f"{sent.channels}], channels innermost. {held} to {beat} {'byte' if beat == 1 else 'bytes'}{rest}; "
        "there is no header, and no frame counter. `cam_postproc.hostside.unpack_stream` takes it apart. No AXI-lite "
        "registers but the DMAs'."
    )


def _weights_text(memory: m.WeightMemory) -> str:
    return (
        f"## Weight memory\n\n{memory.banks} banks of {memory.words:,} words from `0x{memory.offset:04x}` on: bank b "
        f"begins at `0x{memory.offset:04x} + 4·b·{memory.words}`. `{memory.file}` holds one bank. The INT8 weight of "
        "class c and channel k is byte c·channels + k."
    )


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
