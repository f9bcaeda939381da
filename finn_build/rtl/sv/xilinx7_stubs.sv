// Black boxes of the primitives that FINN's RTL instantiates by name, with the parameters that it sets.
(* blackbox *)
module LUT6_2 #(
	parameter logic [63:0] INIT = 64'd0
) (
	output logic O6,
	output logic O5,
	input  logic I0,
	input  logic I1,
	input  logic I2,
	input  logic I3,
	input  logic I4,
	input  logic I5
);
endmodule

(* blackbox *)
module SRL16E #(
	parameter logic [15:0] INIT = 16'd0
) (
	output logic Q,
	input  logic A0,
	input  logic A1,
	input  logic A2,
	input  logic A3,
	input  logic CE,
	input  logic CLK,
	input  logic D
);
endmodule

(* blackbox *)
module DSP48E1 #(
	parameter A_INPUT = "DIRECT",
	parameter B_INPUT = "DIRECT",
	parameter USE_DPORT = "FALSE",
	parameter USE_MULT = "MULTIPLY",
	parameter USE_SIMD = "ONE48",
	parameter AUTORESET_PATDET = "NO_RESET",
	parameter logic [47:0] MASK = 48'h3fffffffffff,
	parameter logic [47:0] PATTERN = 48'h0,
	parameter SEL_MASK = "MASK",
	parameter SEL_PATTERN = "PATTERN",
	parameter USE_PATTERN_DETECT = "NO_PATDET",
	parameter int ACASCREG = 1,
	parameter int ADREG = 1,
	parameter int ALUMODEREG = 1,
	parameter int AREG = 1,
	parameter int BCASCREG = 1,
	parameter int BREG = 1,
	parameter int CARRYINREG = 1,
	parameter int CARRYINSELREG = 1,
	parameter int CREG = 1,
	parameter int DREG = 1,
	parameter int INMODEREG = 1,
	parameter int MREG = 1,
	parameter int OPMODEREG = 1,
	parameter int PREG = 1
) (
	output logic [29:0] ACOUT,
	output logic [17:0] BCOUT,
	output logic        CARRYCASCOUT,
	output logic        MULTSIGNOUT,
	output logic [47:0] PCOUT,
	output logic        OVERFLOW,
	output logic        PATTERNBDETECT,
	output logic        PATTERNDETECT,
	output logic        UNDERFLOW,
	output logic [3:0]  CARRYOUT,
	output logic [47:0] P,
	input  logic [29:0] ACIN,
	input  logic [17:0] BCIN,
	input  logic        CARRYCASCIN,
	input  logic        MULTSIGNIN,
	input  logic [47:0] PCIN,
	input  logic [3:0]  ALUMODE,
	input  logic [2:0]  CARRYINSEL,
	input  logic        CLK,
	input  logic [4:0]  INMODE,
	input  logic [6:0]  OPMODE,
	input  logic [29:0] A,
	input  logic [17:0] B,
	input  logic [47:0] C,
	input  logic        CARRYIN,
	input  logic [24:0] D,
	input  logic        CEA1,
	input  logic        CEA2,
	input  logic        CEAD,
	input  logic        CEALUMODE,
	input  logic        CEB1,
	input  logic        CEB2,
	input  logic        CEC,
	input  logic        CECARRYIN,
	input  logic        CECTRL,
	input  logic        CED,
	input  logic        CEINMODE,
	input  logic        CEM,
	input  logic        CEP,
	input  logic        RSTA,
	input  logic        RSTALLCARRYIN,
	input  logic        RSTALUMODE,
	input  logic        RSTB,
	input  logic        RSTC,
	input  logic        RSTCTRL,
	input  logic        RSTD,
	input  logic        RSTINMODE,
	input  logic        RSTM,
	input  logic        RSTP
);
endmodule
