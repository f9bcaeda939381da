// Every addition as a carry chain of its own, a LUT a bit, as Vivado builds them. Left to itself Yosys merges chains of
// additions and compresses their operands first, which takes two LUTs a bit for each operand more.
(* techmap_celltype = "$add $sub" *)
module add_map (A, B, Y);
	parameter A_SIGNED = 0;
	parameter B_SIGNED = 0;
	parameter A_WIDTH = 1;
	parameter B_WIDTH = 1;
	parameter Y_WIDTH = 1;
	parameter _TECHMAP_CELLTYPE_ = "";
	input [A_WIDTH-1:0] A;
	input [B_WIDTH-1:0] B;
	output [Y_WIDTH-1:0] Y;

	localparam SUBTRACT = _TECHMAP_CELLTYPE_ == "$sub";
	wire [Y_WIDTH-1:0] propagate, carry;
	\$alu #(
		.A_SIGNED(A_SIGNED), .B_SIGNED(B_SIGNED), .A_WIDTH(A_WIDTH), .B_WIDTH(B_WIDTH), .Y_WIDTH(Y_WIDTH)
	) add (.A(A), .B(B), .BI(SUBTRACT), .CI(SUBTRACT), .X(propagate), .CO(carry), .Y(Y));
endmodule
