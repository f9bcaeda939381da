"""Writes a CAM block's C++: the library headers, and a configuration header and top function generated from a block.

The same inputs give the same bytes.
"""

import hashlib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cam_postproc.arithmetic import check_head
from cam_postproc.block import CamBlock
from cam_postproc.errors import CamError
from cam_postproc.hostside import PACKET_VERSION
from cam_postproc.spec import Taps

LIBRARY = (
    "cam.hpp",
    "cam_bank.hpp",
    "cam_emit.hpp",
    "cam_heatmap.hpp",
    "cam_kept.hpp",
    "cam_select.hpp",
    "cam_stored.hpp",
    "cam_types.hpp",
)
PART = "xc7z020clg400-1"


def write_sources(
    block: CamBlock,
    fc_weight: npt.NDArray[np.int8] | None,
    bias: npt.NDArray[np.int32] | None,
    out_dir: Path,
    *,
    clock_period_ns: float = 10.0,
    part: str = PART,
) -> list[Path]:
    """Write everything that synthesis and C simulation of one block need.

    Args:
        block: what to build.
        fc_weight: INT<weight_bits> as int8 [K, C]; None only if weights are loaded at run time.
        bias: INT<bias_bits> as int32 [K], or None.
        out_dir: created if missing; files of the same names are overwritten.
        clock_period_ns: for the Vitis HLS script.
        part: for the Vitis HLS script.

    Returns:
        The files: library headers, cam_config.h, cam_top.h, cam_top.cpp, cam_csim.cpp, cam_tb.cpp, run_hls.tcl and
        sim/hls_stream.h.

    Raises:
        CamError: weights or biases that do not fit the block, or none where they are ROM.
    """
    if fc_weight is None:
        if not block.runtime_weights:
            raise CamError("FC weights", "an int8 array", "None", "pass them, or build with weights loaded at run time")
    else:
        bias = check_head(block.spec, fc_weight, bias)
    texts = {name: _library(name) for name in LIBRARY}
    texts["cam_config.h"] = config_header(block, None if block.runtime_weights else fc_weight, bias)
    texts["cam_top.h"] = _top_header(block)
    texts["cam_top.cpp"] = _top_source(block)
    texts["cam_csim.cpp"] = _library("cam_csim.cpp")
    texts["cam_tb.cpp"] = _library("cam_tb.cpp")
    texts["run_hls.tcl"] = _library("run_hls.tcl").replace("@PART@", part).replace("@PERIOD@", f"{clock_period_ns:g}")
    texts["sim/hls_stream.h"] = _library("hls_stream.h")
    paths = []
    for name, text in texts.items():
        path = out_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        paths.append(path)
    return paths


def fold_weights(block: CamBlock, fc_weight: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Weights in the order in which the block reads them: [class_fold · channel_fold, class_pe, pe] from [K, C]."""
    shape = (block.class_fold, block.class_pe, block.channel_fold, block.pe)
    folded = fc_weight.reshape(shape).transpose(0, 2, 1, 3)
    return np.ascontiguousarray(folded.reshape(-1, block.class_pe, block.pe))


def pack_bank(
    block: CamBlock, fc_weight: npt.NDArray[np.int8], bias: npt.NDArray[np.int32] | None
) -> npt.NDArray[np.uint32]:
    """One bank as a host writes it to the registers from 0x1000: uint32 [block.bank_words], little-endian bytes.

    Weight (c, k) is byte c·C + k, an INT8, zero-padded to words; then one int32 bias a class, if the block has biases.

    Raises:
        CamError: weights or biases that do not fit the block.
    """
    bias = check_head(block.spec, fc_weight, bias)
    data = np.zeros(4 * block.weight_words, dtype=np.int8)
    data[: fc_weight.size] = fc_weight.reshape(-1)
    words = data.view("<u4").astype(np.uint32)
    return np.concatenate([words, bias.view(np.uint32)]) if block.spec.bias_bits else words


def config_header(block: CamBlock, fc_weight: npt.NDArray[np.int8] | None, bias: npt.NDArray[np.int32] | None) -> str:
    """The configuration class of a block, its tables, and its ROM where it has one."""
    spec = block.spec
    sizes = {
        "MAP_H": spec.map_height,
        "MAP_W": spec.map_width,
        "CHANNELS": spec.channels,
        "CLASSES": spec.classes,
        "OUT_H": spec.out_height,
        "OUT_W": spec.out_width,
        "SHOWN": spec.shown,
        "PE": block.pe,
        "CLASS_PE": block.class_pe,
        "OUT_BYTES": block.out_bytes,
        "TAP_BITS": spec.tap_bits,
        "WEIGHT_BITS": spec.weight_bits,
        "BIAS_BITS": spec.bias_bits,
        "MAP_BITS": spec.map_bits,
        "LOGIT_SUM_BITS": spec.logit_sum_bits,
        "POOL_BITS": block.pool_bits,
        "RANGE_BITS": spec.range_bits,
        "GUARD_BITS": spec.guard_bits,
        "LEVEL_BITS": spec.level_bits,
        "RECIPROCAL_SHIFT": spec.reciprocal_shift,
        "RECIPROCAL_BITS": spec.reciprocal_bits,
        "DIVIDEND_BITS": spec.dividend_bits,
        "ROW_FRACTION_BITS": spec.rows.fraction_bits,
        "COLUMN_FRACTION_BITS": spec.columns.fraction_bits,
        "PACKET_VERSION": PACKET_VERSION,
        "PADDING_BYTES": spec.layout.length - spec.layout.used_bytes,
    }
    moves = np.diff(spec.columns.low, prepend=-1) != 0
    parts = [
        "// Generated. Sizes, derived widths, sampling positions and weights of one CAM block.",
        "#ifndef CAM_CONFIG_H\n#define CAM_CONFIG_H\n",
        '#include "cam.hpp"\n',
        f"// Output row i lies between map rows low and high, weight/2^{spec.rows.fraction_bits} of the way.",
        *_tables("ROW", spec.rows),
        f"// Output column i lies between map columns low and high, weight/2^{spec.columns.fraction_bits} of the way;",
        "// it moves where its low column is not the one before.",
        *_tables("COLUMN", spec.columns),
        _array("bool", "CAM_COLUMN_MOVES", moves.astype(np.int64)),
        "\nstruct CamConfig {",
        *(f"  static const int {name} = {value};" for name, value in sizes.items()),
        *(
            f"  static int {axis.lower()}_{table}(int i) {{ return CAM_{axis}_{table.upper()}[i]; }}"
            for axis in ("ROW", "COLUMN")
            for table in ("low", "high", "weight")
        ),
        "  static bool column_moves(int i) { return CAM_COLUMN_MOVES[i]; }",
        "};\n",
        "typedef cam::Types<CamConfig> CamTypes;",
        "typedef cam::Sizes<CamConfig> CamSizes;",
    ]
    if fc_weight is not None:
        parts.append("\n// [class group · channel fold][class of the group][channel of the beat]")
        rows = (_braces(_braces(lane) for lane in fold) for fold in fold_weights(block, fc_weight).tolist())
        declaration = "static const CamTypes::Rom CAM_WEIGHT[CamSizes::FOLDS][CamConfig::CLASS_PE][CamConfig::PE]"
        parts.append(declaration + " = {\n" + ",\n".join(rows) + "};")
        biases = bias if bias is not None else np.zeros(spec.classes, dtype=np.int32)
        parts.append(_array("int", "CAM_BIAS", biases.astype(np.int64)))
    text = "\n".join(parts) + "\n"
    digest = hashlib.sha256(repr(block).encode() + text.encode()).hexdigest()
    return text + f"\nstatic const unsigned CAM_BUILD_ID = 0x{digest[:8]}u;\n\n#endif\n"


def _top_header(block: CamBlock) -> str:
    return "\n".join(
        [
            "// Generated. The block's top function: one call is one frame.",
            "#ifndef CAM_TOP_H\n#define CAM_TOP_H\n",
            '#include "cam_config.h"\n',
            f"#define CAM_RUNTIME_WEIGHTS {int(block.runtime_weights)}",
            f"#define CAM_STORE_MAPS {int(block.storage == 'maps')}\n",
            f"void cam_top({', '.join(_ports(block))});\n",
            "// Simulation only: back to the state after reset, but for the frame counter.",
            "void cam_reset(unsigned frame);\n",
            "#endif\n",
        ]
    )


def _top_source(block: CamBlock) -> str:
    arguments = ["tap", "packet", "class_select", "gate"]
    if block.runtime_weights:
        arguments += ["active_bank", "weight_words"]
    arguments += ["CAM_WEIGHT", "CAM_BIAS"]
    statics = ["static unsigned cam_frame = 0;"]
    reset = ["cam_frame = frame;"]
    if block.runtime_weights:
        arguments.append("&cam_loaded_bank")
        statics += [
            "static CamTypes::Rom CAM_WEIGHT[CamSizes::FOLDS][CamConfig::CLASS_PE][CamConfig::PE];",
            "static int CAM_BIAS[CamConfig::CLASSES];",
            "static int cam_loaded_bank = -1;",
        ]
        reset.append("cam_loaded_bank = -1;")
    arguments.append("&cam_frame")
    storage = "stored" if block.storage == "maps" else "tap"
    memory = "ram" if block.runtime_weights else "rom"
    # One wide word of ROM feeds all products of a cycle; RAM is written weight by weight, so it is cut into lanes.
    shape = "ARRAY_PARTITION" if block.runtime_weights else "ARRAY_RESHAPE"
    registers = {"class_select": 0x10, "gate": 0x18, "build_id": 0x30}
    if block.runtime_weights:
        registers |= {"active_bank": 0x20, "weight_words": 0x1000}
    return "\n".join(
        [
            "// Generated. Streams in and out, registers behind AXI-lite; its processes work on successive frames.",
            '#include "cam_top.h"\n',
            *statics,
            "",
            f"void cam_top({', '.join(_ports(block))}) {{",
            "#pragma HLS INTERFACE ap_ctrl_none port=return",
            "#pragma HLS INTERFACE axis port=tap",
            "#pragma HLS INTERFACE axis port=packet",
            *(
                f"#pragma HLS INTERFACE s_axilite port={name} offset=0x{offset:x} bundle=control"
                for name, offset in registers.items()
            ),
            f"#pragma HLS {shape} variable=CAM_WEIGHT complete dim=2",
            f"#pragma HLS {shape} variable=CAM_WEIGHT complete dim=3",
            "#pragma HLS DATAFLOW",
            f"  cam::frame_{storage}_{memory}<CamConfig>({', '.join(arguments)});",
            "  cam::tell(build_id, CAM_BUILD_ID);",
            "}\n",
            "#ifndef __SYNTHESIS__",
            f"void cam_reset(unsigned frame) {{ {' '.join(reset)} }}",
            "#endif\n",
        ]
    )


def _ports(block: CamBlock) -> list[str]:
    ports = [
        "hls::stream<CamTypes::TapBeat> &tap",
        "hls::stream<CamTypes::PacketBeat> &packet",
        "const volatile unsigned *class_select",
        "const volatile int *gate",
    ]
    if block.runtime_weights:
        ports += [
            "const volatile unsigned *active_bank",
            "const unsigned weight_words[2 * CamSizes::BANK_WORDS]",
        ]
    return [*ports, "unsigned *build_id"]


def _tables(axis: str, taps: Taps) -> list[str]:
    return [
        _array("unsigned char", f"CAM_{axis}_LOW", taps.low),
        _array("unsigned char", f"CAM_{axis}_HIGH", taps.high),
        _array("unsigned short", f"CAM_{axis}_WEIGHT", taps.weight),
    ]


def _array(kind: str, name: str, values: npt.NDArray[np.int64]) -> str:
    return f"static const {kind} {name}[{len(values)}] = {_braces(values.tolist())};"


def _braces(items: Iterable[object]) -> str:
    return "{" + ",".join(str(item) for item in items) + "}"


def _library(name: str) -> str:
    return (files("cam_postproc.hls") / "cpp" / name).read_text(encoding="utf-8")
