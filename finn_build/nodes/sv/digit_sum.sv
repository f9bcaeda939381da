// Σ digit[i]·a[i] of N operands, by itself again: chains of three choose and add in one LUT a bit, a tree adds those.
//
// Contract
//   - No clock. `thrice` is 3·a, made once for all who need it. Digits have one or two bits and are not negative.
//   - Sums are as wide as they can become, then extended to OUT_WIDTH, which has to hold them.
module digit_sum #(
	parameter int unsigned N           = 4,
	parameter int unsigned DIGIT_WIDTH = 2,
	parameter int unsigned WIDTH       = 4,
	parameter bit          IS_SIGNED   = 0,
	parameter int unsigned OUT_WIDTH   = 8
) (
	/* verilator lint_off UNUSEDSIGNAL */
	input  logic [N-1:0][DIGIT_WIDTH-1:0] digit,
	input  logic [N-1:0][WIDTH-1:0]       a,
	input  logic [N-1:0][WIDTH+1:0]       thrice,  // of digits of one bit unused
	/* verilator lint_on UNUSEDSIGNAL */
	output logic [OUT_WIDTH-1:0]          sum
);

	localparam int unsigned MOST = DIGIT_WIDTH == 2 ? 3 : 1;

	// Bits of a sum of so many operands.
	function automatic int unsigned width_of(input int unsigned operands);
		return IS_SIGNED ? $clog2(operands * MOST * 2 ** (WIDTH - 1)) + 1 : $clog2(operands * MOST * (2 ** WIDTH - 1) + 1);
	endfunction

	localparam int unsigned OWN = width_of(N);
	logic [OWN-1:0] own;
	if (OUT_WIDTH > OWN) begin : g_extended
		assign sum = {{(OUT_WIDTH - OWN) {IS_SIGNED && own[OWN-1]}}, own};
	end else begin : g_as_is
		assign sum = own[OUT_WIDTH-1:0];
	end

	if (N == 1) begin : g_one
		if (DIGIT_WIDTH == 1) begin : g_bit
			assign own = digit[0][0] ? a[0] : '0;
		end else begin : g_two_bits
			wire [WIDTH+1:0] once = {{2{IS_SIGNED && a[0][WIDTH-1]}}, a[0]};
			always_comb begin
				unique case (digit[0])
					2'd0: own = '0;
					2'd1: own = OWN'(once);
					2'd2: own = OWN'({once, 1'b0});
					2'd3: own = OWN'(thrice[0]);
				endcase
			end
		end
	end else begin : g_more
		// One operand joins a sum of up to two; of more, whole chains of three come first.
		localparam int unsigned HALF  = (N + 5) / 6 * 3;
		localparam int unsigned RIGHT = N <= 3 ? 1 : N - HALF;
		/* verilator lint_off UNUSEDPARAM */
		localparam int unsigned LEFT  = N - RIGHT;
		/* verilator lint_on UNUSEDPARAM */
		logic [OWN-1:0] left, right;
		digit_sum #(
			.N(LEFT),
			.DIGIT_WIDTH(DIGIT_WIDTH),
			.WIDTH(WIDTH),
			.IS_SIGNED(IS_SIGNED),
			.OUT_WIDTH(OWN)
		) low (
			.digit(digit[LEFT-1:0]),
			.a(a[LEFT-1:0]),
			.thrice(thrice[LEFT-1:0]),
			.sum(left)
		);
		digit_sum #(
			.N(RIGHT),
			.DIGIT_WIDTH(DIGIT_WIDTH),
			.WIDTH(WIDTH),
			.IS_SIGNED(IS_SIGNED),
			.OUT_WIDTH(OWN)
		) high (
			.digit(digit[N-1:LEFT]),
			.a(a[N-1:LEFT]),
			.thrice(thrice[N-1:LEFT]),
			.sum(right)
		);
		assign own = left + right;
	end

endmodule
