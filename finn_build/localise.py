"""What a packet says of a picture: class, score, peak, box and heatmap, in the picture's own pixels."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cam_postproc.hostside import PacketLayout, decode_packets, largest_box, resize_image, scale_box, scale_point
from cam_postproc.hostside import softmax_scores as scores_of
from finn_build.errors import UserError
from finn_build.head import Head

UInt8 = NDArray[np.uint8]

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".JPEG")
MOST_PIXELS = 200_000_000


@dataclass(frozen=True)
class Picture:
    """A picture as the user gave it: a name for the results, and uint8 [H, W, 3], RGB."""

    name: str
    pixels: UInt8

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True)
class Answer:
    """What the accelerator says of one picture.

    Attributes:
        picture: its name.
        size: its (height, width).
        class_index: argmax of the logits.
        label: that class's name.
        score: its share of the softmax of the dequantised logits.
        scores: of every class, float64 [classes].
        peak: [x, y] in the picture's pixels; None for a constant map.
        box: [x0, y0, x1, y1], inclusive, in the picture's pixels; None where no pixel lies above the threshold.
        heatmap: uint8 [H, W] at the size of the packet.
    """

    picture: str
    size: tuple[int, int]
    class_index: int
    label: str
    score: float
    scores: NDArray[np.float64]
    peak: tuple[int, int] | None
    box: tuple[int, int, int, int] | None
    heatmap: UInt8


def network_input(pictures: Sequence[Picture], size: int) -> UInt8:
    """The pictures as the network sees them: uint8 [N, size, size, 3]."""
    return np.stack([resize_image(picture.pixels, size, size) for picture in pictures])


def read_packets(
    packets: UInt8, layout: PacketLayout, head: Head, threshold: float, pictures: Sequence[Picture]
) -> list[Answer]:
    """Reads one packet a picture.

    Args:
        packets: uint8 [N, L].
        layout: of the packets.
        head: whose labels and scales they are in.
        threshold: τ of the box, a fraction of the map's peak.
        pictures: in the packets' order.
    """
    read = decode_packets(layout, packets)
    scores = scores_of(read.logits, head.logit_scale)
    return [answer(picture, scores[i], read.maps[i, 0], head.labels, threshold) for i, picture in enumerate(pictures)]


def answer(
    picture: Picture, scores: NDArray[np.float64], heatmap: UInt8, labels: Sequence[str], threshold: float
) -> Answer:
    """What scores and a heatmap at network size say of a picture.

    Args:
        picture: in whose pixels peak and box are.
        scores: float64 [classes], softmax of the logits.
        heatmap: uint8 [H, W]; all zeros for a constant or gated map, which has neither peak nor box.
        labels: the classes' names.
        threshold: τ of the box.
    """
    index = int(scores.argmax())
    network = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), network[1])
    box = largest_box(heatmap, threshold)
    return Answer(
        picture=picture.name,
        size=picture.size,
        class_index=index,
        label=labels[index],
        score=float(scores[index]),
        scores=scores,
        peak=scale_point([x, y], network, picture.size) if heatmap.any() else None,
        box=None if box is None else scale_box(box, network, picture.size),
        heatmap=heatmap,
    )


def read_picture(path: Path) -> Picture:
    """Reads a picture file of any mode as RGB, upright, transparency on white.

    Raises:
        UserError: it is missing, no picture, truncated, or too large.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            if math.prod(opened.size) > MOST_PIXELS:
                raise UserError(str(path), f"at most {MOST_PIXELS:,} pixels", str(opened.size), "make it smaller")
            upright = ImageOps.exif_transpose(opened)
            return Picture(path.name, _as_rgb(upright))
    except FileNotFoundError:
        raise UserError(str(path), "a picture", "no such file", "correct the path") from None
    except IsADirectoryError:
        raise UserError(str(path), "a picture", "a folder", "give its files") from None
    except UnidentifiedImageError:
        raise UserError(str(path), "a picture (PNG, JPEG, …)", "a file of another kind", "convert it") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(str(path), "a whole picture", f"a broken one ({error})", "fetch it again") from None


def _as_rgb(image: object) -> UInt8:
    from PIL import Image

    if not isinstance(image, Image.Image):
        raise TypeError("no picture")
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit and floating grey: scaled to what the file uses, since convert() would clip it to white.
        values = np.asarray(image, dtype=np.float64)
        top = 65535.0 if values.max(initial=0.0) > 255 else 255.0
        grey = np.clip(np.rint(values * (255.0 / top)), 0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        over = Image.new("RGBA", image.size, (255, 255, 255, 255))
        over.alpha_composite(image.convert("RGBA"))
        image = over
    return np.array(image.convert("RGB"), dtype=np.uint8)


def find_pictures(arguments: Sequence[str]) -> list[Path]:
    """The picture files that files, folders and glob patterns name, each once, folders in sorted order.

    Raises:
        UserError: a pattern or folder holds none, or there is no such file.
    """
    import glob

    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.is_file() and p.suffix.lower() in PICTURE_SUFFIXES)
            if not inside:
                raise UserError(argument, "a folder with pictures", "none in it", "give another folder")
            found.extend(inside)
        elif path.exists() or not glob.has_magic(argument):
            found.append(path)
        else:
            matches = sorted(Path(name) for name in glob.glob(argument, recursive=True))  # noqa: PTH207  absolute too
            if not matches:
                raise UserError(argument, "a pattern that files match", "none", "correct the pattern")
            found.extend(p for p in matches if p.is_file())
    return list(dict.fromkeys(found))
