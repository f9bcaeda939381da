import json
import re
from pathlib import Path

import pytest
from graph_helpers import PART, chain
from qonnx.custom_op.registry import getCustomOp

from finn_build.errors import UserError
from finn_build.folding.automatic import set_folding
from finn_build.folding.chains import require_columns
from finn_build.folding.config import apply_folding, folding_of, lint_folding, read_folding, write_folding
from finn_build.folding.rules import divisors, folding_rule
from finn_build.graph.specialise import specialise
from finn_build.nodes.variants import choose_rtl
from finn_build.resources.estimates import estimate


@pytest.fixture(scope="module")
def specialised():
    return specialise(chain(max_pool=True).generic, PART)[0]


@pytest.fixture
def folding(specialised) -> dict[str, dict[str, object]]:
    return folding_of(specialised)


def refused(specialised, folding) -> str:
    with pytest.raises(UserError) as caught:
        lint_folding(specialised, folding, "folding.json")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_written_is_read_and_applied(specialised, folding, tmp_path: Path) -> None:
    folded, _ = set_folding(specialised, 100e6 / 3000, 100)
    path = tmp_path / "folding.json"
    write_folding(path, folding_of(folded))
    assert "Defaults" in read_folding(path)
    assert folding_of(apply_folding(specialised, read_folding(path), path.name)) == folding_of(folded) != folding
    assert folding_of(specialised) == folding


def test_a_value_that_does_not_divide_is_refused_with_the_nearest(specialised, folding) -> None:
    folding["MVAU_rtl_1"]["SIMD"] = 7
    message = refused(specialised, folding)
    assert "folding.json: MVAU_rtl_1.SIMD" in message
    assert "one of 1, 2, 3, 4, 6, 9, 12, 18, 36, got 7; the nearest is 6" in message
    folding["MVAU_rtl_1"]["SIMD"] = 36
    folding["Thresholding_rtl_0"]["PE"] = 3
    assert "Thresholding_rtl_0.PE: expected one of 1, 2, 4, got 3; the nearest is 2" in refused(specialised, folding)


def test_an_unknown_node_is_refused_with_a_near_name(specialised, folding) -> None:
    folding["MVAU_rtl_77"] = {"PE": 1, "SIMD": 1}
    assert "MVAU_rtl_77: expected the name of a node, got no such node; did you mean MVAU_rtl_" in refused(
        specialised, folding
    )


def test_a_missing_node_is_refused_with_what_to_add(specialised, folding) -> None:
    del folding["MVAU_rtl_1"]
    message = refused(specialised, folding)
    assert 'MVAU_rtl_1: expected an entry for every node that folds, got none; add "MVAU_rtl_1": {"PE": 1' in message


def test_a_missing_number_is_refused(specialised, folding) -> None:
    del folding["MVAU_rtl_1"]["PE"]
    assert "MVAU_rtl_1.PE: expected a number, got nothing; add it: one of 1, 2, 4" in refused(specialised, folding)


@pytest.mark.parametrize("value", ["4", 4.0, True, None, [4]])
def test_a_wrong_type_is_refused(specialised, folding, value: object) -> None:
    folding["MVAU_rtl_1"]["PE"] = value
    message = refused(specialised, folding)
    assert "MVAU_rtl_1.PE: expected a whole number" in message
    assert message.endswith("write one of 1, 2, 4" + ("; the nearest is 4" if value in ("4", 4.0) else ""))


@pytest.mark.parametrize("value", [0, -3, 10**30])
def test_a_number_out_of_range_is_refused_with_the_nearest(specialised, folding, value: int) -> None:
    folding["MVAU_rtl_1"]["PE"] = value
    nearest = 4 if value > 0 else 1
    assert f"expected one of 1, 2, 4, got {value}; the nearest is {nearest}" in refused(specialised, folding)
    folding["MVAU_rtl_1"]["PE"] = 1
    folding["MVAU_rtl_1"]["SIMD"] = value
    assert "expected one of 1, 2, 3, 4, 6, 9, 12, 18, 36" in refused(specialised, folding)


def test_weights_wider_than_a_stream_are_refused(specialised, folding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finn_build.folding.config.MOST_STREAM_BITS", 200)
    folding["MVAU_rtl_1"] |= {"PE": 4, "SIMD": 18}
    message = refused(specialised, folding)
    assert "MVAU_rtl_1.SIMD: expected weights of a cycle, PE · SIMD · 4 bits, up to 200: " in message
    assert "one of 1, 2, 3, 4, 6, 9, 12 with PE 4, got 18, 288 bits; the nearest is 12" in message


def test_folding_for_a_rate_keeps_weights_within_a_stream(specialised, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("config", "automatic"):
        monkeypatch.setattr(f"finn_build.folding.{module}.MOST_STREAM_BITS", 160)
    folded = folding_of(set_folding(specialised, 1e8, 100)[0])
    widths = [values["PE"] * values["SIMD"] * 4 for name, values in folded.items() if name.startswith("MVAU")]
    assert 80 < max(widths) <= 160


def test_names_and_values_that_no_line_holds_are_shortened(specialised, folding, tmp_path: Path) -> None:
    odd = "a\nb\x1b[31m"
    message = refused(specialised, {**folding, odd: {"PE": 1}})
    assert r'folding.json: "a\nb\u001b[31m": expected the name of a node' in message
    assert re.search(r"nodes are FMPadding_rtl_0, .* and \d+ more$", message)
    assert len(message) < 300
    assert r'MVAU_rtl_1."a\nb\u001b[31m": expected one of' in refused(
        specialised, {**folding, "MVAU_rtl_1": {**folding["MVAU_rtl_1"], odd: 1}}
    )
    folding["MVAU_rtl_1"]["inFIFODepths"] = list(range(5000))
    assert len(refused(specialised, folding)) < 300
    path = tmp_path / "folding.json"
    path.write_text('{"a\\nb": {}, "a\\nb": {}}')
    with pytest.raises(UserError, match=r'got "a\\nb" twice'):
        read_folding(path)


def test_a_misspelt_attribute_is_refused(specialised, folding) -> None:
    folding["MVAU_rtl_1"]["SIMDD"] = 1
    assert "an unknown attribute; did you mean SIMD?" in refused(specialised, folding)


def test_words_are_checked(specialised, folding) -> None:
    folding["MVAU_rtl_1"]["resType"] = "LUT"
    told = refused(specialised, folding)
    assert 'MVAU_rtl_1.resType: expected one of auto, dsp, lut, got "LUT"; the nearest is lut' in told
    folding["MVAU_rtl_1"]["resType"] = None
    assert "expected one of auto, dsp, lut, got null; write one of them" in refused(specialised, folding)


def test_multipliers_in_luts_are_asked_for_and_take_no_dsp(specialised, folding) -> None:
    folding["MVAU_rtl_1"] |= {"resType": "lut", "PE": 4}
    folded = apply_folding(specialised, folding, "folding.json")
    choose_rtl(folded)
    assert folding_of(folded)["MVAU_rtl_1"]["resType"] == "lut"
    figures = {node.name: node for node in estimate(folded, PART, 100).nodes}
    assert figures["MVAU_rtl_1"].dsp == 0 < figures["MVAU_rtl_0"].dsp
    assert figures["MVAU_rtl_1"].lut > 100


def test_chains_are_asked_for_and_take_a_dsp_for_two_lanes(specialised, folding) -> None:
    folding["MVAU_rtl_1"] |= {"dspStyle": "chain", "PE": 4, "SIMD": 12}
    folded = apply_folding(specialised, folding, "folding.json")
    figures = {node.name: node for node in estimate(folded, PART, 100).nodes}
    assert figures["MVAU_rtl_1"].dsp == 4 // 2 * 12


def test_chains_that_no_column_holds_are_refused(specialised, folding, monkeypatch: pytest.MonkeyPatch) -> None:
    folding["MVAU_rtl_1"] |= {"dspStyle": "chain", "PE": 4, "SIMD": 12}
    folded = apply_folding(specialised, folding, "folding.json")
    require_columns(folded, PART, "folding.json")
    monkeypatch.setattr("finn_build.resources.chains.COLUMNS", (("xc7z020", (20,)),))
    with pytest.raises(UserError, match=r"folding.json: dspStyle chain: expected .* got 2 of 12; write"):
        require_columns(folded, PART, "folding.json")


def test_cores_that_cannot_be_built_are_refused_with_one_that_can(specialised, folding) -> None:
    folding["MVAU_rtl_1"] |= {"SIMD": 36, "dspStyle": "lanes"}
    message = refused(specialised, folding)
    assert "MVAU_rtl_1.SIMD: expected less than MW = 36 with FINN's DSP core" in message
    assert 'got 36; write "dspStyle": "chain"' in message
    folding["MVAU_rtl_1"]["dspStyle"] = "chain"
    lint_folding(specialised, folding, "folding.json")


def test_folding_for_a_rate_takes_an_own_core_for_a_result_a_cycle(specialised) -> None:
    folded, _ = set_folding(specialised, 100e6 / 100, 100)
    entries = [entry for name, entry in folding_of(folded).items() if name.startswith("MVAU")]
    whole = [node for node in folded.graph.node if node.op_type == "MVAU_rtl"]
    assert any(getCustomOp(node).get_nodeattr("SIMD") == getCustomOp(node).get_nodeattr("MW") for node in whole)
    assert any(entry["dspStyle"] == "chain" or entry["resType"] == "lut" for entry in entries)


def test_a_window_in_parallel_needs_all_channels(specialised, folding) -> None:
    node = next(name for name in folding if name.startswith("ConvolutionInputGenerator"))
    folding[node] |= {"parallel_window": 1, "SIMD": 1}
    assert "3 with parallel_window 1, got 1; write 3" in refused(specialised, folding)


def test_a_pool_and_its_window_agree(specialised, folding) -> None:
    folding["Pool_hls_0"]["PE"] = 2
    assert "Pool_hls_0.PE" in refused(specialised, folding)


def test_fifo_depths_are_checked(specialised, folding) -> None:
    folding["MVAU_rtl_1"]["inFIFODepths"] = [1]
    assert "a list of 1 depth of at least 2 words, one a stream in, got [1]" in refused(specialised, folding)
    folding["MVAU_rtl_1"]["inFIFODepths"] = [64]
    lint_folding(specialised, folding, "folding.json")


def test_simd_is_at_least_a_1024th_of_the_rows() -> None:
    from onnx import helper

    node = helper.make_node("MVAU_rtl", ["a", "b"], ["c"], MW=4608, MH=512)
    rule = folding_rule(node)
    assert rule.numbers["SIMD"][0] == 6
    assert rule.numbers["PE"] == divisors(512)


def test_the_rule_is_told_in_the_message(specialised, folding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("finn_build.folding.rules.MOST_WEIGHT_ROWS", 9)
    monkeypatch.setattr("finn_build.folding.config.MOST_WEIGHT_ROWS", 9)
    for name, entry in folding.items():
        if "SIMD" in entry and name.startswith("MVAU"):
            entry["SIMD"] = 9 if name == "MVAU_rtl_0" else entry["SIMD"]
    folding["MVAU_rtl_1"]["SIMD"] = 3
    message = refused(specialised, folding)
    assert "one of 4, 6, 9, 12, 18, 36, at least MW / 9 = 36 / 9, got 3; the nearest is 4" in message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "got an empty file; write it with finn-cam build"),
        ("{", "expected a folding JSON, got Expecting property name"),
        ("[]", r"expected an object with one object a node, got \[\]"),
        ('{"MVAU_rtl_0": 3}', "MVAU_rtl_0: expected an object, got 3"),
        ('{"MVAU_rtl_0": null}', "MVAU_rtl_0: expected an object, got null"),
        ("\ufeff{}", "got a byte-order mark; save it as UTF-8 without one"),
        ("[" * 100_000, "brackets within brackets, too deep"),
        (f'{{"MVAU_rtl_0": {{"PE": {"9" * 5000}}}}}', "got a number of 5000 digits"),
    ],
)
def test_what_is_no_folding_file_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=rf"broken\.json: .*{told}|broken\.json: {told}"):
        read_folding(path)
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(UserError, match=r"bytes that are no UTF-8, at 0"):
        read_folding(path)
    with pytest.raises(UserError, match="a folding JSON"):
        read_folding(tmp_path / "missing.json")


def test_a_node_that_is_there_twice_is_told(tmp_path) -> None:
    path = tmp_path / "folding.json"
    path.write_text('{"MVAU_rtl_0": {"PE": 1}, "MVAU_rtl_0": {"PE": 2}}')
    with pytest.raises(UserError, match=r"folding\.json: .*MVAU_rtl_0 twice"):
        read_folding(path)


def test_folding_reaches_the_frame_rate(specialised) -> None:
    slow, first = set_folding(specialised, 100, 100)
    fast, second = set_folding(specialised, 100e6 / 2000, 100)
    assert first.wanted_cycles == 1_000_000 >= first.reached_cycles
    assert second.wanted_cycles == 2000
    assert second.reached_cycles < first.reached_cycles
    assert json.dumps(folding_of(slow)) != json.dumps(folding_of(fast))
    cam = folding_of(fast)["ClassActivationMap_hls_0"]
    assert folding_of(slow)["ClassActivationMap_hls_0"]["PE"] == 1
    assert cam["PE"] * cam["ClassPE"] >= 1


def test_a_rate_out_of_reach_gives_the_fastest(specialised) -> None:
    _, result = set_folding(specialised, 1e8, 100)
    assert result.wanted_cycles == 1
    assert result.reached_cycles > 1
    assert result.bottleneck in folding_of(specialised)
