// Matrix-vector unit with multipliers in LUTs: the streams of FINN's mvu_vvu_axi, no DSP.
//
// Contract
//   - Input: MW/SIMD words a vector, SIMD activations each, element 0 in the low bits; every vector is used MH/PE times.
//   - Weights: one word, [PE][SIMD] elements, for each cycle of compute, in the order of FINN's memstream: neuron fold
//     outside, synapse fold inside; signed, any width from 1, the most negative value included.
//   - Output: MH/PE words a vector, PE sums each: Σ_i w[i]·a[i] modulo 2^ACCU_WIDTH, exact if ACCU_WIDTH holds it.
//   - One word of weights a cycle where the streams keep up; results queue up to QUEUE words deep while the output
//     stalls, and compute goes on until then. All of irdy, wrdy and ovld depend on ordy through registers alone.
//   - rst is synchronous and active high. Needs FINN's replay_buffer.
module mvu_lut #(
	parameter int unsigned MW                 = 4,
	parameter int unsigned MH                 = 4,
	parameter int unsigned PE                 = 1,
	parameter int unsigned SIMD               = 1,
	parameter int unsigned WEIGHT_WIDTH       = 4,
	parameter int unsigned ACTIVATION_WIDTH   = 4,
	parameter bit          SIGNED_ACTIVATIONS = 0,
	parameter int unsigned ACCU_WIDTH         = 16
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

	localparam int unsigned QUEUE       = 16;
	localparam int unsigned PLANE_WIDTH = ACTIVATION_WIDTH + 1 + $clog2(SIMD);
	localparam int unsigned TOTAL_WIDTH = PLANE_WIDTH + WEIGHT_WIDTH;

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

	// Stage 1: bit planes. Stage 2: their sum. Stage 3: accumulation over the synapse fold.
	logic used1, last1, used2, last2, first3, done3;
	always_ff @(posedge clk) begin
		if (rst) begin
			used1  <= 1'b0;
			used2  <= 1'b0;
			done3  <= 1'b0;
			first3 <= 1'b1;
		end else begin
			used1 <= take;
			used2 <= used1;
			done3 <= used2 && last2;
			if (used2) first3 <= last2;
		end
		last1 <= a_last;
		last2 <= last1;
	end

	// One plane a bit of the weights: the sum of the activations whose weight has that bit. No multiplier is written
	// down, so none can become a DSP.
	logic [PE-1:0][ACCU_WIDTH-1:0] sums;
	for (genvar p = 0; p < int'(PE); p++) begin : g_pe
		logic signed [PLANE_WIDTH-1:0] plane[WEIGHT_WIDTH];
		for (genvar b = 0; b < int'(WEIGHT_WIDTH); b++) begin : g_plane
			// A heap: node i is the sum of nodes 2i + 1 and 2i + 2, the last SIMD nodes are the activations.
			logic signed [PLANE_WIDTH-1:0] node[2*SIMD-1];
			for (genvar i = 0; i < 2 * int'(SIMD) - 1; i++) begin : g_node
				if (i < int'(SIMD) - 1) begin : g_add
					assign node[i] = node[2*i+1] + node[2*i+2];
				end else begin : g_leaf
					localparam int unsigned S = i - (SIMD - 1);
					logic signed [ACTIVATION_WIDTH:0] x;
					assign x       = {SIGNED_ACTIVATIONS && a[S][ACTIVATION_WIDTH-1], a[S]};
					assign node[i] = wdat[p][S][b] ? PLANE_WIDTH'(x) : '0;
				end
			end
			always_ff @(posedge clk) plane[b] <= node[0];
		end

		logic signed [TOTAL_WIDTH-1:0] total, total2;
		always_comb begin
			total = '0;
			for (int b = 0; b < int'(WEIGHT_WIDTH); b++) begin
				// In two's complement the highest bit counts negatively.
				if (b == int'(WEIGHT_WIDTH) - 1) total = total - (TOTAL_WIDTH'(plane[b]) <<< b);
				else total = total + (TOTAL_WIDTH'(plane[b]) <<< b);
			end
		end

		logic signed [ACCU_WIDTH-1:0] accumulator;
		always_ff @(posedge clk) begin
			total2 <= total;
			if (used2) accumulator <= (first3 ? '0 : accumulator) + ACCU_WIDTH'(total2);
		end
		assign sums[p] = accumulator;
	end

	stream_fifo #(
		.WIDTH(PE * ACCU_WIDTH),
		.DEPTH(QUEUE)
	) queue (
		.clk,
		.rst,
		.idat(sums),
		.ivld(done3),
		/* verilator lint_off PINCONNECTEMPTY */
		.irdy(),  // the count of places keeps it from filling up
		.high_water(),
		/* verilator lint_on PINCONNECTEMPTY */
		.odat,
		.ovld,
		.ordy
	);

endmodule
