// PE sums of SIMD products each, in chains of SIMD DSP48E1: two lanes a chain, added up on the way through it.
//
// A DSP multiplies one activation by two weights at once, the second OFFSET bits above the first, and adds what the
// DSP before it handed on. So operand s comes s cycles later than operand 0, and no product is added up in LUTs: FINN's
// core puts more weights into a DSP, and then has to take each product apart and add in LUTs.
//
// Contract
//   - sum[p] = Σ_s w[p][s]·a[s], signed, SIMD + 3 cycles after its operands; a set of operands a cycle; no reset.
//   - A lane's sum has to fit below the other: 2·WEIGHT_WIDTH + ACTIVATION_WIDTH + ⌈log2 SIMD⌉ ≤ 24.
//   - Takes ⌈PE/2⌉·SIMD DSPs. Verilator simulates their behaviour; everything else gets the primitive.
module dsp_chain #(
	parameter  int unsigned PE                 = 2,
	parameter  int unsigned SIMD               = 2,
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

	localparam int unsigned COLUMNS = (PE + 1) / 2;
	localparam int unsigned OFFSET  = 24 - WEIGHT_WIDTH;
	if (SUM_WIDTH > OFFSET) begin : g_refused
		$error("%m: a lane's sum has %0d bits, and place for %0d.", SUM_WIDTH, OFFSET);
	end

	logic [COLUMNS-1:0][SIMD:0][47:0] partial;
	for (genvar s = 0; s < int'(SIMD); s++) begin : g_skew
		// Operands of DSP s, s cycles late.
		localparam int unsigned WIDTH = ACTIVATION_WIDTH + PE * WEIGHT_WIDTH;
		logic [PE-1:0][WEIGHT_WIDTH-1:0] now, late_w;
		logic [ACTIVATION_WIDTH-1:0] late_a;
		for (genvar p = 0; p < int'(PE); p++) begin : g_pe
			assign now[p] = w[p][s];
		end
		if (s == 0) begin : g_direct
			assign {late_a, late_w} = {a[s], now};
		end else begin : g_late
			logic [s-1:0][WIDTH-1:0] line;
			always_ff @(posedge clk) line <= (s * WIDTH)'({line, a[s], now});
			assign {late_a, late_w} = line[s-1];
		end

		for (genvar c = 0; c < int'(COLUMNS); c++) begin : g_column
			wire signed [24:0] low = 25'(signed'(late_w[2*c]));
			wire signed [17:0] x   = 18'(signed'({SIGNED_ACTIVATIONS && late_a[ACTIVATION_WIDTH-1], late_a}));
			logic signed [24:0] high;
			if (2 * c + 1 < int'(PE)) begin : g_pair
				assign high = 25'(signed'(late_w[2*c+1])) <<< OFFSET;
			end else begin : g_single
				assign high = '0;
			end
			if (s == 0) begin : g_first
				// With this the lower lane is never negative, and borrows nothing from the upper one.
				assign partial[c][0] = 48'd1 << (OFFSET - 1);
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
				partial[c][s+1] <= 48'(product3) + partial[c][s];
			end
`else
			// Inside a chain the sum goes on by the cascade alone, at its end into the fabric.
			wire [47:0] cascade, fabric;
			assign partial[c][s+1] = s == int'(SIMD) - 1 ? fabric : cascade;
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
				.PCIN(s == 0 ? '0 : partial[c][s]),
				.C(s == 0 ? partial[c][0] : '0),
				.PCOUT(cascade),
				.P(fabric),
				.INMODE(5'b00100),  // D + A
				.OPMODE(s == 0 ? 7'b0110101 : 7'b0010101),  // product + C, product + what the DSP before handed on
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

	for (genvar p = 0; p < int'(PE); p++) begin : g_sum
		wire [47:0] both = partial[p/2][SIMD];
		assign sum[p] = p % 2 == 0 ? SUM_WIDTH'({!both[OFFSET-1], both[OFFSET-2:0]}) : both[OFFSET+:SUM_WIDTH];
	end

endmodule
