// A register: what has to be synthesised and placed to see whether it may be.
module probe (
	input clk,
	input d,
	output reg q
);
	always @(posedge clk)
		q <= d;
endmodule
