// Gathers BYTES bytes into one word, the first byte in the low bits.
//
// Contract
//   - AXI-Stream handshake on both sides; a word leaves for every BYTES bytes; a byte a cycle where the output keeps up.
//   - rst is synchronous and active high.
module cam_pack #(
	parameter int unsigned BYTES = 1
) (
	input  logic               clk,
	input  logic               rst,
	input  logic [7:0]         idat,
	input  logic               ivld,
	output logic               irdy,
	output logic [8*BYTES-1:0] odat,
	output logic               ovld,
	input  logic               ordy
);

	if (BYTES == 1) begin : g_wire
		/* verilator lint_off UNUSEDSIGNAL */
		logic unused;
		assign unused = clk ^ rst;
		/* verilator lint_on UNUSEDSIGNAL */
		assign odat = idat;
		assign ovld = ivld;
		assign irdy = ordy;
	end else begin : g_gather
		localparam int unsigned COUNT_BITS = $clog2(BYTES);
		logic [COUNT_BITS-1:0] count;
		logic last;
		assign last = count == COUNT_BITS'(BYTES - 1);
		assign irdy = !ovld || ordy;
		always_ff @(posedge clk) begin
			if (ovld && ordy) ovld <= 1'b0;
			if (ivld && irdy) begin
				odat  <= {idat, odat[8*BYTES-1:8]};
				count <= last ? '0 : count + 1'b1;
				ovld  <= last;
			end
			if (rst) begin
				ovld  <= 1'b0;
				count <= '0;
			end
		end
	end

endmodule
