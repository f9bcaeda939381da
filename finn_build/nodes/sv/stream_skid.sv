// Stream buffer of two words with registered ready and valid.
//
// Contract
//   - AXI-Stream handshake on both sides: a word moves where valid and ready are both high at a rising edge of clk.
//   - Words leave unchanged, in order; one a cycle where both sides keep up; latency one cycle.
//   - irdy and ovld are registers: no combinational path leads through the buffer in either direction.
//   - rst is synchronous and active high; it empties the buffer.
module stream_skid #(
	parameter int unsigned WIDTH = 8
) (
	input  logic             clk,
	input  logic             rst,
	input  logic [WIDTH-1:0] idat,
	input  logic             ivld,
	output logic             irdy,
	output logic [WIDTH-1:0] odat,
	output logic             ovld,
	input  logic             ordy
);

	logic [WIDTH-1:0] spare;  // takes the word that arrives in the cycle in which the output stalls
	logic             spare_used;

	assign irdy = !spare_used;

	always_ff @(posedge clk) begin
		if (rst) begin
			ovld       <= 1'b0;
			spare_used <= 1'b0;
		end else if (!ovld || ordy) begin
			ovld       <= spare_used || ivld;
			spare_used <= 1'b0;
		end else if (ivld) begin
			spare_used <= 1'b1;
		end
	end

	always_ff @(posedge clk) begin
		if (!spare_used) spare <= idat;
		if (!ovld || ordy) odat <= spare_used ? spare : idat;
	end

endmodule
