"""A bitfile from another machine: what fits is told, and the first thing that does not is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from finn_build.cli.app import run
from finn_build.emulation.stand_in import write_stand_in
from finn_build.errors import UserError
from finn_build.package import manifest as m
from finn_build.package.bitfile import check_bitfile, read_bit


@pytest.fixture
def manifest() -> m.Manifest:
    return m.Manifest(
        config="tiny",
        build_id="0x0badcafe",
        state=m.WITHOUT_BITFILE,
        part="xc7z020clg400-1",
        clock_mhz=100.0,
        head="cam",
        input=m.Input(shape=(1, 8, 8, 3)),
        packet=m.Packet(bytes=288, version=1, header_bytes=16, classes=3, maps=1, height=16, width=16),
        dmas=m.dmas(192, 288),
        cam_block=m.CAM_BLOCK,
        registers=m.registers(True),
        weights=m.WeightMemory(offset=m.WEIGHTS_OFFSET, banks=2, words=12, file="weights/fc_words.bin"),
        versions={},
        files=(),
    )


@pytest.fixture
def bit(manifest: m.Manifest, tmp_path: Path) -> Path:
    return write_stand_in(manifest, tmp_path / "tiny.bit")


def test_what_fits_is_told(manifest: m.Manifest, bit: Path) -> None:
    told = check_bitfile(bit, bit.with_suffix(".hwh"), manifest)
    assert any("packets of 288 bytes" in line for line in told)
    assert any("idma0" in line for line in told)
    header = read_bit(bit)
    assert (header.part, header.user_id) == ("7z020clg400", 0x0BADCAFE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace('INSTANCE="idma0"', 'INSTANCE="dma"').replace('"/idma0"', '"/dma"'), "one called idma0"),
        (lambda t: t.replace('VALUE="0x1c"', 'VALUE="0x18"'), "idma0: expected register numReps at 0x1c, got at 0x18"),
        (lambda t: t.replace('VALUE="0x30"', 'VALUE="0x38"'), "expected register build_id at 0x30"),
        (lambda t: t.replace("0x00000120", "0x00000128"), "packet length: expected 288, got 296"),
        (lambda t: t.replace("0x0BADCAFE", "0x0BADCAFF"), "build id: expected 0x0badcafe, got 0x0badcaff"),
        (lambda t: t.replace('/packet_bytes"', '/other"'), "expected a constant packet_bytes, got none"),
        (lambda t: t[:200], "expected Vivado's hardware description, got no XML"),
        (lambda t: t.replace("<EDKSYSTEM", '<!DOCTYPE a [<!ENTITY b "c">]><EDKSYSTEM', 1), "XML with entities"),
        (lambda t: t.replace('<MEMRANGE ADDRESSBLOCK="Reg"', "<OTHER"), "idma0: expected an address, got none"),
    ],
)
def test_a_description_of_another_design_is_refused(
    manifest: m.Manifest, bit: Path, change: Callable[[str], str], message: str
) -> None:
    hwh = bit.with_suffix(".hwh")
    before = hwh.read_text()
    hwh.write_text(change(before))
    assert hwh.read_text() != before
    with pytest.raises(UserError, match=message) as caught:
        check_bitfile(bit, hwh, manifest)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b.replace(b"7z020clg400", b"7z010clg400"), "part: expected 7z020clg400, got 7z010clg400"),
        (
            lambda b: b.replace(b"UserID=0X0BADCAFE", b"UserID=0X0BADCAFF"),
            "user id: expected 0x0badcafe, got 0x0badcaff",
        ),
        (lambda b: b.replace(b"UserID=0X0BADCAFE", b"UserID=0XFFFFFFFF"), "user id: expected the build id"),
        (lambda b: b[:-5], "expected a whole .bit file"),
        (lambda b: b[:20], "expected a whole .bit file"),
        (lambda b: b"", "expected a whole .bit file"),
    ],
)
def test_a_bitfile_of_another_design_is_refused(
    manifest: m.Manifest, bit: Path, change: Callable[[bytes], bytes], message: str
) -> None:
    before = bit.read_bytes()
    bit.write_bytes(change(before))
    assert bit.read_bytes() != before
    with pytest.raises(UserError, match=message) as caught:
        check_bitfile(bit, bit.with_suffix(".hwh"), manifest)
    assert "\n" not in str(caught.value)


def test_missing_files_are_one_line(manifest: m.Manifest, bit: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_bitfile(tmp_path / "none.bit", bit.with_suffix(".hwh"), manifest)
    with pytest.raises(UserError, match="a folder"):
        check_bitfile(bit, tmp_path, manifest)


def test_the_command_checks_against_a_package(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from finn_build.package.verify import verify_package

    package = place / "build" / "tiny" / "tiny-deploy.zip"
    made = write_stand_in(verify_package(package), tmp_path / "made.bit")
    command = [
        "deploy",
        "--package",
        str(package),
        "--check-bitfile",
        str(made),
        str(made.with_suffix(".hwh")),
        "--json",
    ]
    capsys.readouterr()
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["fits"] is True
    write_stand_in(verify_package(package), made, "0x00000001")
    assert run(command) == 2
    assert "user id" in json.loads(capsys.readouterr().out)["error"]
    assert run(["deploy"]) == 2
    assert run(["deploy", "-oProxyCommand=touch x"]) == 2
