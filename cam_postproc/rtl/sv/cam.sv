// The classifier's head: class maps, logits, class, and the shown map normalised and resized, as one packet a frame.
//
// Contract
//   - Input: the tap, as cam_maps takes it. Output: packets of LENGTH bytes, one a word, as cam_postproc/packet.py reads them;
//     every byte equals cam_postproc.arithmetic.run_cam's, which is the specification.
//   - With RUNTIME the classifier's weights and biases come from two banks that a host writes (cam_loader), otherwise
//     from ROM. active_bank is sampled at a frame's first word too, which waits while a bank is copied.
//   - select (a class, or anything from CLASSES on: the argmax) and gate (signed) are sampled at a frame's first word.
//   - While a frame's packet is made and sent, the next one is taken in: the interval is the longer of the two, and the
//     tap's is PIXELS·CHANNELS/PE·⌈CLASSES/LANES⌉ cycles.
//   - The map is resized twice: the header, sent first, carries the place of its maximum, and 2·OUT_HEIGHT·OUT_WIDTH cycles
//     are cheaper than a memory for it.
//   - LENGTH ≥ 16 + 4·CLASSES + SHOWN·OUT_HEIGHT·OUT_WIDTH, the rest is sent as zeros.
//   - rst is synchronous and active high; it zeroes the frame counter.
module cam #(
	parameter int unsigned MAP_HEIGHT  = 2,
	parameter int unsigned MAP_WIDTH   = 2,
	parameter int unsigned CHANNELS    = 4,
	parameter int unsigned CLASSES     = 2,
	parameter int unsigned PE          = 1,
	parameter int unsigned LANES       = 1,
	parameter int unsigned TAP_BITS    = 4,
	parameter int unsigned WEIGHT_BITS = 4,
	parameter int unsigned BIAS_BITS   = 0,
	parameter int unsigned MAP_BITS    = 12,
	parameter int unsigned SUM_BITS    = 16,
	parameter int unsigned RANGE_BITS  = 12,
	parameter int unsigned GUARD       = 8,
	parameter int unsigned SHIFT       = 17,
	parameter int unsigned OUT_HEIGHT  = 4,
	parameter int unsigned OUT_WIDTH   = 4,
	parameter int unsigned FY          = 2,
	parameter int unsigned FX          = 2,
	parameter int unsigned SHOWN       = 1,
	parameter int unsigned LENGTH      = 40,
	parameter bit          RUNTIME     = 1'b0,
	parameter              WEIGHTS     = "",
	parameter              BIASES      = "",
	parameter              ROWS        = "",
	parameter              COLUMNS     = "",
	localparam int unsigned BANK_WORDS = (CLASSES * CHANNELS + 3) / 4 + (BIAS_BITS > 0 ? CLASSES : 0),
	localparam int unsigned INDEX_BITS = $clog2(2 * BANK_WORDS)
) (
	input  logic                   clk,
	input  logic                   rst,
	input  logic [31:0]            select,
	input  logic [31:0]            gate,
	input  logic                   active_bank,
	input  logic                   bank_write,
	input  logic [INDEX_BITS-1:0]  bank_index,
	input  logic [31:0]            bank_data,
	output logic                   bank_free,
	input  logic [INDEX_BITS-1:0]  bank_read_index,
	output logic [31:0]            bank_word,
	input  logic [PE*TAP_BITS-1:0] idat,
	input  logic                   ivld,
	output logic                   irdy,
	output logic [7:0]             odat,
	output logic                   ovld,
	input  logic                   ordy
);

	localparam int unsigned PIXELS       = MAP_HEIGHT * MAP_WIDTH;
	localparam int unsigned PIXEL_BITS   = PIXELS > 1 ? $clog2(PIXELS) : 1;
	localparam int unsigned GROUPS       = (CLASSES + LANES - 1) / LANES;
	localparam int unsigned GROUP_BITS   = GROUPS > 1 ? $clog2(GROUPS) : 1;
	localparam int unsigned LANE_BITS    = LANES > 1 ? $clog2(LANES) : 1;
	localparam int unsigned HEADER_BYTES = 16;
	localparam int unsigned PADDING      = LENGTH - HEADER_BYTES - 4 * CLASSES - SHOWN * OUT_HEIGHT * OUT_WIDTH;
	localparam logic [15:0] VERSION      = 16'd1;
	localparam int unsigned TOTAL_BITS   = SUM_BITS + 1 > 33 ? SUM_BITS + 1 : 33;
	typedef logic [GROUP_BITS-1:0] group_t;
	typedef logic [LANE_BITS-1:0]  lane_t;

	// ---- Maps and sums
	logic [1:0] full, release_bank;
	logic [1:0][31:0] bank_select, bank_gate;
	logic bank;
	logic [PIXEL_BITS-1:0] map_pixel;
	logic [LANES-1:0][MAP_BITS-1:0] map_values;
	logic [LANES-1:0][SUM_BITS-1:0] sum_values;
	group_t scan_group, shown_group;
	lane_t  scan_lane, shown_lane;

	localparam int unsigned WORDS      = CHANNELS / PE * GROUPS;
	localparam int unsigned WORD_BITS  = WORDS > 1 ? $clog2(WORDS) : 1;
	localparam int unsigned PART_BITS  = PE > 1 ? $clog2(PE) : 1;
	localparam int unsigned CLASS_BITS = CLASSES > 1 ? $clog2(CLASSES) : 1;
	logic go, waiting, next_bank, load_write;
	lane_t load_lane;
	logic [PART_BITS-1:0] load_part;
	logic [WORD_BITS-1:0] load_word;
	logic [WEIGHT_BITS-1:0] load_value;

	cam_maps #(
		.PIXELS(PIXELS),
		.CHANNELS(CHANNELS),
		.CLASSES(CLASSES),
		.PE(PE),
		.LANES(LANES),
		.TAP_BITS(TAP_BITS),
		.WEIGHT_BITS(WEIGHT_BITS),
		.MAP_BITS(MAP_BITS),
		.SUM_BITS(SUM_BITS),
		.RUNTIME(RUNTIME),
		.WEIGHTS(WEIGHTS)
	) class_maps (
		.clk,
		.rst,
		.select,
		.gate,
		.idat,
		.ivld,
		.irdy,
		.go,
		.waiting,
		.next_bank,
		.load_write,
		.load_lane,
		.load_part,
		.load_word,
		.load_value,
		.full,
		.bank_select,
		.bank_gate,
		.release_bank,
		.read_bank(bank),
		.map_group(shown_group),
		.map_pixel,
		.map_values,
		.sum_group(scan_group),
		.sum_values
	);

	// ---- Normalise and resize
	logic normalise_start, normalise_done, constant, gated, level_write;
	logic [PIXEL_BITS-1:0] level_pixel;
	logic [8+GUARD-1:0] level;
	logic resize_start, resize_vld, resize_rdy;
	logic [7:0] resize_dat;

	cam_normalise #(
		.PIXELS(PIXELS),
		.MAP_BITS(MAP_BITS),
		.RANGE_BITS(RANGE_BITS),
		.GUARD(GUARD),
		.SHIFT(SHIFT)
	) normalise (
		.clk,
		.rst,
		.start(normalise_start),
		.blank(gated),
		.done(normalise_done),
		.constant,
		.map_pixel,
		.map_value(map_values[shown_lane]),
		.level_write,
		.level_pixel,
		.level
	);

	cam_resize #(
		.MAP_HEIGHT(MAP_HEIGHT),
		.MAP_WIDTH(MAP_WIDTH),
		.OUT_HEIGHT(OUT_HEIGHT),
		.OUT_WIDTH(OUT_WIDTH),
		.GUARD(GUARD),
		.FY(FY),
		.FX(FX),
		.ROWS(ROWS),
		.COLUMNS(COLUMNS)
	) resize (
		.clk,
		.rst,
		.level_write,
		.level_pixel,
		.level,
		.start(resize_start),
		.ovld(resize_vld),
		.odat(resize_dat),
		.ordy(resize_rdy)
	);

	// ---- The logit of the class that is being scanned: sum and bias, saturated to 32 bits. A register behind.
	logic [15:0] scan_class;
	logic signed [TOTAL_BITS-1:0] total;
	logic signed [SUM_BITS-1:0] sum;
	logic signed [31:0] logit, logit1;
	assign sum = sum_values[scan_lane];
	localparam int unsigned STORED_BITS = BIAS_BITS > 0 ? BIAS_BITS : 1;
	logic signed [STORED_BITS-1:0] bias;
	assign total = TOTAL_BITS'(sum) + TOTAL_BITS'(bias);
	if (RUNTIME) begin : g_loaded
		cam_loader #(
			.CHANNELS(CHANNELS),
			.CLASSES(CLASSES),
			.PE(PE),
			.LANES(LANES),
			.WEIGHT_BITS(WEIGHT_BITS),
			.BIAS_BITS(BIAS_BITS)
		) loader (
			.clk,
			.rst,
			.bank_write,
			.bank_index,
			.bank_data,
			.bank_free,
			.bank_read_index,
			.word(bank_word),
			.active_bank,
			.waiting,
			.map_bank(next_bank),
			.ready(go),
			.weight_write(load_write),
			.weight_lane(load_lane),
			.weight_part(load_part),
			.weight_word(load_word),
			.weight_value(load_value),
			.bias_bank(bank),
			.bias_class(CLASS_BITS'(scan_class)),
			.bias_value(bias)
		);
	end else begin : g_fixed
		assign go         = 1'b1;
		assign load_write = 1'b0;
		assign load_lane  = '0;
		assign load_part  = '0;
		assign load_word  = '0;
		assign load_value = '0;
		assign bank_free  = 1'b1;
		assign bank_word  = '0;
		/* verilator lint_off UNUSEDSIGNAL */
		logic unused;
		assign unused = active_bank ^ bank_write ^ (^bank_index) ^ (^bank_data) ^ (^bank_read_index) ^ waiting ^ next_bank;
		/* verilator lint_on UNUSEDSIGNAL */
		if (BIAS_BITS > 0) begin : g_bias
			logic [BIAS_BITS-1:0] biases[CLASSES];
			initial $readmemh(BIASES, biases);
			assign bias = biases[CLASS_BITS'(scan_class)];
		end else begin : g_no_bias
			assign bias = '0;
		end
	end
	localparam logic signed [31:0] HIGHEST = 32'h7FFF_FFFF, LOWEST = 32'h8000_0000;
	always_comb begin
		logit = 32'(total);
		if (total > TOTAL_BITS'(HIGHEST)) logit = HIGHEST;
		if (total < TOTAL_BITS'(LOWEST)) logit = LOWEST;
	end

	// ---- Control
	typedef enum logic [3:0] {
		IDLE, SCAN, SCANNED, CHOSEN, NORMALISE, PEAK, HEADER, LOGIT, LOGIT_BYTES, MAP, NEXT, PAD, FREE
	} state_e;
	state_e state;
	logic [31:0] frame;
	logic scan1;
	logic [15:0] class1, best_class, class_index, shown_class;
	group_t group1, best_group, picked_group;
	lane_t lane1, best_lane, picked_lane;
	logic signed [31:0] best_logit, picked_logit;
	logic found, picked, last_class, selects;
	logic [31:0] shown_index;
	logic [15:0] x, y, peak_x, peak_y;
	logic [7:0] peak_level;
	logic peak_found, first_constant;
	logic [3:0] byte_index;
	logic [31:0] padding;
	logic [31:0] logit_bytes;
	logic send, free;

	assign free       = !ovld || ordy;
	assign last_class = scan_class == 16'(CLASSES - 1);
	assign selects    = bank_select[bank] < 32'(CLASSES);
	assign resize_rdy = state == PEAK || (state == MAP && free);

	logic [HEADER_BYTES-1:0][7:0] header;
	assign header = {
		frame, {14'd0, first_constant, gated}, peak_y, peak_x, shown_class, class_index, VERSION
	};

	// Which classes already have their map in the packet; they are not shown twice.
	logic eligible;
	if (SHOWN > 1) begin : g_shown
		logic [CLASSES-1:0] taken;
		assign eligible = !taken[CLASS_BITS'(class1)];
		logic [15:0] this_class;
		assign this_class = shown_index == 0 ? shown_class : best_class;
		always_ff @(posedge clk) begin
			if (rst || state == IDLE) taken <= '0;
			else if (state == NORMALISE && normalise_done) taken[CLASS_BITS'(this_class)] <= 1'b1;
		end
	end else begin : g_one
		assign eligible = 1'b1;
	end

	always_ff @(posedge clk) begin
		normalise_start <= 1'b0;
		resize_start    <= 1'b0;
		release_bank    <= '0;
		if (free) ovld <= 1'b0;

		// Scanning: a class a cycle, judged a cycle later. A strictly greater logit wins: ties go to the lowest index.
		scan1  <= state == SCAN;
		class1 <= scan_class;
		group1 <= scan_group;
		lane1  <= scan_lane;
		logit1 <= logit;
		if (scan1 && eligible && (!found || logit1 > best_logit)) begin
			found      <= 1'b1;
			best_logit <= logit1;
			best_class <= class1;
			best_group <= group1;
			best_lane  <= lane1;
		end
		if (scan1 && selects && 32'(class1) == bank_select[bank]) begin
			picked       <= 1'b1;
			picked_logit <= logit1;
			picked_group <= group1;
			picked_lane  <= lane1;
		end
		if (state == SCAN || (state == LOGIT_BYTES && free && byte_index == 3)) begin
			scan_class <= scan_class + 1'b1;
			scan_lane  <= scan_lane + 1'b1;
			if (scan_lane == lane_t'(LANES - 1)) begin
				scan_lane  <= '0;
				scan_group <= scan_group + 1'b1;
			end
		end

		case (state)
			IDLE: begin
				shown_index <= '0;
				if (full[bank]) state <= SCAN;
			end
			SCAN: if (last_class) state <= SCANNED;
			SCANNED: if (!scan1) state <= CHOSEN;
			CHOSEN: begin
				shown_group <= best_group;
				shown_lane  <= best_lane;
				if (shown_index == 0) begin
					class_index <= best_class;
					shown_class <= picked ? 16'(bank_select[bank]) : best_class;
					gated       <= (picked ? picked_logit : best_logit) < $signed(bank_gate[bank]);
					if (picked) begin
						shown_group <= picked_group;
						shown_lane  <= picked_lane;
					end
				end
				normalise_start <= 1'b1;
				state           <= NORMALISE;
			end
			NORMALISE: if (normalise_done) begin
				resize_start <= 1'b1;
				x            <= '0;
				y            <= '0;
				peak_found   <= 1'b0;
				if (shown_index == 0) first_constant <= constant;
				state <= shown_index == 0 ? PEAK : MAP;
			end
			PEAK: if (resize_vld) begin
				if (!peak_found || resize_dat > peak_level) begin
					peak_found <= 1'b1;
					peak_level <= resize_dat;
					peak_x     <= x;
					peak_y     <= y;
				end
				if (y == 16'(OUT_HEIGHT - 1) && x == 16'(OUT_WIDTH - 1)) state <= HEADER;
			end
			HEADER: if (free) begin
				byte_index <= byte_index + 1'b1;
				if (byte_index == 4'(HEADER_BYTES - 1)) state <= LOGIT;
			end
			LOGIT: begin
				logit_bytes <= logit;
				state       <= LOGIT_BYTES;
			end
			LOGIT_BYTES: if (free) begin
				logit_bytes <= logit_bytes >> 8;
				byte_index  <= byte_index + 1'b1;
				if (byte_index == 3) begin
					byte_index <= '0;
					state      <= LOGIT;
					if (last_class) begin
						resize_start <= 1'b1;
						state        <= MAP;
					end
				end
			end
			MAP: if (free && resize_vld && y == 16'(OUT_HEIGHT - 1) && x == 16'(OUT_WIDTH - 1)) state <= NEXT;
			NEXT: begin
				shown_index <= shown_index + 1;
				padding     <= 32'(PADDING);
				state       <= shown_index == 32'(SHOWN - 1) ? (PADDING > 0 ? PAD : FREE) : SCAN;
			end
			PAD: if (free) begin
				padding <= padding - 1;
				if (padding == 1) state <= FREE;
			end
			FREE: begin
				release_bank[bank] <= 1'b1;
				bank               <= !bank;
				frame              <= frame + 1;
				state              <= IDLE;
			end
			default: state <= IDLE;
		endcase

		// Every state that scans or counts finds its counters at zero.
		if (state == IDLE || state == NEXT || state == CHOSEN) begin
			scan_class <= '0;
			scan_group <= '0;
			scan_lane  <= '0;
			byte_index <= '0;
			found      <= 1'b0;
			picked     <= 1'b0;
		end
		if (resize_vld && resize_rdy) begin
			x <= x + 1'b1;
			if (x == 16'(OUT_WIDTH - 1)) begin
				x <= '0;
				y <= y == 16'(OUT_HEIGHT - 1) ? '0 : y + 1'b1;
			end
		end

		if (free && send) begin
			ovld <= 1'b1;
			case (state)
				HEADER: odat <= header[byte_index];
				LOGIT_BYTES: odat <= logit_bytes[7:0];
				MAP: odat <= resize_dat;
				default: odat <= '0;
			endcase
		end

		if (rst) begin
			state      <= IDLE;
			bank       <= 1'b0;
			frame      <= '0;
			ovld       <= 1'b0;
			scan1      <= 1'b0;
			found      <= 1'b0;
			picked     <= 1'b0;
			scan_class <= '0;
			scan_group <= '0;
			scan_lane  <= '0;
			byte_index <= '0;
		end
	end

	assign send = state == HEADER || state == LOGIT_BYTES || state == PAD || (state == MAP && resize_vld);

endmodule
