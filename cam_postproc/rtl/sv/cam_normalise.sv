// Min-max normalisation of one class map to levels of 1/2^GUARD: 0 to 255·2^GUARD.
//
// Contract
//   - `start` (one cycle) begins; the module reads the map twice through map_pixel (value a cycle later): once for
//     its least and greatest value, then to normalise; it writes level_pixel, level, level_write and ends with `done`.
//   - With R = max - min, lz the shift that brings R's leading one to bit RANGE_BITS-1, R' = R·2^lz:
//     Q = ⌊255·2^(GUARD+SHIFT) / R'⌋, level = ⌊(v - min)·2^lz·Q / 2^SHIFT + 1/2⌋ (cam_postproc/arithmetic.py, 4).
//   - `constant` says R = 0; then, and where `blank` is high, all levels are 0.
//   - Takes 2·PIXELS + about RANGE_BITS + DIVIDEND_BITS cycles. rst is synchronous and active high.
module cam_normalise #(
	parameter int unsigned PIXELS     = 4,
	parameter int unsigned MAP_BITS   = 12,
	parameter int unsigned RANGE_BITS = 12,
	parameter int unsigned GUARD      = 8,
	parameter int unsigned SHIFT      = 17,
	localparam int unsigned PIXEL_BITS = PIXELS > 1 ? $clog2(PIXELS) : 1,
	localparam int unsigned LEVEL_BITS = 8 + GUARD
) (
	input  logic                  clk,
	input  logic                  rst,
	input  logic                  start,
	input  logic                  blank,
	output logic                  done,
	output logic                  constant,
	output logic [PIXEL_BITS-1:0] map_pixel,
	input  logic [MAP_BITS-1:0]   map_value,
	output logic                  level_write,
	output logic [PIXEL_BITS-1:0] level_pixel,
	output logic [LEVEL_BITS-1:0] level
);

	localparam int unsigned DIVIDEND_BITS   = LEVEL_BITS + SHIFT;
	localparam int unsigned RECIPROCAL_BITS = DIVIDEND_BITS - RANGE_BITS + 1;
	localparam int unsigned PRODUCT_BITS    = RANGE_BITS + RECIPROCAL_BITS;
	localparam int unsigned COUNT_BITS      = $clog2(DIVIDEND_BITS + 1);
	localparam int unsigned SHIFT_BITS      = $clog2(RANGE_BITS + 1);
	typedef logic [PIXEL_BITS-1:0] pixel_t;
	typedef enum logic [2:0] {
		IDLE, SCAN, SCANNED, ALIGN, DIVIDE, SCALE, DRAIN
	} state_e;

	state_e state;
	pixel_t pixel;
	logic   read1, first1;
	logic signed [MAP_BITS-1:0] value, low, high;
	logic [RANGE_BITS-1:0] spread;  // R, then R'
	logic [SHIFT_BITS-1:0] lz;
	logic [COUNT_BITS-1:0] bits_left;
	logic [RANGE_BITS-1:0] rest;
	logic [RECIPROCAL_BITS-1:0] reciprocal;
	logic [2:0] drain;

	assign map_pixel = pixel;
	assign value     = map_value;

	// A step of restoring division. The dividend is eight ones and then zeros.
	logic [RANGE_BITS:0] shifted;
	logic fits;
	assign shifted = {rest, bits_left > COUNT_BITS'(GUARD + SHIFT)};
	assign fits    = shifted >= {1'b0, spread};

	always_ff @(posedge clk) begin
		done   <= 1'b0;
		read1  <= state == SCAN;
		first1 <= pixel == 0;
		if (read1) begin
			if (first1 || value < low) low <= value;
			if (first1 || value > high) high <= value;
		end
		case (state)
			IDLE: if (start) state <= SCAN;
			SCAN: begin
				pixel <= pixel + 1'b1;
				if (pixel == pixel_t'(PIXELS - 1)) begin
					pixel <= '0;
					state <= SCANNED;
				end
			end
			SCANNED: if (!read1) begin
				spread   <= RANGE_BITS'((RANGE_BITS + 1)'(high) - (RANGE_BITS + 1)'(low));
				constant <= high == low;
				lz       <= '0;
				state    <= ALIGN;
			end
			ALIGN: if (spread[RANGE_BITS-1] || constant) begin
				rest       <= '0;
				reciprocal <= '0;
				bits_left  <= COUNT_BITS'(DIVIDEND_BITS);
				state      <= constant || blank ? SCALE : DIVIDE;
			end else begin
				spread <= spread << 1;
				lz     <= lz + 1'b1;
			end
			DIVIDE: begin
				rest       <= RANGE_BITS'(fits ? shifted - {1'b0, spread} : shifted);
				reciprocal <= {reciprocal[RECIPROCAL_BITS-2:0], fits};
				bits_left  <= bits_left - 1'b1;
				if (bits_left == 1) state <= SCALE;
			end
			SCALE: begin
				pixel <= pixel + 1'b1;
				drain <= '1;
				if (pixel == pixel_t'(PIXELS - 1)) begin
					pixel <= '0;
					state <= DRAIN;
				end
			end
			DRAIN: begin
				drain <= drain - 1'b1;
				if (drain == 0) begin
					done  <= 1'b1;
					state <= IDLE;
				end
			end
			default: state <= IDLE;
		endcase
		if (rst) begin
			state <= IDLE;
			pixel <= '0;
		end
	end

	// Stage 1: the value is read. 2: its distance from the least. 3: aligned. 4: product. 5: rounded.
	pixel_t pixel1, pixel2, pixel3, pixel4;
	logic scale1, scale2, scale3, scale4;
	logic [RANGE_BITS-1:0] distance2, aligned3;
	logic [PRODUCT_BITS-1:0] product4;
	localparam logic [PRODUCT_BITS:0] HALF = (PRODUCT_BITS + 1)'(1) << (SHIFT - 1);
	always_ff @(posedge clk) begin
		scale1 <= !rst && state == SCALE;
		scale2 <= !rst && scale1;
		scale3 <= !rst && scale2;
		scale4 <= !rst && scale3;
		level_write <= !rst && scale4;
		pixel1 <= pixel;
		pixel2 <= pixel1;
		pixel3 <= pixel2;
		pixel4 <= pixel3;
		level_pixel <= pixel4;
		distance2 <= RANGE_BITS'((RANGE_BITS + 1)'(value) - (RANGE_BITS + 1)'(low));
		aligned3  <= distance2 << lz;
		product4  <= PRODUCT_BITS'(aligned3) * PRODUCT_BITS'(reciprocal);
		level     <= LEVEL_BITS'(({1'b0, product4} + HALF) >> SHIFT);
	end


endmodule
