"""A config is checked in full before anything runs, and a mistake is told in one line."""

from pathlib import Path

import pytest

from finn_build.config import config_names, load_config
from finn_build.errors import UserError

GOOD = """
[model]
groups = { blocks = [1], channels = [8], strides = [1] }
checkpoint = "weights.safetensors"

[input]
size = 16

[data]
dataset = "cifar10"
classes = 3
"""


def written(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("name", config_names())
def test_every_shipped_config_is_valid(name: str) -> None:
    config = load_config(name)
    assert config.name == name
    assert len(config.labels) == config.data.classes


def test_the_config_that_ends_in_the_tap_is_its_twin_in_all_else() -> None:
    twin, config = load_config("resnet8_loc_5w5a"), load_config("resnet8_loc_5w5a_tap")
    assert config.hardware.head == "tap"
    own = {"name": config.name, "file": config.file, "hardware": twin.hardware.model_copy(update={"head": "tap"})}
    assert config == twin.model_copy(update=own)


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, GOOD))
    assert config.model.checkpoint == tmp_path / "weights.safetensors"
    assert config.cam_output == 16
    assert config.labels == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("size = 16", "sizes = 16"), ["[input] sizes", "did you mean size?"]),
        (("[input]", "[inputs]"), ["[inputs]", "did you mean input?"]),
        (("size = 16", 'size = "16"'), ["[input] size", "a whole number", "'16'"]),
        (("size = 16", "size = 4"), ["[input] size", "greater than or equal to 8"]),
        (("size = 16", ""), ["[input] size", "nothing", "add it"]),
        (("classes = 3", 'classes = 3\nlabels = ["a"]'), ["1 labels for 3 classes"]),
        (("strides = [1]", "strides = [1, 2]"), ["one entry a group"]),
        (("[model]", 'name = "x"\n[model]'), ["[name]", "unknown key"]),
        (("size = 16", "size = ="), ["a TOML file"]),
        (("classes = 3", "classes = 3\n[folding]\nfile = 'a'\ntarget_fps = 3"), ["not both"]),
        (("groups = {", 'source = "url"\ngroups = {'), ["[model] source", "'checkpoint' or 'onnx'"]),
        (("blocks = [1]", "block = [1]"), ["[model] groups.block", "did you mean blocks?"]),
        (("blocks = [1]", "blocks = [1000000]"), ["[model] groups", "at most 64 blocks"]),
        (("channels = [8]", "channels = [99999999]"), ["[model] groups", "4096 channels"]),
        (("groups = {", "groups = 3 #"), ["[model] groups", "a table", "got 3"]),
        (("weights.safetensors", "a\\u0000b"), ["[model] checkpoint", "zero byte"]),
        (("classes = 3", 'classes = 3\nlabels = ["a", "b", " "]'), ["[data] labels.2", "printable"]),
        (("classes = 3", "classes = 3\n[hardware]\npart = 'xcu250'"), ["[hardware] part", "'xc7z020clg400-1'"]),
        (("classes = 3", "classes = 3\n[folding]\ntarget_fps = inf"), ["[folding] target_fps", "finite", "inf"]),
        (("size = 16", "size = 16\nstd = [1.0, 0.0, 1.0]"), ["[input] std.1", "greater than 0"]),
        (("size = 16", "size = 16\nlayout = 'HWC'"), ["[input] layout", "'NCHW' or 'NHWC'"]),
        (("size = 16", "size = 16\nmean = [0.5, 0.5, 0.5]"), ["[input] mean", "expects pixel/255"]),
        (("size = 16", "size = " + "9" * 5000), ["a TOML file", "digits"]),
        (("size = 16", "size = " + "[" * 3000), ["a TOML file", "recursion"]),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, change: tuple[str, str], words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        load_config(written(tmp_path, GOOD.replace(*change)))
    message = str(caught.value)
    assert "\n" not in message
    assert all(word in message for word in words), message


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean ntu_resnet8_5w5a"):
        load_config("ntu_resnet8_5w5")
    with pytest.raises(UserError, match="no such file"):
        load_config("nowhere/mine.toml")


@pytest.mark.parametrize("name", ["..toml", "...toml"])
def test_a_name_that_is_no_folder_is_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(GOOD)
    with pytest.raises(UserError, match=r"a file name to call the results by.*rename it"):
        load_config(str(tmp_path / name))


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load_config(str(path)).input.size == 16


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").mkdir()
    with pytest.raises(UserError, match="a folder"):
        load_config(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize(("stem", "size", "fits"), [("imagenet", 16, True), ("imagenet", 8, False), ("cifar", 8, True)])
def test_strides_leave_a_map(tmp_path: Path, stem: str, size: int, fits: bool) -> None:
    text = GOOD.replace("[model]", f'[model]\nstem = "{stem}"').replace("strides = [1]", "strides = [2]")
    path = written(tmp_path, text.replace("size = 16", f"size = {size}"))
    if fits:
        assert load_config(path).input.size == size
        return
    with pytest.raises(UserError, match=r"a map of 1×1 pixels"):
        load_config(path)
