// PE sums of SIMD products each, in chains of DSP48E1: two lanes a chain, added up on the way through it.
//
// A DSP multiplies one activation by two weights at once, the second OFFSET bits above the first, and adds what the
// DSP before it handed on. So operand i of a chain comes i cycles later than operand 0, and no product is added up in
// LUTs: FINN's core puts more weights into a DSP, and then has to take each product apart and add in LUTs. A chain cannot
// leave its column of the chip, so SIMD operands are shared out among CHAINS of up to MOST DSPs, whose sums LUTs add.
//
// Contract
//   - sum[p] = Σ_s w[p][s]·a[s], signed, LENGTH + 3 cycles after its operands, one more where there are several chains; a
//     set of operands a cycle; no reset.
//   - A chain's sum has to fit below the other lane: 2·WEIGHT_WIDTH + ACTIVATION_WIDTH + ⌈log2 LENGTH⌉ ≤ 24.
//   - Takes ⌈PE/2⌉·SIMD DSPs. Verilator simulates their behaviour; everything else gets the primitive.
module dsp_chain #(
	parameter  int unsigned PE                 = 2,
	parameter  int unsigned SIMD               = 2,
	parameter  int unsigned WEIGHT_WIDTH       = 4,
	parameter  int unsigned ACTIVATION_WIDTH   = 4,
	parameter  bit          SIGNED_ACTIVATIONS = 0,
	parameter  int unsigned MOST               = 20,
	localparam int unsigned SUM_WIDTH          = WEIGHT_WIDTH + ACTIVATION_WIDTH + $clog2(SIMD)
) (
	input  logic                                      clk,
	input  logic [PE-1:0][SIMD-1:0][WEIGHT_WIDTH-1:0] w,
	input  logic [SIMD-1:0][ACTIVATION_WIDTH-1:0]     a,
	output logic [PE-1:0][SUM_WIDTH-1:0]              sum
);

	localparam int unsigned PAIRS    = (PE + 1) / 2;
	localparam int unsigned OFFSET   = 24 - WEIGHT_WIDTH;
	localparam int unsigned CHAINS   = (SIMD + MOST - 1) / MOST;
	localparam int unsigned LENGTH   = (SIMD + CHAINS - 1) / CHAINS;
	localparam int unsigned OWN      = WEIGHT_WIDTH + ACTIVATION_WIDTH + $clog2(LENGTH);  // bits of a chain's sum
	if (OWN > OFFSET) begin : g_refused
		$error("%m: a lane's sum has %0d bits, and place for %0d.", OWN, OFFSET);
	end

	// Operand s is number s % LENGTH of chain s / LENGTH; the last chain may be shorter, and begins later then.
	logic [PAIRS-1:0][CHAINS-1:0][47:0] whole;
	logic [PAIRS-1:0][SIMD:0][47:0] partial;
	for (genvar s = 0; s < int'(SIMD); s++) begin : g_operand
		localparam int unsigned CHAIN = s / LENGTH;
		localparam bit          FIRST = s % LENGTH == 0;
		localparam bit          LAST  = s % LENGTH == LENGTH - 1 || s == int'(SIMD) - 1;
		localparam int unsigned SPARE = CHAIN == CHAINS - 1 ? CHAINS * LENGTH - SIMD : 0;
		localparam int unsigned LATE  = s % LENGTH + SPARE;
		localparam int unsigned WIDTH = ACTIVATION_WIDTH + PE * WEIGHT_WIDTH;
		logic [PE-1:0][WEIGHT_WIDTH-1:0] now, late_w;
		logic [ACTIVATION_WIDTH-1:0] late_a;
		for (genvar p = 0; p < int'(PE); p++) begin : g_pe
			assign now[p] = w[p][s];
		end
		if (LATE == 0) begin : g_direct
			assign {late_a, late_w} = {a[s], now};
		end else begin : g_late
			logic [LATE-1:0][WIDTH-1:0] line;
			always_ff @(posedge clk) line <= (LATE * WIDTH)'({line, a[s], now});
			assign {late_a, late_w} = line[LATE-1];
		end

		for (genvar c = 0; c < int'(PAIRS); c++) begin : g_pair
			wire signed [24:0] low = 25'(signed'(late_w[2*c]));
			wire signed [17:0] x   = 18'(signed'({SIGNED_ACTIVATIONS && late_a[ACTIVATION_WIDTH-1], late_a}));
			logic signed [24:0] high;
			if (2 * c + 1 < int'(PE)) begin : g_two
				assign high = 25'(signed'(late_w[2*c+1])) <<< OFFSET;
			end else begin : g_one
				assign high = '0;
			end
			// Begun with this the lower lane is never negative, and borrows nothing from the upper one.
			wire [47:0] start = FIRST ? 48'd1 << (OFFSET - 1) : partial[c][s];
			if (LAST) begin : g_last
				assign whole[c][CHAIN] = partial[c][s+1];
			end
`ifdef VERILATOR
			logic signed [24:0] low1, high1, both2;
			logic signed [17:0] x1, x2;
			logic signed [42:0] product3;
			always_ff @(posedge clk) begin
				{low1, high1, x1} <= {low, high, x};
				both2 <= low1 + high1;
				x2 <= x1;
				product3 <= both2 * x2;
				partial[c][s+1] <= 48'(product3) + start;
			end
`else
			// Inside a chain the sum goes on by the cascade alone, at its end into the fabric.
			wire [47:0] cascade, fabric;
			assign partial[c][s+1] = LAST ? fabric : cascade;
			DSP48E1 #(
				.USE_DPORT("TRUE"),
				.ACASCREG(1),
				.ADREG(1),
				.ALUMODEREG(0),
				.AREG(1),
				.BCASCREG(2),
				.BREG(2),
				.CARRYINREG(0),
				.CARRYINSELREG(0),
				.CREG(0),
				.DREG(1),
				.INMODEREG(0),
				.MREG(1),
				.OPMODEREG(0),
				.PREG(1)
			) dsp (
				.CLK(clk),
				.A(30'(low)),
				.D(high),
				.B(x),
				.PCIN(FIRST ? '0 : start),
				.C(FIRST ? start : '0),
				.PCOUT(cascade),
				.P(fabric),
				.INMODE(5'b00100),  // D + A
				.OPMODE(FIRST ? 7'b0110101 : 7'b0010101),  // product + C, product + what the DSP before handed on
				.ALUMODE(4'b0000),
				.CARRYINSEL(3'b000),
				.CARRYIN(1'b0),
				.ACIN('0),
				.BCIN('0),
				.CARRYCASCIN(1'b0),
				.MULTSIGNIN(1'b0),
				.CEA1(1'b0),
				.CEA2(1'b1),
				.CEAD(1'b1),
				.CEALUMODE(1'b0),
				.CEB1(1'b1),
				.CEB2(1'b1),
				.CEC(1'b0),
				.CECARRYIN(1'b0),
				.CECTRL(1'b0),
				.CED(1'b1),
				.CEINMODE(1'b0),
				.CEM(1'b1),
				.CEP(1'b1),
				.RSTA(1'b0),
				.RSTALLCARRYIN(1'b0),
				.RSTALUMODE(1'b0),
				.RSTB(1'b0),
				.RSTC(1'b0),
				.RSTCTRL(1'b0),
				.RSTD(1'b0),
				.RSTINMODE(1'b0),
				.RSTM(1'b0),
				.RSTP(1'b0),
				.ACOUT(),
				.BCOUT(),
				.CARRYCASCOUT(),
				.MULTSIGNOUT(),
				.OVERFLOW(),
				.PATTERNBDETECT(),
				.PATTERNDETECT(),
				.UNDERFLOW(),
				.CARRYOUT()
			);
`endif
		end
	end

	for (genvar c = 0; c < int'(PAIRS); c++) begin : g_begin
		assign partial[c][0] = '0;
	end

	for (genvar p = 0; p < int'(PE); p++) begin : g_sum
		logic [CHAINS-1:0][SUM_WIDTH-1:0] lane;
		for (genvar k = 0; k < int'(CHAINS); k++) begin : g_chain
			wire [47:0] both = whole[p/2][k];
			wire signed [OWN-1:0] own = p % 2 == 0 ? OWN'({!both[OFFSET-1], both[OFFSET-2:0]}) : both[OFFSET+:OWN];
			assign lane[k] = SUM_WIDTH'(own);
		end
		if (CHAINS == 1) begin : g_alone
			assign sum[p] = lane[0];
		end else begin : g_several
			logic [SUM_WIDTH-1:0] total;
			always_comb begin
				total = lane[0];
				for (int unsigned k = 1; k < CHAINS; k++) total = total + lane[k];
			end
			always_ff @(posedge clk) sum[p] <= total;
		end
	end

endmodule
