// One stream to several consumers, each of which gets every word (FINN's DuplicateStreams).
//
// Contract
//   - A word is taken from the input when every output has room for it, and handed to each output once.
//   - Each consumer takes it at its own pace, up to two words ahead of the slowest; deeper slack is a FIFO's job.
//   - One word a cycle where all consumers keep up; latency one cycle.
//   - irdy depends on registers alone, never on ordy or ivld: no combinational loop through a join downstream.
//   - rst is synchronous and active high.
module stream_fork #(
	parameter int unsigned WIDTH   = 8,
	parameter int unsigned OUTPUTS = 2
) (
	input  logic                          clk,
	input  logic                          rst,
	input  logic [WIDTH-1:0]              idat,
	input  logic                          ivld,
	output logic                          irdy,
	output logic [OUTPUTS-1:0][WIDTH-1:0] odat,
	output logic [OUTPUTS-1:0]            ovld,
	input  logic [OUTPUTS-1:0]            ordy
);

	logic [OUTPUTS-1:0] room;

	assign irdy = &room;

	for (genvar i = 0; i < int'(OUTPUTS); i++) begin : g_output
		stream_skid #(
			.WIDTH(WIDTH)
		) buffer (
			.clk,
			.rst,
			.idat,
			.ivld(ivld && irdy),
			.irdy(room[i]),
			.odat(odat[i]),
			.ovld(ovld[i]),
			.ordy(ordy[i])
		);
	end

endmodule
