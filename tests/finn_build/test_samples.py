"""The shipped pictures and the golden images derived from them keep their bytes."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from finn_build import samples


@pytest.mark.parametrize(
    ("size", "count", "digest"),
    [
        (32, 19, "44f580d6ea14fe7289e03d0da5f33415c89d7ad297cbf6b90c87b95739845c49"),
        (64, 19, "2f09d56aa6a3701415fb2b9af343f40eb8a80a2c821a25f97b2e20c5893f0c9c"),
        (224, 5, "d46e70bf8f872c5ff59bd7a9dc17255f3c614ad1e0031b741723e55ba6f2e4bc"),
    ],
)
def test_golden_images(size: int, count: int, digest: str) -> None:
    images = samples.golden_images(size)
    assert images.shape == (count, size, size, 3)
    assert len({image.tobytes() for image in images}) == count
    assert (images[-3] == 0).all()
    assert (images[-2] == 255).all()
    # Other bytes would be another golden set: every build would have to make its own again.
    assert hashlib.sha256(images.tobytes()).hexdigest() == digest


@pytest.mark.parametrize("size", [8, 33, 128, 129, 256, 1024])
def test_any_size(size: int) -> None:
    crops = samples.golden_crops(size)
    assert crops.shape == ((16 if size <= 128 else 2), size, size, 3)
    assert crops.std() > 20


def test_blocks_are_averaged() -> None:
    pictures = dict(samples.example_pictures())
    block = pictures["astronaut"][:16, :16].reshape(-1, 3).astype(np.float64)
    corner = samples.golden_crops(8)[12, 0, 0]
    np.testing.assert_array_equal(corner, np.floor(block.mean(axis=0) + 0.5))


def test_pictures_are_small_and_credited() -> None:
    folder = Path(samples.__file__).parent
    readme = (folder / "README.md").read_text()
    for name, pixels in samples.example_pictures():
        assert pixels.dtype == np.uint8
        assert pixels.shape[2] == 3
        assert f"`{name}.png` ({pixels.shape[1]}×{pixels.shape[0]})" in readme
    pictures = [samples.picture_path(name) for name in samples.PICTURES]
    assert sorted(pictures) == sorted(folder.glob("*.png"))
    assert sum(path.stat().st_size for path in pictures) <= 300_000
