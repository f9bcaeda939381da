"""FINN's folding JSON: one object a node, read, checked against the graph, applied and written."""

import difflib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from onnx import NodeProto
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finn_build.adapter import quiet
from finn_build.errors import UserError
from finn_build.folding.costs.nodes import bits, multipliers
from finn_build.folding.rules import FIFO_DEPTHS, LEAST_DEPTH, MOST_WEIGHT_ROWS, Rule, folding_rule, generic_op
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
        data = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_without_repeats)
    except OSError as error:
        raise UserError(str(path), "a folding JSON", error.strerror or str(error), "correct [folding] file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(str(path), "a folding JSON", str(error), remedy) from None
    if not isinstance(data, dict) or not all(isinstance(entry, dict) for entry in data.values()):
        raise UserError(str(path), "an object with one object a node", "something else", remedy)
    return data


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{repeated} twice, of which JSON keeps the last")
    return found


def write_folding(path: Path, folding: Folding) -> None:
    """Writes a folding JSON, a node a line; `read_folding` gives it back."""
    entries = {DEFAULTS: {}, **folding}
    lines = [f"  {json.dumps(name)}: {json.dumps(values, sort_keys=True)}" for name, values in entries.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


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
            remedy = f"did you mean {near[0]}?" if near else f"remove it; nodes are {', '.join(foldable)}"
            raise UserError(f"{place}: {name}", "the name of a node", "no such node", remedy)
    if folding.get(DEFAULTS):
        raise UserError(f"{place}: {DEFAULTS}", "an empty object", "settings", "write them at each node")
    for name, values in folding.items():
        for key, value in values.items():
            _lint_value(f"{place}: {name}.{key}", model, nodes[name], rules[name], key, value)
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
            raise UserError(place, f"{what}, one a stream {side}", json.dumps(value), "correct the depths")
        return
    if key in rule.words:
        if value not in rule.words[key]:
            raise UserError(place, f"one of {', '.join(rule.words[key])}", json.dumps(value), "correct the value")
        return
    if key not in rule.numbers:
        known = [*rule.numbers, *rule.words, *FIFO_DEPTHS]
        near = difflib.get_close_matches(key, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else "remove it"
        raise UserError(place, f"one of {', '.join(known)}", "an unknown attribute", remedy)
    legal = rule.numbers[key]
    if type(value) is not int:
        raise UserError(place, "a whole number", json.dumps(value), f"write one of {_listed(legal)}")
    if value not in legal:
        nearest = min(legal, key=lambda candidate: (abs(candidate - value), candidate))
        if generic_op(node) == "MVAU" and key == "SIMD" and value < legal[0]:
            rows = attributes(node)["MW"]
            expected = f"at least MW / {MOST_WEIGHT_ROWS} = {rows} / {MOST_WEIGHT_ROWS}, a divisor of {rows}"
        else:
            expected = f"one of {_listed(legal)}"
        raise UserError(place, expected, str(value), f"the nearest is {nearest}")


def _lint_pairs(model: ModelWrapper, folding: Folding, place: str) -> None:
    for node in model.graph.node:
        entry, op = folding.get(node.name, {}), generic_op(node)
        if op == "MVAU" and entry:
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


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(str(value) for value in values)
