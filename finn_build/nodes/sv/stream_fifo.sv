// First in, first out: DEPTH words of slack between two streams.
//
// Contract
//   - Words leave unchanged, in order; up to DEPTH ≥ 2 are held; latency two cycles; one a cycle in and out
//     at once where DEPTH ≥ 3.
//   - irdy and ovld are registers or depend on registers alone.
//   - high_water is the most words held since reset; unconnected, it costs nothing.
//   - RAM_STYLE is handed to synthesis: auto, distributed or block. rst is synchronous and active high.
module stream_fifo #(
	parameter int unsigned WIDTH     = 8,
	parameter int unsigned DEPTH     = 32,
	/* verilator lint_off UNUSEDPARAM */
	parameter              RAM_STYLE = "auto"
	/* verilator lint_on UNUSEDPARAM */
) (
	input  logic             clk,
	input  logic             rst,
	input  logic [WIDTH-1:0] idat,
	input  logic             ivld,
	output logic             irdy,
	output logic [WIDTH-1:0] odat,
	output logic             ovld,
	input  logic             ordy,
	output logic [31:0]      high_water
);

	// The output register holds one of the DEPTH words, the memory the others.
	localparam int unsigned ADDR_WIDTH  = DEPTH > 2 ? $clog2(DEPTH) : 1;
	localparam int unsigned COUNT_WIDTH = $clog2(DEPTH + 1);
	typedef logic [ADDR_WIDTH-1:0] addr_t;

	(* RAM_STYLE = RAM_STYLE *) logic [WIDTH-1:0] memory[DEPTH];
	addr_t write_at, read_at;
	logic [COUNT_WIDTH-1:0] words;   // in memory and output register
	logic [COUNT_WIDTH-1:0] stored;  // in memory, readable
	logic push, load, pop;

	assign irdy = words != COUNT_WIDTH'(DEPTH);
	assign push = ivld && irdy;
	assign pop  = ovld && ordy;
	assign load = stored != 0 && (!ovld || ordy);

	function automatic addr_t next(input addr_t at);
		return at == addr_t'(DEPTH - 1) ? '0 : at + 1'b1;
	endfunction

	always_ff @(posedge clk) begin
		if (push) memory[write_at] <= idat;
		if (load) odat <= memory[read_at];
	end

	always_ff @(posedge clk) begin
		if (rst) begin
			write_at   <= '0;
			read_at    <= '0;
			words      <= '0;
			stored     <= '0;
			ovld       <= 1'b0;
			high_water <= '0;
		end else begin
			if (push) write_at <= next(write_at);
			if (load) read_at <= next(read_at);
			words  <= words + COUNT_WIDTH'(push) - COUNT_WIDTH'(pop);
			stored <= stored + COUNT_WIDTH'(push) - COUNT_WIDTH'(load);
			if (load) ovld <= 1'b1;
			else if (ordy) ovld <= 1'b0;
			if (32'(words) > high_water) high_water <= 32'(words);
		end
	end

endmodule
