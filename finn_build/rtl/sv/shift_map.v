// A word chosen from a row of words, bit by bit as $shiftx: the form in which Yosys finds shift registers with a tap that
// moves, and maps them to SRL16E and SRLC32E, as Vivado does. Yosys' SystemVerilog front end lays element 0 of an
// ascending row at the high end and inverts the index; both are undone. Elements at the low end that nothing drives fill
// the row up to a power of two, and are left out.
(* techmap_celltype = "$bmux" *)
module shift_map (A, S, Y);
	parameter WIDTH = 1;
	parameter S_WIDTH = 1;
	parameter _TECHMAP_CONSTMSK_A_ = 0;
	input [(WIDTH << S_WIDTH)-1:0] A;
	input [S_WIDTH-1:0] S;
	output [WIDTH-1:0] Y;

	localparam WORDS = 1 << S_WIDTH;
	function integer undriven;
		input integer unused;
		integer i;
		begin
			undriven = 0;
			for (i = WORDS - 1; i >= 0; i = i - 1)
				if (&_TECHMAP_CONSTMSK_A_[i*WIDTH +: WIDTH] && undriven == 0) undriven = i + 1;
		end
	endfunction
	localparam LENGTH = WORDS - undriven(0);

	genvar b, e;
	generate
		if (LENGTH < 3) begin : other
			wire _TECHMAP_FAIL_ = 1;
		end else begin : found
			for (b = 0; b < WIDTH; b = b + 1) begin : bits
				wire [LENGTH-1:0] row;
				for (e = 0; e < LENGTH; e = e + 1) begin : taps
					assign row[e] = A[(WORDS-1-e)*WIDTH + b];
				end
				\$shiftx #(
					.A_SIGNED(0), .B_SIGNED(0), .A_WIDTH(LENGTH), .B_WIDTH(S_WIDTH), .Y_WIDTH(1)
				) pick (.A(row), .B(~S), .Y(Y[b]));
			end
		end
	endgenerate
endmodule
