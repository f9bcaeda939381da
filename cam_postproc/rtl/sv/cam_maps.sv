// Class maps and logit sums of one frame after the other: M_c(x, y) = Σ_k w[c, k]·f_k(x, y) and Σ_xy M_c(x, y).
//
// Contract
//   - Input: PIXELS·CHANNELS/PE words a frame, row-major, PE unsigned channels each, channel 0 in the low bits.
//   - A word takes GROUPS = ⌈CLASSES/LANES⌉ cycles: LANES classes at a time, each with PE multipliers.
//   - Two banks: while one is read, the next frame fills the other. `full[b]` rises when bank b is complete; a one-cycle
//     `release_bank[b]` hands it back. Input waits at a frame's first word while its bank is not free.
//   - select and gate are sampled into the bank at a frame's first word.
//   - Maps are read a cycle after `map_group, map_pixel` (all lanes of the group), sums in the same cycle as `sum_group`.
//   - A frame begins when `go` is high; `waiting` says that the first word of one is there for map bank `next_bank`.
//   - With RUNTIME, weights are memories that `load_write` fills, one weight a cycle; otherwise they are ROM.
//   - WEIGHTS names a file with CHANNELS/PE·GROUPS words [LANES][PE] of WEIGHT_BITS, group inside, for $readmemh.
//   - rst is synchronous and active high. irdy depends on registers alone.
module cam_maps #(
	parameter int unsigned PIXELS      = 4,
	parameter int unsigned CHANNELS    = 4,
	parameter int unsigned CLASSES     = 2,
	parameter int unsigned PE          = 1,
	parameter int unsigned LANES       = 1,
	parameter int unsigned TAP_BITS    = 4,
	parameter int unsigned WEIGHT_BITS = 4,
	parameter int unsigned MAP_BITS    = 12,
	parameter int unsigned SUM_BITS    = 16,
	parameter bit          RUNTIME     = 1'b0,
	parameter              WEIGHTS     = "",
	localparam int unsigned GROUPS     = (CLASSES + LANES - 1) / LANES,
	localparam int unsigned GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1,
	localparam int unsigned PIXEL_BITS = PIXELS > 1 ? $clog2(PIXELS) : 1,
	localparam int unsigned BEATS      = CHANNELS / PE,
	localparam int unsigned WORDS      = BEATS * GROUPS,
	localparam int unsigned WORD_BITS  = WORDS > 1 ? $clog2(WORDS) : 1,
	localparam int unsigned LANE_BITS  = LANES > 1 ? $clog2(LANES) : 1,
	localparam int unsigned PART_BITS  = PE > 1 ? $clog2(PE) : 1
) (
	input  logic                                  clk,
	input  logic                                  rst,
	input  logic [31:0]                           select,
	input  logic [31:0]                           gate,
	input  logic [PE*TAP_BITS-1:0]                idat,
	input  logic                                  ivld,
	output logic                                  irdy,
	input  logic                                  go,
	output logic                                  waiting,
	output logic                                  next_bank,
	input  logic                                  load_write,
	input  logic [LANE_BITS-1:0]                  load_lane,
	input  logic [PART_BITS-1:0]                  load_part,
	input  logic [WORD_BITS-1:0]                  load_word,
	input  logic [WEIGHT_BITS-1:0]                load_value,
	output logic [1:0]                            full,
	output logic [1:0][31:0]                      bank_select,
	output logic [1:0][31:0]                      bank_gate,
	input  logic [1:0]                            release_bank,
	input  logic                                  read_bank,
	input  logic [GROUP_BITS-1:0]                 map_group,
	input  logic [PIXEL_BITS-1:0]                 map_pixel,
	output logic [LANES-1:0][MAP_BITS-1:0]        map_values,
	input  logic [GROUP_BITS-1:0]                 sum_group,
	output logic [LANES-1:0][SUM_BITS-1:0]        sum_values
);

	// Weights that are never written lie in look-up tables up to here (by the tool's own choice), above it in a block RAM.
	localparam int unsigned MOST_LUT_BITS = 2048;

	localparam int unsigned BEAT_BITS    = BEATS > 1 ? $clog2(BEATS) : 1;
	localparam int unsigned MAP_WORDS    = 2 * GROUPS * PIXELS;
	localparam int unsigned ADDRESS_BITS = $clog2(MAP_WORDS);
	typedef logic [GROUP_BITS-1:0]   group_t;
	typedef logic [BEAT_BITS-1:0]    beat_t;
	typedef logic [PIXEL_BITS-1:0]   pixel_t;
	typedef logic [WORD_BITS-1:0]    word_t;
	typedef logic [ADDRESS_BITS-1:0] address_t;

	typedef struct packed {
		logic   used;
		logic   bank;
		group_t group;
		pixel_t pixel;
		logic   first_beat;
		logic   last_beat;
	} step_t;

	// ---- Steps: class groups inside, then words of a pixel, then pixels.
	step_t  step;
	group_t group;
	beat_t  beat;
	pixel_t pixel;
	word_t  word;  // beat·GROUPS + group
	logic   bank, fire, first_step, last_group, last_beat, last_pixel;
	logic [1:0] busy;

	assign last_group = group == group_t'(GROUPS - 1);
	assign last_beat  = beat == beat_t'(BEATS - 1);
	assign last_pixel = pixel == pixel_t'(PIXELS - 1);
	assign first_step = group == 0 && beat == 0 && pixel == 0;
	assign irdy       = last_group && !(first_step && (busy[bank] || !go));
	assign fire       = ivld && !(first_step && (busy[bank] || !go));
	assign waiting    = ivld && first_step && !busy[bank];
	assign next_bank  = bank;

	always_comb begin
		step            = '0;
		step.used       = fire;
		step.bank       = bank;
		step.group      = group;
		step.pixel      = pixel;
		step.first_beat = beat == 0;
		step.last_beat  = last_beat;
	end

	always_ff @(posedge clk) begin
		if (rst) begin
			group <= '0;
			beat  <= '0;
			pixel <= '0;
			word  <= '0;
			bank  <= 1'b0;
		end else if (fire) begin
			group <= last_group ? '0 : group + 1'b1;
			word  <= last_group && last_beat ? '0 : word + 1'b1;
			if (last_group) begin
				beat <= last_beat ? '0 : beat + 1'b1;
				if (last_beat) begin
					pixel <= last_pixel ? '0 : pixel + 1'b1;
					bank  <= bank ^ last_pixel;
				end
			end
		end
	end

	// ---- Stage 1: weights. Stage 2: products. Stage 3: their sum. Stage 4: accumulation. Stage 5: memories.
	logic [LANES-1:0][PE-1:0][WEIGHT_BITS-1:0] weight1;
	if (RUNTIME) begin : g_ram
		for (genvar l = 0; l < int'(LANES); l++) begin : g_lane
			for (genvar p = 0; p < int'(PE); p++) begin : g_part
				logic [WEIGHT_BITS-1:0] weights[WORDS];
				always_ff @(posedge clk) begin
					if (load_write && load_lane == LANE_BITS'(l) && load_part == PART_BITS'(p)) weights[load_word] <= load_value;
					weight1[l][p] <= weights[word];
				end
			end
		end
	end else begin : g_rom
		if (WORDS * LANES * PE * WEIGHT_BITS > MOST_LUT_BITS) begin : g_block
			(* rom_style = "block" *) logic [LANES-1:0][PE-1:0][WEIGHT_BITS-1:0] weights[WORDS];
			initial $readmemh(WEIGHTS, weights);
			always_ff @(posedge clk) weight1 <= weights[word];
		end else begin : g_lut
			(* rom_style = "auto" *) logic [LANES-1:0][PE-1:0][WEIGHT_BITS-1:0] weights[WORDS];
			initial $readmemh(WEIGHTS, weights);
			always_ff @(posedge clk) weight1 <= weights[word];
		end
		/* verilator lint_off UNUSEDSIGNAL */
		logic unused;
		assign unused = load_write ^ (^load_lane) ^ (^load_part) ^ (^load_word) ^ (^load_value);
		/* verilator lint_on UNUSEDSIGNAL */
	end

	logic [PE-1:0][TAP_BITS-1:0] tap1;
	step_t step1, step2, step3;
	logic write, write_first_pixel;
	logic write_bank;
	group_t write_group;
	pixel_t write_pixel;

	always_ff @(posedge clk) begin
		tap1    <= idat;
		step1   <= step;
		step2   <= step1;
		step3   <= step2;
		if (rst) begin
			step1.used <= 1'b0;
			step2.used <= 1'b0;
			step3.used <= 1'b0;
		end
	end

	logic [LANES-1:0][MAP_BITS-1:0] totals, totals_written;
	for (genvar l = 0; l < int'(LANES); l++) begin : g_lane
		logic signed [WEIGHT_BITS+TAP_BITS:0] product[PE];
		for (genvar p = 0; p < int'(PE); p++) begin : g_product
			logic signed [WEIGHT_BITS-1:0] w;
			logic signed [TAP_BITS:0] f;
			assign w = weight1[l][p];
			assign f = {1'b0, tap1[p]};
			always_ff @(posedge clk) product[p] <= (WEIGHT_BITS + TAP_BITS + 1)'(w) * (WEIGHT_BITS + TAP_BITS + 1)'(f);
		end

		logic signed [MAP_BITS-1:0] part, part3;
		always_comb begin
			part = '0;
			for (int p = 0; p < int'(PE); p++) part = part + MAP_BITS'(product[p]);
		end
		always_ff @(posedge clk) part3 <= part;

		logic signed [MAP_BITS-1:0] accumulators[GROUPS];
		assign totals[l] = part3 + (step3.first_beat ? '0 : accumulators[step3.group]);
		always_ff @(posedge clk) if (step3.used) accumulators[step3.group] <= totals[l];
	end

	always_ff @(posedge clk) begin
		write             <= !rst && step3.used && step3.last_beat;
		write_bank        <= step3.bank;
		write_group       <= step3.group;
		write_pixel       <= step3.pixel;
		write_first_pixel <= step3.pixel == 0;
		totals_written    <= totals;
	end

	logic [LANES*MAP_BITS-1:0] maps[MAP_WORDS];
	function automatic address_t address(input logic at_bank, input group_t at_group, input pixel_t at_pixel);
		return address_t'(at_bank ? GROUPS * PIXELS : 0) + address_t'(at_group) * address_t'(PIXELS) + address_t'(at_pixel);
	endfunction
	always_ff @(posedge clk) begin
		if (write) maps[address(write_bank, write_group, write_pixel)] <= totals_written;
		map_values <= maps[address(read_bank, map_group, map_pixel)];
	end

	for (genvar l = 0; l < int'(LANES); l++) begin : g_sum
		logic signed [SUM_BITS-1:0] sums[2*GROUPS];
		logic [GROUP_BITS:0] at;
		assign at = {1'b0, write_group} + (write_bank ? (GROUP_BITS + 1)'(GROUPS) : '0);
		logic [GROUP_BITS:0] read_at;
		assign read_at = {1'b0, sum_group} + (read_bank ? (GROUP_BITS + 1)'(GROUPS) : '0);
		logic signed [MAP_BITS-1:0] total;
		assign total = totals_written[l];
		always_ff @(posedge clk)
			if (write) sums[at] <= SUM_BITS'(total) + (write_first_pixel ? '0 : sums[at]);
		assign sum_values[l] = sums[read_at];
	end

	// ---- Banks
	always_ff @(posedge clk) begin
		if (rst) begin
			busy        <= '0;
			full        <= '0;
			bank_select <= '0;
			bank_gate   <= '0;
		end else begin
			for (int b = 0; b < 2; b++) begin
				if (release_bank[b]) begin
					busy[b] <= 1'b0;
					full[b] <= 1'b0;
				end
			end
			if (fire && first_step) begin
				busy[bank]        <= 1'b1;
				bank_select[bank] <= select;
				bank_gate[bank]   <= gate;
			end
			if (write && write_group == group_t'(GROUPS - 1) && write_pixel == pixel_t'(PIXELS - 1))
				full[write_bank] <= 1'b1;
		end
	end

endmodule
