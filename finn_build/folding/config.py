"""FINN's folding JSON: one object a node, read, checked against the graph, applied and written."""

import difflib
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import quiet
from finn_build.cache.store import write_atomically
from finn_build.errors import UserError
from finn_build.folding.costs.nodes import bits, multipliers
from finn_build.folding.rules import (
    FIFO_DEPTHS,
    LEAST_DEPTH,
    MOST_STREAM_BITS,
    MOST_WEIGHT_ROWS,
    Rule,
    folding_rule,
    generic_op,
)
from finn_build.graph.walk import attributes, computed_inputs, producer
from finn_build.resources.chains import CHAIN_BITS, ChainSize, chain_fits

Folding = dict[str, dict[str, Any]]
"""Attributes of each node, by its name in the specialised graph."""

DEFAULTS = "Defaults"
MAY_BE_LEFT_OUT = ("parallel_window", "depth_trigger_bram", "ClassPE", "OutBytes")
"""Numbers that have a default."""


def read_folding(path: Path) -> Folding:
    """Reads a folding JSON.

    Raises:
        UserError: the file is missing, no JSON, or no object of objects.
    """
    remedy = "write it with finn-cam build, or correct that line"
    try:
        text = path.read_text(encoding="utf-8")
        if not text.strip():
            raise UserError(str(path), "a folding JSON", "an empty file", "write it with finn-cam build")
        data = json.loads(text, object_pairs_hook=_without_repeats, parse_int=_whole_number)
    except OSError as error:
        raise UserError(str(path), "a folding JSON", error.strerror or str(error), "correct [folding] file") from None
    except UserError:
        raise
    except (ValueError, RecursionError) as error:
        raise UserError(str(path), "a folding JSON", _reason(error), remedy) from None
    if not isinstance(data, dict):
        raise UserError(str(path), "an object with one object a node", shown(data), remedy)
    for name, entry in data.items():
        if not isinstance(entry, dict):
            raise UserError(f"{path}: {named(name)}", "an object", shown(entry), 'write {"PE": …, …}')
    return data


MOST_DIGITS = 4000


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _reason(error: Exception) -> str:
    """Why a text is no folding JSON, without what only a programmer could use."""
    if isinstance(error, RecursionError):
        return "brackets within brackets, too deep"
    if isinstance(error, UnicodeDecodeError):
        return f"bytes that are no UTF-8, at {error.start}"
    return "a byte-order mark; save it as UTF-8 without one" if "BOM" in str(error) else str(error)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{named(repeated)} twice, of which JSON keeps the last")
    return found


LONGEST = 60
"""Characters of a file's value that a message shows."""


def shown(value: Any) -> str:
    """A value as JSON has it, in one line that is not too long."""
    text = json.dumps(value, ensure_ascii=False)
    text = text if text.isprintable() else json.dumps(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def named(name: str) -> str:
    """A name as it is, or quoted and shortened where a line could not hold it."""
    return name if name and name.isprintable() and len(name) <= LONGEST else shown(name)


def write_folding(path: Path, folding: Folding) -> None:
    """Writes a folding JSON, a node a line; `read_folding` gives it back."""
    entries = {DEFAULTS: {}, **folding}
    lines = [f"  {json.dumps(name)}: {json.dumps(values, sort_keys=True)}" for name, values in entries.items()]
    write_atomically(path, "{\n" + ",\n".join(lines) + "\n}\n")


def folding_of(model: ModelWrapper) -> Folding:
    """The folding that a specialised graph has; FIFO depths are not part of it (`graph.fifos` has them)."""
    found: Folding = {}
    for node in model.graph.node:
        rule = folding_rule(node)
        names = [*rule.numbers, *rule.words]
        if names:
            instance = getCustomOp(node)
            found[node.name] = {name: instance.get_nodeattr(name) for name in names}
    return found


def with_depths(folding: Folding, given: Folding) -> Folding:
    """A folding with the FIFO depths that another names."""
    told = {name: {key: values[key] for key in FIFO_DEPTHS if key in values} for name, values in given.items()}
    return {name: values | told.get(name, {}) for name, values in folding.items()} | {
        name: depths for name, depths in told.items() if depths and name not in folding
    }


def lint_folding(model: ModelWrapper, folding: Folding, place: str) -> None:
    """Checks a folding against a specialised graph.

    Args:
        model: specialised, before width converters and FIFOs are inserted.
        folding: as read.
        place: the file, for the message.

    Raises:
        UserError: a name that is no node, a node without an entry, an attribute or type that is none, a value that does
            not divide (the message has the legal values and the nearest), or nodes whose foldings contradict.
    """
    nodes = {node.name: node for node in model.graph.node}
    rules = {name: folding_rule(node) for name, node in nodes.items()}
    foldable = [name for name, rule in rules.items() if rule.numbers]
    for name in folding:
        if name != DEFAULTS and name not in nodes:
            near = difflib.get_close_matches(name, foldable, n=1, cutoff=0.4)
            remedy = f"did you mean {near[0]}?" if near else f"remove it; nodes are {_first(foldable)}"
            raise UserError(f"{place}: {named(name)}", "the name of a node", "no such node", remedy)
    if folding.get(DEFAULTS):
        raise UserError(f"{place}: {DEFAULTS}", "an empty object", "settings", "write them at each node")
    for name, values in folding.items():
        for key, value in values.items():
            _lint_value(f"{place}: {name}.{named(key)}", model, nodes[name], rules[name], key, value)
    for name in foldable:
        if name not in folding:
            entry = {key: values[0] for key, values in rules[name].numbers.items()}
            remedy = f'add "{name}": {json.dumps(entry)}'
            raise UserError(f"{place}: {name}", "an entry for every node that folds", "none", remedy)
        for key in rules[name].numbers:
            if key not in folding[name] and key not in MAY_BE_LEFT_OUT:
                remedy = f"add it: one of {_listed(rules[name].numbers[key])}"
                raise UserError(f"{place}: {name}.{key}", "a number", "nothing", remedy)
    _lint_pairs(model, folding, place)


def _lint_value(place: str, model: ModelWrapper, node: NodeProto, rule: Rule, key: str, value: Any) -> None:
    if key in FIFO_DEPTHS:
        # Constants among the inputs have no FIFO.
        streams = len(computed_inputs(model, node) if key == "inFIFODepths" else node.output)
        good = isinstance(value, list) and all(type(depth) is int and depth >= LEAST_DEPTH for depth in value)
        if not good or len(value) != streams:
            what = f"a list of {streams} {'depth' if streams == 1 else 'depths'} of at least {LEAST_DEPTH} words"
            side = "in" if key == "inFIFODepths" else "out"
            raise UserError(place, f"{what}, one a stream {side}", shown(value), "correct the depths")
        return
    if key in rule.words:
        if value not in rule.words[key]:
            said = value.lower() if isinstance(value, str) else ""
            near = difflib.get_close_matches(said, rule.words[key], n=1)
            remedy = f"the nearest is {near[0]}" if near else "write one of them"
            raise UserError(place, f"one of {', '.join(rule.words[key])}", shown(value), remedy)
        return
    if key not in rule.numbers:
        known = [*rule.numbers, *rule.words, *FIFO_DEPTHS]
        near = difflib.get_close_matches(key, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "remove it"
        raise UserError(place, f"one of {', '.join(known)}", "an unknown attribute", remedy)
    legal = rule.numbers[key]
    if type(value) is not int:
        meant = _meant(value)
        remedy = "" if meant is None else f"; the nearest is {_nearest(legal, meant)}"
        raise UserError(place, "a whole number", shown(value), f"write one of {_listed(legal)}{remedy}")
    if value not in legal:
        expected = f"one of {_listed(legal)}"
        if generic_op(node) == "MVAU" and key == "SIMD" and value < legal[0]:
            rows = attributes(node)["MW"]
            expected += f", at least MW / {MOST_WEIGHT_ROWS} = {rows} / {MOST_WEIGHT_ROWS}"
        raise UserError(place, expected, shown(value), f"the nearest is {_nearest(legal, value)}")


def _nearest(legal: Sequence[int], value: float) -> int:
    return min(legal, key=lambda candidate: (abs(candidate - value), candidate))


def _meant(value: Any) -> float | None:
    """The number that a value of another type stands for; None where it stands for none."""
    try:
        meant = float(value) if isinstance(value, float | str) else None
    except ValueError:
        return None
    return meant if meant is not None and isfinite(meant) else None


def _lint_pairs(model: ModelWrapper, folding: Folding, place: str) -> None:
    for node in model.graph.node:
        entry, op = folding.get(node.name, {}), generic_op(node)
        if op == "MVAU" and entry:
            _lint_width(f"{place}: {node.name}", folding_rule(node), {**attributes(node), **entry})
            _lint_core(f"{place}: {node.name}", {**attributes(node), **entry})
        if op == "ConvolutionInputGenerator" and entry.get("parallel_window") == 1:
            channels = attributes(node)["IFMChannels"]
            if entry["SIMD"] != channels:
                where = f"{place}: {node.name}.SIMD"
                raise UserError(where, f"{channels} with parallel_window 1", str(entry["SIMD"]), f"write {channels}")
        if op == "Pool":
            window = producer(model, node.input[0])
            simd = folding.get(window.name, {}).get("SIMD") if window is not None else None
            if window is not None and simd != entry["PE"]:
                remedy = "a pooling's PE and its window's SIMD are the same"
                raise UserError(f"{place}: {node.name}.PE", f"{simd} as {window.name}.SIMD", str(entry["PE"]), remedy)


def _lint_width(place: str, rule: Rule, get: Mapping[str, Any]) -> None:
    """Whether a matrix-vector unit's weights of a cycle fit into a stream."""
    pe, simd, wide = int(get["PE"]), int(get["SIMD"]), bits(get["weightDataType"])
    if pe * simd * wide > MOST_STREAM_BITS:
        legal = [value for value in rule.numbers["SIMD"] if pe * value * wide <= MOST_STREAM_BITS]
        what = f"weights of a cycle, PE · SIMD · {wide} bits, up to {MOST_STREAM_BITS:,}"
        remedy = f"the nearest is {_nearest(legal, simd)}" if legal else "lower PE"
        expected = f"{what}: one of {_listed(legal)} with PE {pe}" if legal else what
        raise UserError(f"{place}.SIMD", expected, f"{simd}, {pe * simd * wide:,} bits", remedy)


def _lint_core(place: str, get: Mapping[str, Any]) -> None:
    """Whether a matrix-vector unit's core can be built at its folding."""
    core, simd = multipliers(get), int(get["SIMD"])
    size = ChainSize(simd, bits(get["weightDataType"]), bits(get["inputDataType"]))
    if core == "chain" and not chain_fits(size):
        expected = f"2·W + A + ⌈log2 chain⌉ up to {CHAIN_BITS}"
        got = f"SIMD {simd}, W{size.weight_bits}, A{size.activation_bits}"
        raise UserError(f"{place}.dspStyle chain", expected, got, 'write "dspStyle": "lanes", or a smaller SIMD')
    if core == "dsp" and simd == get["MW"]:
        # Its output queue overflows at a result a cycle: its length leaves out what is still under way.
        remedy = '"dspStyle": "chain"' if chain_fits(size) else '"resType": "lut"'
        expected = f"less than MW = {simd} with FINN's DSP core, which loses results at one a cycle"
        raise UserError(f"{place}.SIMD", expected, str(simd), f"write {remedy}, or a smaller SIMD")


def apply_folding(model: ModelWrapper, folding: Folding, place: str) -> ModelWrapper:
    """Sets a folding on a specialised graph, after checking it.

    Raises:
        UserError: as `lint_folding`.
    """
    lint_folding(model, folding, place)
    with quiet():
        model = ModelWrapper(model.model, make_deepcopy=True)
    for node in model.graph.node:
        instance = getCustomOp(node)
        for key, value in folding.get(node.name, {}).items():
            if key not in FIFO_DEPTHS:
                # `graph.fifos.set_safe_depths` takes those, with what the others need.
                instance.set_nodeattr(key, value)
    return model


def _listed(values: Sequence[int]) -> str:
    return ", ".join(str(value) for value in values)


MOST_NAMES = 6


def _first(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
