// Copies the active bank's weights and biases into the block's own memories when a frame begins with another bank.
//
// Contract
//   - A bank is WEIGHT_WORDS words of four INT8, weight (c, k) at byte c·CHANNELS + k, then, where BIAS_BITS > 0, an int32
//     bias a class; bank 0 comes first. A host writes words at any time, and the bank that is not active without effect.
//   - While `waiting` (a frame's first word is there for map bank `map_bank`), `ready` says that weights and biases are
//     those of `active_bank`; if they are not, they are copied first, a weight and a bias a cycle. A bank is copied when the
//     active bank changes, and when it is first used after reset.
//   - While `bank_free`, the word of `bank_read_index` is in `word` a cycle later.
//   - Weights go out as write, lane, part, word and value: word = fold·GROUPS + group, as cam_maps reads them.
//   - Biases are kept twice, for the frame before still needs its own: map bank `bias_bank` has the bias of `bias_class`
//     in the same cycle.
//   - rst is synchronous and active high.
module cam_loader #(
	parameter int unsigned CHANNELS    = 4,
	parameter int unsigned CLASSES     = 2,
	parameter int unsigned PE          = 1,
	parameter int unsigned LANES       = 1,
	parameter int unsigned WEIGHT_BITS = 4,
	parameter int unsigned BIAS_BITS   = 0,
	localparam int unsigned GROUPS       = CLASSES / LANES,
	localparam int unsigned WORDS        = CHANNELS / PE * GROUPS,
	localparam int unsigned WORD_BITS    = WORDS > 1 ? $clog2(WORDS) : 1,
	localparam int unsigned LANE_BITS    = LANES > 1 ? $clog2(LANES) : 1,
	localparam int unsigned PART_BITS    = PE > 1 ? $clog2(PE) : 1,
	localparam int unsigned CLASS_BITS   = CLASSES > 1 ? $clog2(CLASSES) : 1,
	localparam int unsigned WEIGHT_WORDS = (CLASSES * CHANNELS + 3) / 4,
	localparam int unsigned BANK_WORDS   = WEIGHT_WORDS + (BIAS_BITS > 0 ? CLASSES : 0),
	localparam int unsigned INDEX_BITS   = $clog2(2 * BANK_WORDS),
	localparam int unsigned STORED_BITS  = BIAS_BITS > 0 ? BIAS_BITS : 1
) (
	input  logic                   clk,
	input  logic                   rst,
	input  logic                   bank_write,
	input  logic [INDEX_BITS-1:0]  bank_index,
	input  logic [31:0]            bank_data,
	output logic                   bank_free,
	input  logic [INDEX_BITS-1:0]  bank_read_index,
	output logic [31:0]            word,
	input  logic                   active_bank,
	input  logic                   waiting,
	input  logic                   map_bank,
	output logic                   ready,
	output logic                   weight_write,
	output logic [LANE_BITS-1:0]   weight_lane,
	output logic [PART_BITS-1:0]   weight_part,
	output logic [WORD_BITS-1:0]   weight_word,
	output logic [WEIGHT_BITS-1:0] weight_value,
	input  logic                   bias_bank,
	input  logic [CLASS_BITS-1:0]  bias_class,
	output logic [STORED_BITS-1:0] bias_value
);

	localparam int unsigned COUNT_BITS = $clog2(CLASSES * CHANNELS + 1);
	typedef logic [INDEX_BITS-1:0] index_t;
	typedef logic [COUNT_BITS-1:0] count_t;

	logic [31:0] banks[2*BANK_WORDS];
	index_t read_index;
	always_ff @(posedge clk) begin
		if (bank_write) banks[bank_index] <= bank_data;
		word <= banks[read_index];
	end

	typedef enum logic [1:0] {
		IDLE, WEIGHTS, BIASES, DRAIN
	} state_e;
	state_e state;
	logic loaded, loaded_bank, target, target_map;
	logic [1:0] has_biases;  // which map bank's biases are those of the loaded bank
	count_t count;
	logic current, biases_current;

	assign current        = loaded && loaded_bank == active_bank;
	assign biases_current = BIAS_BITS == 0 || has_biases[map_bank];
	assign ready          = state == IDLE && current && biases_current;

	index_t base;
	assign base       = target ? index_t'(BANK_WORDS) : '0;
	assign bank_free  = state == IDLE;
	always_comb begin
		case (state)
			WEIGHTS: read_index = base + index_t'(count >> 2);
			BIASES: read_index = base + index_t'(WEIGHT_WORDS) + index_t'(count);
			default: read_index = bank_read_index;
		endcase
	end

	// What was read a cycle ago.
	logic weight1, bias1;
	logic [1:0] byte1;
	logic [CLASS_BITS-1:0] class1;

	always_ff @(posedge clk) begin
		weight1 <= state == WEIGHTS;
		bias1   <= state == BIASES;
		byte1   <= count[1:0];
		class1  <= CLASS_BITS'(count);
		case (state)
			IDLE: begin
				count <= '0;
				if (waiting && !ready) begin
					target     <= active_bank;
					target_map <= map_bank;
					state      <= current ? BIASES : WEIGHTS;
				end
			end
			WEIGHTS: begin
				count      <= count + 1'b1;
				has_biases <= '0;
				loaded     <= 1'b0;
				if (count == count_t'(CLASSES * CHANNELS - 1)) begin
					count <= '0;
					state <= BIAS_BITS > 0 ? BIASES : DRAIN;
				end
			end
			BIASES: begin
				count <= count + 1'b1;
				if (count == count_t'(CLASSES - 1)) begin
					count <= '0;
					state <= DRAIN;
				end
			end
			DRAIN: begin
				loaded                 <= 1'b1;
				loaded_bank            <= target;
				has_biases[target_map] <= 1'b1;
				state                  <= IDLE;
			end
			default: state <= IDLE;
		endcase
		if (rst) begin
			state      <= IDLE;
			loaded     <= 1'b0;
			has_biases <= '0;
			weight1    <= 1'b0;
			bias1      <= 1'b0;
		end
	end

	// ---- Where a weight goes: part inside, then fold, lane and group.
	logic [WORD_BITS-1:0] group, at;
	logic [LANE_BITS-1:0] lane;
	logic [PART_BITS-1:0] part;
	logic last_part, last_fold, last_lane;
	assign last_part = part == PART_BITS'(PE - 1);
	assign last_fold = at >= WORD_BITS'(WORDS - GROUPS);
	assign last_lane = lane == LANE_BITS'(LANES - 1);

	assign weight_write = weight1;
	assign weight_lane  = lane;
	assign weight_part  = part;
	assign weight_word  = at;
	assign weight_value = WEIGHT_BITS'(word >> {byte1, 3'b000});

	always_ff @(posedge clk) begin
		if (weight1) begin
			part <= last_part ? '0 : part + 1'b1;
			if (last_part) begin
				at <= last_fold ? group : at + WORD_BITS'(GROUPS);
				if (last_fold) begin
					lane <= last_lane ? '0 : lane + 1'b1;
					if (last_lane) begin
						group <= group + 1'b1;
						at    <= group + 1'b1;
					end
				end
			end
		end
		if (rst || state == IDLE) begin
			group <= '0;
			at    <= '0;
			lane  <= '0;
			part  <= '0;
		end
	end

	if (BIAS_BITS > 0) begin : g_bias
		logic [BIAS_BITS-1:0] biases[2*CLASSES];
		logic [CLASS_BITS:0] write_at, read_at;
		assign write_at   = (CLASS_BITS + 1)'(class1) + (target_map ? (CLASS_BITS + 1)'(CLASSES) : '0);
		assign read_at    = (CLASS_BITS + 1)'(bias_class) + (bias_bank ? (CLASS_BITS + 1)'(CLASSES) : '0);
		assign bias_value = biases[read_at];
		always_ff @(posedge clk) if (bias1) biases[write_at] <= BIAS_BITS'(word);
	end else begin : g_no_bias
		/* verilator lint_off UNUSEDSIGNAL */
		logic unused;
		assign unused = bias1 ^ bias_bank ^ (^bias_class) ^ (^class1);
		/* verilator lint_on UNUSEDSIGNAL */
		assign bias_value = '0;
	end

endmodule
