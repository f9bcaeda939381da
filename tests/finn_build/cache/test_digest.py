"""A digest of a folder sees all that a reader of the folder sees."""

from pathlib import Path

from finn_build.cache.digest import folder_digest


def test_links_to_folders_are_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "0.png").write_text("a")
    data = tmp_path / "data"
    data.mkdir()
    (data / "cat").symlink_to(tmp_path / "elsewhere")
    before = folder_digest(data)
    (tmp_path / "elsewhere" / "0.png").write_text("b")
    assert folder_digest(data) != before


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    before = folder_digest(tmp_path)
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert folder_digest(tmp_path) == before
