// The block's registers behind AXI-lite: class select, gate, active weight bank, build id, and the banks themselves.
//
// Contract
//   - Byte addresses of 32-bit words, as the C++ block has them: 0x10 class select, 0x18 gate, 0x20 active weight bank,
//     0x30 build id (read only); from 0x1000 the words of bank 0, then those of bank 1.
//   - After reset nothing is gated, the argmax is shown and bank 0 is active.
//   - Bytes of the three registers obey WSTRB; words of a bank are written whole. Other addresses are ignored, and every
//     access is answered with OKAY.
//   - AW and W may come in either order. One write and one read are under way at a time; a register has its value in the
//     cycle in which BVALID rises. A word of a bank is read while `bank_free`, and comes a cycle after bank_read_index.
//   - BUILD_ID names a file of one word for $readmemh. BANK_WORDS is 0 where the weights are ROM.
//   - rst is synchronous and active high.
module cam_registers #(
	parameter int unsigned ADDRESS_BITS = 6,
	parameter int unsigned BANK_WORDS   = 0,
	parameter              BUILD_ID     = "",
	localparam int unsigned INDEX_BITS  = BANK_WORDS > 0 ? $clog2(2 * BANK_WORDS) : 1
) (
	input  logic                    clk,
	input  logic                    rst,
	input  logic [ADDRESS_BITS-1:0] awaddr,
	input  logic                    awvalid,
	output logic                    awready,
	input  logic [31:0]             wdata,
	input  logic [3:0]              wstrb,
	input  logic                    wvalid,
	output logic                    wready,
	output logic [1:0]              bresp,
	output logic                    bvalid,
	input  logic                    bready,
	input  logic [ADDRESS_BITS-1:0] araddr,
	input  logic                    arvalid,
	output logic                    arready,
	output logic [31:0]             rdata,
	output logic [1:0]              rresp,
	output logic                    rvalid,
	input  logic                    rready,
	output logic [31:0]             class_select,
	output logic [31:0]             gate,
	output logic                    active_bank,
	output logic                    bank_write,
	output logic [INDEX_BITS-1:0]   bank_index,
	output logic [31:0]             bank_data,
	input  logic                    bank_free,
	output logic [INDEX_BITS-1:0]   bank_read_index,
	input  logic [31:0]             bank_word
);

	localparam logic [31:0] CLASS_SELECT = 32'h10, GATE = 32'h18, ACTIVE_BANK = 32'h20, BUILD = 32'h30, BANKS = 32'h1000;

	logic [31:0] build_id[1];
	initial $readmemh(BUILD_ID, build_id);

	logic aw_held, w_held, write;
	logic [31:0] address, data;
	logic [3:0] strobe;
	logic [31:0] aw, ar;
	assign aw      = 32'(awaddr) & ~32'd3;
	assign ar      = 32'(araddr) & ~32'd3;
	assign awready = !aw_held;
	assign wready  = !w_held;
	assign write   = aw_held && w_held && !bvalid;
	assign bresp   = 2'b00;
	assign rresp   = 2'b00;

	logic in_banks, fetches, fetching;
	assign in_banks   = address >= BANKS && address < BANKS + 32'(8 * BANK_WORDS);
	assign fetches    = ar >= BANKS && ar < BANKS + 32'(8 * BANK_WORDS);
	assign arready    = !rvalid && !fetching && (!fetches || bank_free);

	assign bank_read_index = INDEX_BITS'((ar - BANKS) >> 2);
	assign bank_write = write && in_banks;
	assign bank_index = INDEX_BITS'((address - BANKS) >> 2);
	assign bank_data  = data;

	function automatic logic [31:0] merged(input logic [31:0] was);
		for (int i = 0; i < 4; i++) merged[8*i+:8] = strobe[i] ? data[8*i+:8] : was[8*i+:8];
	endfunction

	logic [31:0] bank_register;
	assign active_bank = bank_register[0];

	always_ff @(posedge clk) begin
		if (awvalid && awready) begin
			aw_held <= 1'b1;
			address <= aw;
		end
		if (wvalid && wready) begin
			w_held <= 1'b1;
			data   <= wdata;
			strobe <= wstrb;
		end
		if (bvalid && bready) bvalid <= 1'b0;
		if (write) begin
			aw_held <= 1'b0;
			w_held  <= 1'b0;
			bvalid  <= 1'b1;
			case (address)
				CLASS_SELECT: class_select <= merged(class_select);
				GATE: gate <= merged(gate);
				ACTIVE_BANK: bank_register <= merged(bank_register);
				default: ;
			endcase
		end
		if (rvalid && rready) rvalid <= 1'b0;
		if (fetching) begin
			fetching <= 1'b0;
			rvalid   <= 1'b1;
			rdata    <= bank_word;
		end
		if (arvalid && arready) begin
			fetching <= fetches;
			rvalid   <= !fetches;
			case (ar)
				CLASS_SELECT: rdata <= class_select;
				GATE: rdata <= gate;
				ACTIVE_BANK: rdata <= bank_register;
				BUILD: rdata <= build_id[0];
				default: rdata <= '0;
			endcase
		end
		if (rst) begin
			aw_held       <= 1'b0;
			w_held        <= 1'b0;
			bvalid        <= 1'b0;
			rvalid        <= 1'b0;
			fetching      <= 1'b0;
			class_select  <= '1;
			gate          <= 32'h8000_0000;
			bank_register <= '0;
		end
	end

endmodule
