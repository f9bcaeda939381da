// PE sums of SIMD products each, in LUTs alone.
//
// A weight w of W bits is taken as w + 2^(W-1), which is its bits with the highest inverted and never negative, and cut
// into digits of two bits, the lowest of one bit where W is odd. Each digit chooses 0, a, 2a or 3a, so that a LUT of six
// inputs chooses and adds at once; the digits' sums are put together afterwards, and 2^(W-1)·Σa, the same for all PE
// lanes, is taken off. No multiplier is written down, so none can become a DSP.
//
// Contract
//   - sum[p] = Σ_s w[p][s]·a[s], signed, two cycles after its operands; a set of operands a cycle; no reset.
module lut_products #(
	parameter  int unsigned PE                 = 1,
	parameter  int unsigned SIMD               = 1,
	parameter  int unsigned WEIGHT_WIDTH       = 4,
	parameter  int unsigned ACTIVATION_WIDTH   = 4,
	parameter  bit          SIGNED_ACTIVATIONS = 0,
	localparam int unsigned SUM_WIDTH          = WEIGHT_WIDTH + ACTIVATION_WIDTH + $clog2(SIMD)
) (
	input  logic                                      clk,
	input  logic [PE-1:0][SIMD-1:0][WEIGHT_WIDTH-1:0] w,
	input  logic [SIMD-1:0][ACTIVATION_WIDTH-1:0]     a,
	output logic [PE-1:0][SUM_WIDTH-1:0]              sum
);

	localparam int unsigned ODD    = WEIGHT_WIDTH % 2;
	localparam int unsigned DIGITS = (WEIGHT_WIDTH + 1) / 2;

	logic [SIMD-1:0][ACTIVATION_WIDTH+1:0] thrice;
	for (genvar s = 0; s < int'(SIMD); s++) begin : g_thrice
		localparam int unsigned WIDTH = ACTIVATION_WIDTH + 2;
		wire [WIDTH-1:0] once = {{2{SIGNED_ACTIVATIONS && a[s][ACTIVATION_WIDTH-1]}}, a[s]};
		assign thrice[s] = once + WIDTH'({once, 1'b0});
	end

	logic [SUM_WIDTH-1:0] all, all1;
	digit_sum #(
		.N(SIMD),
		.DIGIT_WIDTH(1),
		.WIDTH(ACTIVATION_WIDTH),
		.IS_SIGNED(SIGNED_ACTIVATIONS),
		.OUT_WIDTH(SUM_WIDTH)
	) sum_of_all (
		.digit({SIMD{1'b1}}),
		.a,
		.thrice,
		.sum(all)
	);
	always_ff @(posedge clk) all1 <= all;

	for (genvar p = 0; p < int'(PE); p++) begin : g_pe
		wire [SIMD-1:0][WEIGHT_WIDTH-1:0] raised = w[p] ^ {SIMD{WEIGHT_WIDTH'(1) << (WEIGHT_WIDTH - 1)}};
		logic [DIGITS:0][SUM_WIDTH-1:0] total;
		assign total[0] = -(all1 << (WEIGHT_WIDTH - 1));
		for (genvar d = 0; d < int'(DIGITS); d++) begin : g_digit
			localparam int unsigned DIGIT_WIDTH = d == 0 && ODD == 1 ? 1 : 2;
			localparam int unsigned AT          = d == 0 ? 0 : 2 * d - ODD;
			logic [SIMD-1:0][DIGIT_WIDTH-1:0] digit;
			for (genvar s = 0; s < int'(SIMD); s++) begin : g_weight
				assign digit[s] = raised[s][AT+:DIGIT_WIDTH];
			end
			logic [SUM_WIDTH-1:0] weighted, weighted1;
			digit_sum #(
				.N(SIMD),
				.DIGIT_WIDTH(DIGIT_WIDTH),
				.WIDTH(ACTIVATION_WIDTH),
				.IS_SIGNED(SIGNED_ACTIVATIONS),
				.OUT_WIDTH(SUM_WIDTH)
			) of_digit (
				.digit,
				.a,
				.thrice,
				.sum(weighted)
			);
			always_ff @(posedge clk) weighted1 <= weighted;
			assign total[d+1] = total[d] + (weighted1 << AT);
		end
		always_ff @(posedge clk) sum[p] <= total[DIGITS];
	end

endmodule
