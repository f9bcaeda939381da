// Matrix-vector unit with the streams of FINN's mvu_vvu_axi, around a core of this project's: LUTs or chains of DSPs.
//
// Contract
//   - Input: MW/SIMD words a vector, SIMD activations each, element 0 in the low bits; every vector is used MH/PE times.
//   - Weights: one word, [PE][SIMD] elements, for each cycle of compute, in the order of FINN's memstream: neuron fold
//     outside, synapse fold inside; signed, any width from 1, the most negative value included.
//   - Output: MH/PE words a vector, PE sums each: Σ_i w[i]·a[i] modulo 2^ACCU_WIDTH, exact if ACCU_WIDTH holds it.
//   - One word of weights a cycle where the streams keep up; results queue up to QUEUE words deep while the output
//     stalls, and compute goes on until then. All of irdy, wrdy and ovld depend on ordy through registers alone.
//   - CHAIN: dsp_chain, of up to MOST_CHAIN DSPs each, instead of lut_products; its contract says which widths it takes.
//   - rst is synchronous and active high. Needs FINN's replay_buffer.
module mvu_own #(
	parameter int unsigned MW                 = 4,
	parameter int unsigned MH                 = 4,
	parameter int unsigned PE                 = 1,
	parameter int unsigned SIMD               = 1,
	parameter int unsigned WEIGHT_WIDTH       = 4,
	parameter int unsigned ACTIVATION_WIDTH   = 4,
	parameter bit          SIGNED_ACTIVATIONS = 0,
	parameter int unsigned ACCU_WIDTH         = 16,
	parameter bit          CHAIN              = 0,
	parameter int unsigned QUEUE              = 16,
	parameter int unsigned MOST_CHAIN         = 20
) (
	input  logic                                       clk,
	input  logic                                       rst,
	input  logic [PE-1:0][SIMD-1:0][WEIGHT_WIDTH-1:0]  wdat,
	input  logic                                       wvld,
	output logic                                       wrdy,
	input  logic [SIMD-1:0][ACTIVATION_WIDTH-1:0]      idat,
	input  logic                                       ivld,
	output logic                                       irdy,
	output logic [PE-1:0][ACCU_WIDTH-1:0]              odat,
	output logic                                       ovld,
	input  logic                                       ordy
);

	// A word's sum is as wide as it can become, and there so many cycles after the word was taken.
	localparam int unsigned SUM_WIDTH = WEIGHT_WIDTH + ACTIVATION_WIDTH + $clog2(SIMD);
	localparam int unsigned CHAINS    = (SIMD + MOST_CHAIN - 1) / MOST_CHAIN;
	localparam int unsigned LATENCY   = CHAIN ? (SIMD + CHAINS - 1) / CHAINS + 3 + (CHAINS > 1) : 2;

	logic [SIMD-1:0][ACTIVATION_WIDTH-1:0] a;
	logic a_there, a_last, take;
	/* verilator lint_off UNUSEDSIGNAL */
	logic a_fin;  // end of the last replay, of no interest here
	/* verilator lint_on UNUSEDSIGNAL */

	replay_buffer #(
		.LEN(MW / SIMD),
		.REP(MH / PE),
		.W(SIMD * ACTIVATION_WIDTH)
	) replay (
		.clk,
		.rst,
		.idat(idat),
		.ivld(ivld),
		.irdy(irdy),
		.odat(a),
		.olast(a_last),
		.ofin(a_fin),
		.ovld(a_there),
		.ordy(take)
	);

	// Only a sum's last word needs a place in the queue, so only it waits for one.
	logic [$clog2(QUEUE+1)-1:0] places;
	logic pop, room;
	assign room = places != 0;
	assign take = a_there && wvld && (room || !a_last);
	assign wrdy = a_there && (room || !a_last);
	assign pop  = ovld && ordy;
	always_ff @(posedge clk) begin
		if (rst) places <= ($clog2(QUEUE + 1))'(QUEUE);
		else if (take && a_last && !pop) places <= places - 1'b1;
		else if (pop && !(take && a_last)) places <= places + 1'b1;
	end

	// The core never stops: what was not taken runs through it unused.
	logic [PE-1:0][SUM_WIDTH-1:0] sum;
	if (CHAIN) begin : g_chain
		dsp_chain #(
			.PE(PE),
			.SIMD(SIMD),
			.WEIGHT_WIDTH(WEIGHT_WIDTH),
			.ACTIVATION_WIDTH(ACTIVATION_WIDTH),
			.SIGNED_ACTIVATIONS(SIGNED_ACTIVATIONS),
			.MOST(MOST_CHAIN)
		) core (
			.clk,
			.w(wdat),
			.a,
			.sum
		);
	end else begin : g_luts
		lut_products #(
			.PE(PE),
			.SIMD(SIMD),
			.WEIGHT_WIDTH(WEIGHT_WIDTH),
			.ACTIVATION_WIDTH(ACTIVATION_WIDTH),
			.SIGNED_ACTIVATIONS(SIGNED_ACTIVATIONS)
		) core (
			.clk,
			.w(wdat),
			.a,
			.sum
		);
	end

	// Accumulation over the synapse fold.
	logic [LATENCY-1:0] used, last;
	logic first, done;
	always_ff @(posedge clk) begin
		if (rst) begin
			used  <= '0;
			done  <= 1'b0;
			first <= 1'b1;
		end else begin
			used <= LATENCY'({used, take});
			done <= used[LATENCY-1] && last[LATENCY-1];
			if (used[LATENCY-1]) first <= last[LATENCY-1];
		end
		last <= LATENCY'({last, a_last});
	end

	logic [PE-1:0][ACCU_WIDTH-1:0] totals;
	for (genvar p = 0; p < int'(PE); p++) begin : g_total
		always_ff @(posedge clk) begin
			if (used[LATENCY-1]) totals[p] <= ACCU_WIDTH'(signed'(sum[p])) + (first ? '0 : totals[p]);
		end
	end

	stream_fifo #(
		.WIDTH(PE * ACCU_WIDTH),
		.DEPTH(QUEUE)
	) queue (
		.clk,
		.rst,
		.idat(totals),
		.ivld(done),
		/* verilator lint_off PINCONNECTEMPTY */
		.irdy(),  // the count of places keeps it from filling up
		.high_water(),
		/* verilator lint_on PINCONNECTEMPTY */
		.odat,
		.ovld,
		.ordy
	);

endmodule
