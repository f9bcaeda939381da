// Weights that are never written: word after word, and from the first again, as a stream.
//
// In place of FINN's memstream_axi, which can be written at run time and pays for that with a queue of eight words behind
// its memory: a LUT and three flip-flops for every bit of a word. A read-only memory can simply stop.
//
// Contract
//   - odat has the DEPTH words of INIT_FILE in their order, over and over; one a cycle where ordy stays high.
//   - ovld comes three cycles after reset and stays. Memory and its output register stop while ovld && !ordy: both are
//     those of a block RAM, where RAM_STYLE is block. rst is synchronous and active high.
module weight_rom #(
	parameter int unsigned DEPTH     = 4,
	parameter int unsigned WIDTH     = 8,
	parameter              INIT_FILE = "",
	parameter              RAM_STYLE = "auto"
) (
	input  logic             clk,
	input  logic             rst,
	input  logic             ordy,
	output logic             ovld,
	output logic [WIDTH-1:0] odat
);

	localparam int unsigned ADDR_WIDTH = DEPTH > 1 ? $clog2(DEPTH) : 1;
	typedef logic [ADDR_WIDTH-1:0] addr_t;

	addr_t at;
	logic there, go;
	assign go = ordy || !ovld;
	always_ff @(posedge clk) begin
		if (rst) begin
			at    <= '0;
			there <= 1'b0;
			ovld  <= 1'b0;
		end else if (go) begin
			at    <= at == addr_t'(DEPTH - 1) ? '0 : at + 1'b1;
			there <= 1'b1;
			ovld  <= there;
		end
	end

	logic [WIDTH-1:0] word;
	/* verilator lint_off WIDTHEXPAND */
	if (RAM_STYLE == "block") begin : g_block
	/* verilator lint_on WIDTHEXPAND */
		(* rom_style = "block", ram_style = "block" *) logic [WIDTH-1:0] memory[DEPTH];
		initial $readmemh(INIT_FILE, memory);
		always_ff @(posedge clk) if (go) word <= memory[at];
	end else begin : g_other
		(* rom_style = RAM_STYLE, ram_style = RAM_STYLE *) logic [WIDTH-1:0] memory[DEPTH];
`ifdef YOSYS
		// It builds memory that is never written from multiplexers, some three LUTs where the chip has one of 64 bits; and
		// does not see that a flag which only stays set is never set.
		logic never;
		always_ff @(posedge clk) begin
			never <= !rst && never && go;
			if (never) memory[at] <= odat;
		end
`endif
		initial $readmemh(INIT_FILE, memory);
		always_ff @(posedge clk) if (go) word <= memory[at];
	end
	always_ff @(posedge clk) if (go) odat <= word;

endmodule
