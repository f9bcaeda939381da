"""FINN's RTL as it lies in the wheel, and what must be mended in it for Verilator and slang.

A mend is applied to a copy at build time. Each names the text that it replaces, and fails when that text is not found
as often as expected: another finn-plus then says so instead of being simulated unmended. Written for finn-plus 1.6.1.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from finn_build.errors import UserError


@dataclass(frozen=True)
class Mend:
    """A replacement in one file of the library.

    Args:
        file: its name.
        old: the anchor, found `count` times.
        new: what takes its place.
        why: the reason.
        count: occurrences.
    """

    file: str
    old: str
    new: str
    why: str
    count: int = 1


_LEAVES_OLD = """		typedef int unsigned  leaf_load_t[2*N-1];
		function leaf_load_t init_leaf_loads();
			automatic leaf_load_t  res;
			for(int unsigned  i = 2*N-1; i-- > N-1;)  res[i] = 1;
			for(int unsigned  i =   N-1; i-- >   0;)  res[i] = res[2*i+1] + res[2*i+2];
			return  res;
		endfunction : init_leaf_loads
		localparam leaf_load_t   LEAF_LOAD = init_leaf_loads();
"""
_LEVELS = "	localparam int unsigned  L = $clog2(N);  // Number of levels with reductions\n"
_LEAVES_NEW = """
	// Leaves below node i of the heap: those of each level's span that lie among the last N nodes.
	function automatic int unsigned leaf_load(input int unsigned  i);
		automatic int unsigned  lo = i, hi = i, from, to, res = 0;
		while(lo < 2*N-1) begin
			from = lo < N-1? N-1 : lo;
			to   = hi > 2*N-2? 2*N-2 : hi;
			if(to >= from)  res += to - from + 1;
			lo = 2*lo + 1;
			hi = 2*hi + 2;
		end
		return  res;
	endfunction : leaf_load
"""
_ABITS_OLD = """	function abits_t INIT_ABITS();
		automatic abits_t  abits = '{ lo: $clog2(DEPTH_REQ), hi: 0 };
		if(abits.lo > MIN_ABITS) begin
			// Consider Decomposition into lo + hi
			automatic int unsigned  hi_abits = $clog2(DEPTH_REQ - 2**(abits.lo-1));
			if(hi_abits < abits.lo - 1) begin
				abits.lo--;
				abits.hi = hi_abits < 1? 1 : hi_abits;
			end
		end
		return  abits;
	endfunction : INIT_ABITS
	localparam abits_t       ABITS      = INIT_ABITS();
"""
_ABITS_NEW = """	localparam int unsigned  LO_ABITS = $clog2(DEPTH_REQ);
	localparam int unsigned  HI_ABITS = LO_ABITS > MIN_ABITS? $clog2(DEPTH_REQ - 2**(LO_ABITS-1)) : 0;
	localparam bit           SPLIT    = (LO_ABITS > MIN_ABITS) && (HI_ABITS < LO_ABITS - 1);
	localparam abits_t       ABITS    = '{
		lo: SPLIT? LO_ABITS - 1 : LO_ABITS,
		hi: !SPLIT? 0 : HI_ABITS < 1? 1 : HI_ABITS
	};
"""

_SMALL_LETTERS = "Yosys knows the attribute in small letters alone; Vivado takes both"

MENDS: tuple[Mend, ...] = (
    Mend("add_multi.sv", _LEAVES_OLD, "", "a constant function inside a generate"),
    Mend("add_multi.sv", _LEVELS, _LEVELS + _LEAVES_NEW, "it moves out of the generate"),
    Mend("add_multi.sv", "LEAF_LOAD[i]", "leaf_load(i)", "its table becomes a call"),
    Mend("add_multi.sv", "LEAF_LOAD[LIDX]", "leaf_load(LIDX)", "its table becomes a call"),
    Mend("add_multi.sv", "LEAF_LOAD[RIDX]", "leaf_load(RIDX)", "its table becomes a call"),
    Mend("fifo.sv", "`default_nettype none\n", "", "a directive inside a module"),
    Mend("fifo.sv", "`default_nettype wire\n", "", "a directive inside a module"),
    Mend("vpc.sv", "`default_nettype none\n", "", "a directive inside a module"),
    Mend("vpc.sv", "`default_nettype wire\n", "", "a directive inside a module"),
    Mend(
        "mvu.sv",
        "\t\tlogic  Dirty = 1;\n\t\tinitial begin\n\t\t\t#100ns;\n\t\t\tDirty <= 0;\n\t\tend\n",
        "\t\tlocalparam bit  Dirty = 0;\n",
        "a delay in a watchdog of simulated start-up",
    ),
    Mend(
        "thresholding.sv",
        "p.ptr[M-1:SN+1] < 2**stage - SCOPE_REDUCE",
        "(p.ptr[M-1:0] >> (SN+1)) < 2**stage - SCOPE_REDUCE",
        "an ascending slice in the first stage",
    ),
    Mend("fifo.sv", _ABITS_OLD, _ABITS_NEW, "a constant function that returns a structure"),
    Mend(
        "memstream.sv",
        "(* RAM_STYLE = RAM_STYLE *)",
        "(* ram_style = RAM_STYLE *)",
        _SMALL_LETTERS,
    ),
    Mend(
        "thresholding.sv",
        'DEPTH_TRIGGER_BRAM? "distributed" : "auto"',
        '"auto"',
        "Yosys builds a memory that is never written of LUTs by itself, and refuses to when told",
    ),
    Mend("thresholding.sv", "(* RAM_STYLE = RAM_STYLE *)", "(* ram_style = RAM_STYLE *)", _SMALL_LETTERS),
    Mend("thresholding.sv", '"FALSE", RAM_STYLE = RAM_STYLE *)', '"FALSE", ram_style = RAM_STYLE *)', _SMALL_LETTERS),
)


def rtl_library() -> Path:
    """The folder of FINN's SystemVerilog, finn-rtllib.

    Raises:
        UserError: finn-plus is not installed, or came without it.
    """
    found = find_spec("finn")
    for place in (found.submodule_search_locations or []) if found is not None else []:
        library = Path(place) / "finn-rtllib"
        if library.is_dir():
            return library
    raise UserError("finn-rtllib", "FINN's RTL in the finn-plus wheel", "none", "run make setup")


def mended(file: str, text: str) -> str:
    """The text of a library file with its mends.

    Raises:
        UserError: an anchor is not found as often as it should be.
    """
    for mend in MENDS:
        if mend.file != file:
            continue
        got = text.count(mend.old)
        if got != mend.count:
            remedy = "pin finn-plus 1.6.1, or adapt the mends of finn_build/rtl/library.py"
            raise UserError(f"FINN's {file}", f"{mend.count} times the text to mend ({mend.why})", str(got), remedy)
        text = text.replace(mend.old, mend.new)
    return text
