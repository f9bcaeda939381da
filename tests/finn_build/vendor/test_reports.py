"""Vivado's reports: the layouts of 2022.2 and 2024.2 are read, and what is no such report is told in one line."""

from pathlib import Path

import pytest

from finn_build.errors import ToolFailed
from finn_build.vendor.reports import errors_of, read_hierarchy, read_power, read_timing, read_utilisation

UTILISATION = """Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.
------------------------------------------------------------------------------------------------------
| Tool Version : Vivado v.2022.2 (lin64) Build 3671981 Fri Oct 14 04:59:54 MDT 2022
| Design       : top_wrapper
| Device       : xc7z020clg400-1
| Design State : Synthesized
------------------------------------------------------------------------------------------------------

1. Slice Logic
--------------

+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| Slice LUTs*                | 31415 |     0 |          0 |     53200 | 59.05 |
|   LUT as Logic             | 29001 |     0 |          0 |     53200 | 54.51 |
|     LUT as Shift Register  |   890 |     0 |            |           |       |
| Slice Registers            | 40102 |     0 |          0 |    106400 | 37.69 |
+----------------------------+-------+-------+------------+-----------+-------+
* Warning! The Final LUT count, after physical optimizations and full implementation, is typically lower.

3. Memory
---------

+-------------------+-------+-------+------------+-----------+-------+
|     Site Type     |  Used | Fixed | Prohibited | Available | Util% |
+-------------------+-------+-------+------------+-----------+-------+
| Block RAM Tile    |  61.5 |     0 |          0 |       140 | 43.93 |
|   RAMB36/FIFO*    |    40 |     0 |          0 |       140 | 28.57 |
|   RAMB18          |    43 |     0 |          0 |       280 | 15.36 |
+-------------------+-------+-------+------------+-----------+-------+

4. DSP
------

+-----------+------+-------+------------+-----------+-------+
| Site Type | Used | Fixed | Prohibited | Available | Util% |
+-----------+------+-------+------------+-----------+-------+
| DSPs      |  114 |     0 |          0 |       220 | 51.82 |
+-----------+------+-------+------------+-----------+-------+

8. Primitives
-------------

+----------+-------+---------------------+
| Ref Name |  Used | Functional Category |
+----------+-------+---------------------+
| FDRE     | 39999 |        Flop & Latch |
+----------+-------+---------------------+
"""

HIERARCHY = """
1. Utilization by Hierarchy
---------------------------

+------------------+----------+------------+------------+---------+------+-------+--------+--------+------------+
|     Instance     |  Module  | Total LUTs | Logic LUTs | LUTRAMs | SRLs |  FFs  | RAMB36 | RAMB18 | DSP Blocks |
+------------------+----------+------------+------------+---------+------+-------+--------+--------+------------+
| top_wrapper      |    (top) |      31415 |      29001 |    1524 |  890 | 40102 |     40 |     43 |        114 |
|   (top_wrapper)  |    (top) |          0 |          0 |       0 |    0 |     0 |      0 |      0 |          0 |
|   top_i          |      top |      31415 |      29001 |    1524 |  890 | 40102 |     40 |     43 |        114 |
|     idma0        | top_idma |       1200 |       1100 |      60 |   40 |  1700 |      1 |      1 |          0 |
+------------------+----------+------------+------------+---------+------+-------+--------+--------+------------+
* Note: The sum of lower-level cells may be larger than their parent cells total, due to cross-hierarchy LUT combining
"""

COLUMNS = (
    "    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  "
    "THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  "
    "TPWS Total Endpoints  "
)
TIMING = """------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

{columns}
{rule}
     {values}


{verdict}

------------------------------------------------------------------------------------------------
| Clock Summary
| -------------
------------------------------------------------------------------------------------------------

{clocks}

Max Delay Paths
--------------------------------------------------------------------------------------
Slack (VIOLATED) :        -0.312ns  (required time - arrival time)
  Source:                 top_i/a/out_reg[3]/C
                            (rising edge-triggered cell FDRE clocked by clk_fpga_0  {{rise@0.000ns fall@5.000ns}})
  Destination:            top_i/b/ptr_reg[1]/D
"""
CLOCKS = """Clock       Waveform(ns)       Period(ns)      Frequency(MHz)
-----       ------------       ----------      --------------
clk_fpga_0  {0.000 4.000}      8.000           125.000
clk_slow    {0.000 20.000}     40.000          25.000"""
MET = "0.343 0.000 0 92471 0.016 0.000 0 92471 3.750 0.000 0 42563"
FAILED = "-0.312 -31.250 217 92471 -0.020 -0.020 1 92471 3.750 0.000 0 42563"
NOTHING = "NA NA NA NA NA NA NA NA NA NA NA NA"


def timing(folder: Path, values: str, clocks: str = CLOCKS) -> Path:
    rule = " ".join("-" * 7 for _ in range(12))
    path = folder / "timing.rpt"
    spaced = values.replace(" ", "        ")
    path.write_text(TIMING.format(columns=COLUMNS, rule=rule, values=spaced, verdict="Timing.", clocks=clocks))
    return path


def report(folder: Path, text: str) -> Path:
    path = folder / "some.rpt"
    path.write_text(text)
    return path


def test_utilisation_after_synthesis(tmp_path: Path) -> None:
    found = read_utilisation(report(tmp_path, UTILISATION))
    assert found == {"LUT": 31415, "FF": 40102, "DSP": 114, "BRAM18": 123}


def test_utilisation_after_placement_knows_slices(tmp_path: Path) -> None:
    row = "| Slice                                      |  8912 |     0 |          0 |     13300 | 67.01 |\n"
    assert (
        read_utilisation(report(tmp_path, UTILISATION.replace("3. Memory\n", f"{row}\n3. Memory\n")))["slices"] == 8912
    )


def test_cells(tmp_path: Path) -> None:
    found = read_hierarchy(report(tmp_path, HIERARCHY))
    assert found["idma0"] == {"LUT": 1200, "FF": 1700, "DSP": 0, "BRAM18": 3}
    assert found["top_i"]["BRAM18"] == 123


def test_timing_that_is_met(tmp_path: Path) -> None:
    found = read_timing(timing(tmp_path, MET))
    assert (found.setup_ns, found.hold_ns, found.pulse_ns) == (0.343, 0.016, 3.75)
    assert found.period_ns == 8.0
    assert found.worst_ns == 0.016
    assert found.highest_mhz == pytest.approx(1000 / 7.657)


def test_timing_that_is_not_met(tmp_path: Path) -> None:
    found = read_timing(timing(tmp_path, FAILED))
    assert (found.worst_ns, found.failing, found.endpoints) == (-0.312, 217, 92471)
    assert found.worst == "from top_i/a/out_reg[3]/C to top_i/b/ptr_reg[1]/D"


def test_power(tmp_path: Path) -> None:
    assert read_power(report(tmp_path, "| Total On-Chip Power (W)  | 2.145        |\n")) == 2.145
    assert read_power(tmp_path / "none.rpt") is None


def test_a_design_without_a_clock_is_not_taken_for_one_that_meets_it(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="no path of the design is constrained"):
        read_timing(timing(tmp_path, NOTHING))
    with pytest.raises(ToolFailed, match="no clock summary"):
        read_timing(timing(tmp_path, MET, clocks=""))


@pytest.mark.parametrize("read", [read_utilisation, read_hierarchy, read_timing])
@pytest.mark.parametrize("text", ["", "| a | b |\n", "WNS(ns) TNS(ns)\n---- ----\n 1 2\n"])
def test_another_text_is_told(read: object, text: str, tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match=r"some\.rpt") as failed:
        read(report(tmp_path, text))  # type: ignore[operator]
    assert failed.value.exit_code == 3
    with pytest.raises(ToolFailed, match=r"left no none\.rpt"):
        read(tmp_path / "none.rpt")  # type: ignore[operator]


def test_a_row_that_is_missing_or_no_number_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="no row DSPs"):
        read_utilisation(report(tmp_path, UTILISATION.replace("| DSPs ", "| DSP58 ")))
    with pytest.raises(ToolFailed, match="Slice LUTs is 'many'"):
        read_utilisation(report(tmp_path, UTILISATION.replace("| 31415 |", "| many  |")))


def test_errors_are_fractions_of_what_was_measured() -> None:
    estimates = {"LUT": 90.0, "FF": None, "BRAM18": 12, "DSP": 0, "slices": 5}
    assert errors_of(estimates, {"LUT": 100.0, "FF": 3.0, "BRAM18": 10, "DSP": 0}) == {
        "LUT": pytest.approx(-0.1),
        "BRAM18": pytest.approx(0.2),
    }
