// Element-wise sum of two streams of integers, PE lanes wide: the join of a residual block.
//
// Contract
//   - out[i] = lhs[i] + rhs[i] for each lane; each operand has its own width and signedness, lane 0 in the low bits.
//   - OUT_WIDTH holds every sum (the generator derives it from the types); a narrower one would wrap.
//   - A sum is formed when both operands are there; neither input waits for more than its own two-word buffer
//     before the other one's word is there. lrdy, rrdy and ovld are registers.
//   - One sum a cycle; latency two cycles. rst is synchronous and active high.
module residual_add #(
	parameter int unsigned PE         = 1,
	parameter int unsigned LHS_WIDTH  = 8,
	parameter int unsigned RHS_WIDTH  = 8,
	parameter bit          LHS_SIGNED = 1,
	parameter bit          RHS_SIGNED = 1,
	parameter int unsigned OUT_WIDTH  = 9
) (
	input  logic                         clk,
	input  logic                         rst,
	input  logic [PE-1:0][LHS_WIDTH-1:0] ldat,
	input  logic                         lvld,
	output logic                         lrdy,
	input  logic [PE-1:0][RHS_WIDTH-1:0] rdat,
	input  logic                         rvld,
	output logic                         rrdy,
	output logic [PE-1:0][OUT_WIDTH-1:0] odat,
	output logic                         ovld,
	input  logic                         ordy
);

	logic [PE-1:0][LHS_WIDTH-1:0] l;
	logic [PE-1:0][RHS_WIDTH-1:0] r;
	logic l_there, r_there, take;

	assign take = l_there && r_there && (!ovld || ordy);

	stream_skid #(
		.WIDTH(PE * LHS_WIDTH)
	) lhs_buffer (
		.clk,
		.rst,
		.idat(ldat),
		.ivld(lvld),
		.irdy(lrdy),
		.odat(l),
		.ovld(l_there),
		.ordy(take)
	);

	stream_skid #(
		.WIDTH(PE * RHS_WIDTH)
	) rhs_buffer (
		.clk,
		.rst,
		.idat(rdat),
		.ivld(rvld),
		.irdy(rrdy),
		.odat(r),
		.ovld(r_there),
		.ordy(take)
	);

	always_ff @(posedge clk) begin
		if (rst) ovld <= 1'b0;
		else if (!ovld || ordy) ovld <= take;
	end

	for (genvar i = 0; i < int'(PE); i++) begin : g_lane
		// One bit more makes an operand signed, whatever its type.
		logic signed [LHS_WIDTH:0] a;
		logic signed [RHS_WIDTH:0] b;
		assign a   = {LHS_SIGNED && l[i][LHS_WIDTH-1], l[i]};
		assign b   = {RHS_SIGNED && r[i][RHS_WIDTH-1], r[i]};
		always_ff @(posedge clk) begin
			if (take) odat[i] <= OUT_WIDTH'(a) + OUT_WIDTH'(b);
		end
	end

endmodule
