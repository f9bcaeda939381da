"""The deployment package: whole, repeatable, without machine paths, safe to read, told apart from a spoilt one."""

import hashlib
import io
import json
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finn_build.deploy import Board, deploy
from finn_build.environment import ROOT
from finn_build.errors import CheckFailed, UserError
from finn_build.head import Head, read_head, write_arrays, write_head
from finn_build.package import build as package_build
from finn_build.package.build import PackageResult, PackageSources, build_package, publish_package
from finn_build.package.manifest import Tap
from finn_build.package.portable import machine_roots
from finn_build.package.verify import verify_package

CLASSES, CHANNELS = 3, 5


@pytest.fixture
def sources(tmp_path: Path) -> PackageSources:
    """A small network's results, laid out as a build leaves them."""
    build = tmp_path / "build/tiny"
    nodes = build / "codegen"
    rng = np.random.default_rng(7)
    (nodes / "MVAU_rtl_0").mkdir(parents=True)
    wrapper = f'parameter INIT_FILE = "{nodes}/MVAU_rtl_0/memblock.dat"; // from {build}/.partial/codegen/x.v\n'
    (nodes / "MVAU_rtl_0/wrapper.v").write_text(wrapper)
    (nodes / "MVAU_rtl_0/memblock.dat").write_text("0f\n1e\n")
    (nodes / "MVAU_rtl_0/weights.npy").write_bytes(b"\x93NUMPY")
    (nodes / "CamHead_hls_0").mkdir()
    (nodes / "CamHead_hls_0/hls_syn.tcl").write_text(f'add_files "{ROOT}/cam_postproc/hls/cpp/cam.hpp"\n')
    (build / "cam_sources").mkdir()
    (build / "cam_sources/config.hpp").write_text("static const int CLASSES = 3;\n")
    head = Head(
        fc_weight=rng.integers(-15, 16, (CLASSES, CHANNELS)).astype(np.int8),
        bias=np.array([1, -2, 3], np.int32),
        weight_scale=0.03,
        tap_scale=0.11,
        tap_shape=(1, 2, 2, CHANNELS),
        tap_bits=5,
        labels=("cat", "dög", "a | <b>\n"),
    )
    write_head(build / "head.npz", head)
    images = rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    write_arrays(build / "golden.npz", {"images": images, "logits": np.zeros((2, CLASSES), np.int32)})
    return PackageSources(
        config="tiny",
        part="xc7z020clg400-1",
        clock_mhz=100.0,
        image_size=8,
        head_file=build / "head.npz",
        golden_file=build / "golden.npz",
        nodes=nodes,
        output=8,
        versions={"finn-plus": "1.6.1"},
        settings={"folding": {"file": f"{ROOT}/configs/tiny.json"}},
        cam_sources=build / "cam_sources",
        runtime_weights=True,
    )


@pytest.fixture
def made(sources: PackageSources, tmp_path: Path) -> PackageResult:
    return build_package(sources, tmp_path / "out")


def rezip(path: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)


def test_folder_and_zip_hold_the_same_whole_package(made: PackageResult) -> None:
    assert (made.folder.name, made.archive.name) == ("deploy", "tiny-deploy.zip")
    assert verify_package(made.folder) == verify_package(made.archive) == made.manifest
    with zipfile.ZipFile(made.archive) as archive:
        for name in archive.namelist():
            assert (made.folder / name).read_bytes() == archive.read(name)
    listed = {file.path for file in made.manifest.files}
    assert listed >= {
        "README.md",
        "weights/head.npz",
        "weights/fc_words.bin",
        "cam.json",
        "labels.json",
        "config.json",
        "golden/golden.npz",
        "hardware/nodes/MVAU_rtl_0/wrapper.v",
        "hardware/nodes/MVAU_rtl_0/memblock.dat",
        "hardware/cam/config.hpp",
        "licences/finn-plus.txt",
    }
    assert "hardware/nodes/MVAU_rtl_0/weights.npy" not in listed


def test_it_says_what_it_is_and_what_is_missing(made: PackageResult, sources: PackageSources) -> None:
    manifest = json.loads((made.folder / "manifest.json").read_text())
    assert manifest["state"] == "without bitfile"
    assert manifest["bitfile"] is None
    assert any(".bit" in line for line in manifest["missing"])
    assert {register["name"]: register["offset"] for register in manifest["registers"]} == {
        "class_select": 0x10,
        "gate": 0x18,
        "weight_bank": 0x20,
        "build_id": 0x30,
    }
    # 16 bytes of header, three logits, 64 bytes of map, filled to a multiple of eight.
    assert manifest["packet"]["bytes"] == 96
    assert manifest["weights"] == {"offset": 0x1000, "banks": 2, "words": 7, "file": "weights/fc_words.bin"}
    readme = (made.folder / "README.md").read_text()
    for words in ("without bitfile", "Vivado", "One packet of 96 bytes", "`0x30`", made.manifest.build_id):
        assert words in readme
    assert json.loads((made.folder / "labels.json").read_text()) == list(read_head(sources.head_file).labels)
    assert made.summary.files == len(made.manifest.files) + 1
    assert made.summary.sha256 == hashlib.sha256(made.archive.read_bytes()).hexdigest()
    assert not made.summary.bitfile


def test_words_are_the_weights_row_by_row_then_biases(made: PackageResult, sources: PackageSources) -> None:
    head = read_head(sources.head_file)
    words = np.fromfile(made.folder / "weights/fc_words.bin", "<u4")
    assert len(words) == 4 + CLASSES
    read = [struct.unpack("b", struct.pack("B", (words[i // 4] >> (8 * (i % 4))) & 255))[0] for i in range(15)]
    assert read == head.fc_weight.reshape(-1).tolist()
    assert words[3] >> 24 == 0
    assert words[4:].view("<i4").tolist() == [1, -2, 3]


def test_settings_turn_integers_into_scores(made: PackageResult) -> None:
    cam = json.loads((made.folder / "cam.json").read_text())
    assert cam["logit_scale"] == pytest.approx(0.03 * 0.11 / 4)
    assert (cam["map"], cam["output"], cam["channels"], cam["threshold"]) == ([2, 2], [8, 8], CHANNELS, 0.5)


def test_rom_weights_promise_no_memory(sources: PackageSources, tmp_path: Path) -> None:
    rom = build_package(replace(sources, runtime_weights=False), tmp_path / "rom").manifest
    assert rom.weights is None
    assert "weight_bank" not in {register.name for register in rom.registers}
    assert "Weight memory" not in (tmp_path / "rom/deploy/README.md").read_text()


def test_other_heads_have_neither_packet_nor_registers(sources: PackageSources, tmp_path: Path) -> None:
    for head in ("tap", "logits"):
        graph = tap_graph(tmp_path / "graph.onnx", 5)
        made = build_package(replace(sources, head=head, cam_sources=None, graph=graph), tmp_path / head)
        assert (made.manifest.packet, made.manifest.registers, made.manifest.weights) == (None, (), None)
        listed, readme = {file.path for file in made.manifest.files}, (made.folder / "README.md").read_text()
        assert "hardware/cam" not in readme
        assert "weights/fc_words.bin" not in listed
        # The driver is for what is hardware.
        assert ("install.sh" in listed) == ("cam_board/cli.py" in listed) == (head == "tap")
        assert ("no driver is for it" in readme) == (made.manifest.missing == ()) == (head == "logits")
    assert made.manifest.dmas == ()
    with pytest.raises(UserError, match="expected a package with a driver, got head = logits, which has none"):
        deploy(Board("board"), made.archive, None, tmp_path / "report.json", print)


def tap_graph(path: Path, lanes: int, kind: str = "UINT5", counts: str = "UINT8") -> Path:
    """A graph that ends in the DMA for the tap of `sources`, 2×2 pixels of 5 channels, `lanes` values a beat."""
    shape = [1, 2, 2, CHANNELS]
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("stream", "tap")]
    node = onnx.helper.make_node(
        "IODMA_hls", ["stream"], ["tap"], "IODMA_hls_0", domain="finn.custom_op.fpgadataflow.hls",
        backend="fpgadataflow", direction="out", dataType=counts, intfWidth=64, streamWidth=8 * -(-5 * lanes // 8),
        numInputVectors=[1, 2, 2, CHANNELS // lanes], NumChannels=-(-5 * lanes // 8),
    )  # fmt: skip
    graph = onnx.helper.make_graph([node], "g", values[:1], values[1:])
    model = ModelWrapper(onnx.helper.make_model(graph))
    model.set_tensor_datatype("tap", DataType[kind])
    model.save(str(path))
    return path


def test_a_tap_is_described_as_its_dma_writes_it(sources: PackageSources, tmp_path: Path) -> None:
    graph = tap_graph(tmp_path / "graph.onnx", 5)
    made = build_package(replace(sources, head="tap", graph=graph), tmp_path / "tap")
    # Five values of five bits to a beat of four bytes, four beats.
    assert made.manifest.tap == Tap(bytes=16, height=2, width=2, channels=5, bits=5, lanes=5)
    assert [dma.bytes for dma in made.manifest.dmas] == [192, 16]
    assert "5 values, the first in the low bits, to 4 bytes, the rest zeros" in (made.folder / "README.md").read_text()
    for name in ("arithmetic", "spec", "hostside", "checks", "errors", "__init__"):
        assert (made.folder / f"cam_postproc/{name}.py").read_bytes() == (ROOT / f"cam_postproc/{name}.py").read_bytes()
    assert (made.folder / "cam_board/hostside.py").read_bytes() == (ROOT / "finn_build/board/hostside.py").read_bytes()


def test_a_tap_that_the_driver_could_not_read_is_no_package(sources: PackageSources, tmp_path: Path) -> None:
    path, out = tmp_path / "graph.onnx", tmp_path / "out"
    for graph, error, words in (
        (tap_graph(path, 1), UserError, "expected a tap of whole beats of 8 bytes, got 20 bytes; fold the last layer"),
        (None, UserError, "expected the graph of the generated code, got no such file"),
    ):
        with pytest.raises(error, match=words):
            build_package(replace(sources, head="tap", graph=graph), out)
    for kind, counts, words in (("UINT4", "UINT8", "ends in no DMA for UINT5"), ("UINT5", "UINT5", "are no tap of")):
        with pytest.raises(CheckFailed, match=words):
            build_package(replace(sources, head="tap", graph=tap_graph(path, 5, kind, counts)), out)
    assert not out.exists()


def test_the_same_sources_give_the_same_bytes_anywhere(
    sources: PackageSources, made: PackageResult, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "another/place"
    shutil.copytree(sources.nodes.parent, elsewhere)
    for path in elsewhere.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
        path.chmod(0o700)
    wrapper = elsewhere / "codegen/MVAU_rtl_0/wrapper.v"
    wrapper.write_text(wrapper.read_text().replace(str(sources.nodes.parent), str(elsewhere)))
    moved = replace(
        sources,
        nodes=elsewhere / "codegen",
        head_file=elsewhere / "head.npz",
        golden_file=elsewhere / "golden.npz",
        cam_sources=elsewhere / "cam_sources",
    )
    again = build_package(moved, tmp_path / "out2")
    assert again.archive.read_bytes() == made.archive.read_bytes()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in again.folder.rglob("*") if path.is_file()}
    assert modes == {0o644, 0o755}
    with zipfile.ZipFile(again.archive) as archive:
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == sorted(archive.namelist())


def test_no_path_of_this_machine_is_left(made: PackageResult, tmp_path: Path) -> None:
    for path in made.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            for root in (str(tmp_path), str(ROOT)):
                assert root.encode() not in content, path
    wrapper = (made.folder / "hardware/nodes/MVAU_rtl_0/wrapper.v").read_text()
    assert wrapper == 'parameter INIT_FILE = "@NODES@/MVAU_rtl_0/memblock.dat"; // from @NODES@/x.v\n'
    assert "@CHECKOUT@/cam_postproc" in (made.folder / "hardware/nodes/CamHead_hls_0/hls_syn.tcl").read_text()
    assert json.loads((made.folder / "config.json").read_text())["folding"]["file"] == "@CHECKOUT@/configs/tiny.json"


def test_a_binary_file_with_a_path_stops_the_package(sources: PackageSources, tmp_path: Path) -> None:
    (sources.nodes / "MVAU_rtl_0/state.bin").write_bytes(b"\0\xff" + str(sources.nodes).encode())
    with pytest.raises(CheckFailed, match=r"state\.bin names the folder"):
        build_package(sources, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_graphs_lose_their_paths_and_nothing_else(sources: PackageSources, tmp_path: Path) -> None:
    node = onnx.helper.make_node("MVAU_rtl", ["a"], ["b"], name="MVAU_rtl_0", domain="finn", PE=8)
    node.attribute.append(onnx.helper.make_attribute("code_gen_dir_ipgen", str(sources.nodes / "MVAU_rtl_0")))
    node.attribute.append(onnx.helper.make_attribute("backend", "fpgadataflow"))
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "ab"]
    graph = sources.nodes.parent / "graph.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "g", values[:1], values[1:])), graph)

    packed = build_package(replace(sources, graph=graph), tmp_path / "out").folder / "hardware/graph.onnx"
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in onnx.load(packed).graph.node[0].attribute}
    assert attributes == {"PE": 8, "backend": b"fpgadataflow"}


def test_roots_go_from_the_longest_to_the_shortest(sources: PackageSources) -> None:
    roots = list(machine_roots(sources.nodes))
    assert roots == sorted(roots, key=lambda root: -len(root))
    assert "/" not in roots


def test_the_build_id_follows_hardware_and_weights(
    sources: PackageSources, made: PackageResult, tmp_path: Path
) -> None:
    same = build_package(replace(sources, versions={"finn-plus": "1.6.2"}), tmp_path / "a").manifest
    assert same.build_id == made.manifest.build_id
    (sources.nodes / "MVAU_rtl_0/memblock.dat").write_text("0f\n1f\n")
    changed = build_package(sources, tmp_path / "b").manifest
    assert changed.build_id != made.manifest.build_id
    given = build_package(replace(sources, build_id="0x0badcafe"), tmp_path / "c").manifest
    assert given.build_id == "0x0badcafe"


@pytest.mark.parametrize("failing", ["write", "zip"])
def test_an_earlier_package_survives_a_failed_run(
    sources: PackageSources, made: PackageResult, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    before = made.archive.read_bytes()
    (sources.nodes / "MVAU_rtl_0/memblock.dat").write_text("00\n00\n")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    if failing == "zip":
        monkeypatch.setattr(package_build, "zip_bytes", full)
    else:
        monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        build_package(sources, made.archive.parent)
    monkeypatch.undo()
    assert made.archive.read_bytes() == before
    assert verify_package(made.folder) == made.manifest
    assert sorted(path.name for path in made.archive.parent.iterdir()) == ["deploy", "tiny-deploy.zip"]


def test_a_run_killed_between_two_renames_is_taken_up(sources: PackageSources, made: PackageResult) -> None:
    made.folder.rename(made.folder.with_name(".deploy.earlier"))
    build_package(sources, made.archive.parent)
    assert verify_package(made.folder) == made.manifest
    assert not made.folder.with_name(".deploy.earlier").exists()


def test_publishing_copies_once_and_mends_what_was_spoilt(made: PackageResult, tmp_path: Path) -> None:
    place = tmp_path / "published"
    publish_package(made.archive.parent, place, "tiny")
    assert verify_package(place / "deploy") == verify_package(place / "tiny-deploy.zip") == made.manifest
    written = (place / "tiny-deploy.zip").stat().st_mtime_ns
    publish_package(made.archive.parent, place, "tiny")
    assert (place / "tiny-deploy.zip").stat().st_mtime_ns == written
    (place / "deploy/labels.json").write_text("[]")
    publish_package(made.archive.parent, place, "tiny")
    assert verify_package(place / "deploy") == made.manifest


def test_missing_and_misfitting_inputs_are_told(sources: PackageSources, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected uint8 \[N, 16, 16, 3\], got uint8 \[2, 8, 8, 3\]"):
        build_package(replace(sources, image_size=16), tmp_path / "out")
    with pytest.raises(UserError, match="expected the generated sources, got no such folder"):
        build_package(replace(sources, nodes=tmp_path / "none"), tmp_path / "out")
    write_arrays(sources.golden_file, {"images": np.zeros((1, 8, 8, 3), np.uint8)})
    with pytest.raises(UserError, match="expected the arrays images, logits, got images uint8"):
        build_package(sources, tmp_path / "out")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda files: files.pop("labels.json"), r"got missing: labels\.json"),
        (lambda files: files.update({"driver.py": b"import os"}), r"got added: driver\.py"),
        (lambda files: files.update({"labels.json": b"[]"}), r"got changed: labels\.json"),
        (lambda files: files.pop("manifest.json"), r"expected a package with a manifest\.json, got none"),
        (lambda files: files.update({"manifest.json": b"{"}), "expected JSON"),
        (lambda files: files.update({"manifest.json": b'{"format": 1}'}), "Field required"),
        (lambda files: files.update({"../evil": b""}), r"'\.\./evil' is no path below the package"),
        (lambda files: files.update({"/etc/evil": b""}), "is no path below the package"),
        (lambda files: files.update({"a\\b": b""}), "is no path below the package"),
    ],
)
def test_a_spoilt_zip_is_refused_by_name(
    made: PackageResult, spoil: Callable[[dict[str, bytes]], None], message: str
) -> None:
    rezip(made.archive, spoil)
    with pytest.raises(UserError, match=message) as caught:
        verify_package(made.archive)
    assert "\n" not in str(caught.value)


def test_a_flipped_bit_anywhere_is_found(made: PackageResult) -> None:
    whole = made.archive.read_bytes()
    rng = np.random.default_rng(3)
    for position in rng.integers(0, len(whole), 40):
        spoilt = bytearray(whole)
        spoilt[position] ^= 0x10
        made.archive.write_bytes(spoilt)
        try:
            verified = verify_package(made.archive)
        except UserError:
            continue
        # Dates, modes and comments of a zip are not contents.
        assert verified == made.manifest


def test_truncated_and_absent_packages_are_told(made: PackageResult, tmp_path: Path) -> None:
    made.archive.write_bytes(made.archive.read_bytes()[:-200])
    with pytest.raises(UserError, match="a broken one"):
        verify_package(made.archive)
    with pytest.raises(UserError, match="no such file"):
        verify_package(tmp_path / "none.zip")


def test_links_and_doubles_are_refused(made: PackageResult) -> None:
    with zipfile.ZipFile(made.archive, "a") as archive:
        link = zipfile.ZipInfo("link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="link: expected a file, got a link"):
        verify_package(made.archive)
    (made.folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(UserError, match="link: expected a file, got a link"):
        verify_package(made.folder)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    made.archive.write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="expected one file of that name, got two"):
        verify_package(made.archive)


def test_a_manifest_cannot_point_outside(made: PackageResult) -> None:
    def point_outside(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        manifest["files"][0]["path"] = "../../etc/passwd"
        files["manifest.json"] = json.dumps(manifest).encode()

    rezip(made.archive, point_outside)
    with pytest.raises(UserError, match="is no path below the package"):
        verify_package(made.archive)
