// Bilinear resize of a normalised map of levels to OUT_HEIGHT × OUT_WIDTH bytes, row-major.
//
// Contract
//   - Levels are written before `start` (one cycle) and kept: the map may be sent again.
//   - ROWS names OUT_HEIGHT words {first pixel of the lower row, of the upper row, weight}, COLUMNS names OUT_WIDTH words
//     {right column, left column, weight}, for $readmemh. A weight has max(F, 1) bits; F = 0 makes all of them zero.
//   - byte = ⌊Σ level·weights / 2^(GUARD + FY + FX) + 1/2⌋ (cam_postproc/arithmetic.py, 5).
//   - One byte a cycle within a row, 2·MAP_WIDTH + 8 cycles before each. The pipeline stands while `ovld && !ordy`.
//   - rst is synchronous and active high.
module cam_resize #(
	parameter int unsigned MAP_HEIGHT = 2,
	parameter int unsigned MAP_WIDTH  = 2,
	parameter int unsigned OUT_HEIGHT = 4,
	parameter int unsigned OUT_WIDTH  = 4,
	parameter int unsigned GUARD      = 8,
	parameter int unsigned FY         = 2,
	parameter int unsigned FX         = 2,
	parameter              ROWS       = "",
	parameter              COLUMNS    = "",
	localparam int unsigned PIXELS     = MAP_HEIGHT * MAP_WIDTH,
	localparam int unsigned PIXEL_BITS = PIXELS > 1 ? $clog2(PIXELS) : 1,
	localparam int unsigned LEVEL_BITS = 8 + GUARD
) (
	input  logic                  clk,
	input  logic                  rst,
	input  logic                  level_write,
	input  logic [PIXEL_BITS-1:0] level_pixel,
	input  logic [LEVEL_BITS-1:0] level,
	input  logic                  start,
	output logic                  ovld,
	output logic [7:0]            odat,
	input  logic                  ordy
);

	localparam int unsigned FYW         = FY > 0 ? FY : 1;
	localparam int unsigned FXW         = FX > 0 ? FX : 1;
	localparam int unsigned TALL_BITS   = LEVEL_BITS + FY;
	localparam int unsigned WIDE_BITS   = TALL_BITS + FX;
	localparam int unsigned DOWN        = GUARD + FY + FX;
	localparam int unsigned COLUMN_BITS = MAP_WIDTH > 1 ? $clog2(MAP_WIDTH) : 1;
	localparam int unsigned X_BITS      = OUT_WIDTH > 1 ? $clog2(OUT_WIDTH) : 1;
	localparam int unsigned Y_BITS      = OUT_HEIGHT > 1 ? $clog2(OUT_HEIGHT) : 1;
	typedef logic [COLUMN_BITS-1:0] column_t;
	typedef logic [X_BITS-1:0] x_t;
	typedef logic [Y_BITS-1:0] y_t;
	typedef logic [PIXEL_BITS-1:0] pixel_t;

	typedef struct packed {
		pixel_t         bottom;
		pixel_t         top;
		logic [FYW-1:0] weight;
	} row_t;
	typedef struct packed {
		column_t        right;
		column_t        left;
		logic [FXW-1:0] weight;
	} place_t;

	row_t   rows[OUT_HEIGHT];
	place_t columns[OUT_WIDTH];
	initial $readmemh(ROWS, rows);
	initial $readmemh(COLUMNS, columns);

	logic [LEVEL_BITS-1:0] levels[PIXELS];
	always_ff @(posedge clk) if (level_write) levels[level_pixel] <= level;

	typedef enum logic [2:0] {
		IDLE, ROW, FILL, SETTLE, SEND
	} state_e;
	state_e state;
	y_t y;
	x_t x;
	column_t column;
	logic lower;  // FILL reads the upper level of a column, then the lower one
	logic [1:0] settle;
	row_t row;
	logic go;

	assign go = !ovld || ordy;

	always_ff @(posedge clk) begin
		if (rst) begin
			state <= IDLE;
		end else if (go) begin
			case (state)
				IDLE: begin
					y <= '0;
					if (start) state <= ROW;
				end
				ROW: begin
					row    <= rows[y];
					column <= '0;
					lower  <= 1'b0;
					state  <= FILL;
				end
				FILL: begin
					lower <= !lower;
					if (lower) column <= column + 1'b1;
					settle <= '1;
					if (lower && column == column_t'(MAP_WIDTH - 1)) state <= SETTLE;
				end
				SETTLE: begin
					x      <= '0;
					settle <= settle - 1'b1;
					if (settle == 0) state <= SEND;
				end
				SEND: begin
					x <= x + 1'b1;
					if (x == x_t'(OUT_WIDTH - 1)) begin
						y     <= y + 1'b1;
						state <= y == y_t'(OUT_HEIGHT - 1) ? IDLE : ROW;
					end
				end
				default: state <= IDLE;
			endcase
		end
	end

	// ---- Vertical: a row of MAP_WIDTH values, FY fraction bits more. 1: read. 2: pair. 3: product. 4: stored.
	logic [LEVEL_BITS-1:0] level1, upper2;
	logic signed [LEVEL_BITS:0] rise2;
	logic pair1, low1, pair2, pair3;
	column_t column1, column2, column3;
	logic signed [TALL_BITS-1:0] product3;  // modulo 2^TALL_BITS, as their sum
	logic [LEVEL_BITS-1:0] upper3;
	logic [TALL_BITS-1:0] tall[MAP_WIDTH];
	always_ff @(posedge clk) begin
		if (go) begin
			level1   <= levels[(lower ? row.bottom : row.top) + pixel_t'(column)];
			low1     <= lower;
			pair1    <= state == FILL;
			column1  <= column;
			if (!low1) upper2 <= level1;
			rise2    <= $signed({1'b0, level1}) - $signed({1'b0, upper2});
			pair2    <= pair1 && low1;
			column2  <= column1;
			upper3   <= upper2;
			product3 <= TALL_BITS'(rise2) * TALL_BITS'($signed({1'b0, row.weight}));
			pair3    <= pair2;
			column3  <= column2;
			if (pair3) tall[column3] <= (TALL_BITS'(upper3) << FY) + product3;
		end
	end

	// ---- Horizontal. 1: place. 2: neighbours. 3: product. 4: sum. 5: byte.
	place_t place1;
	logic [TALL_BITS-1:0] left2, right2, left3;
	logic [FXW-1:0] weight2;
	logic signed [WIDE_BITS-1:0] product3x;
	logic [WIDE_BITS-1:0] sum4;
	logic [4:1] sent;
	localparam logic [WIDE_BITS-1:0] HALF = WIDE_BITS'(1) << (DOWN - 1);
	logic signed [TALL_BITS:0] rise;
	assign rise = $signed({1'b0, right2}) - $signed({1'b0, left2});
	always_ff @(posedge clk) begin
		if (go) begin
			place1    <= columns[x];
			left2     <= tall[place1.left];
			right2    <= tall[place1.right];
			weight2   <= place1.weight;
			left3     <= left2;
			product3x <= WIDE_BITS'(rise) * WIDE_BITS'($signed({1'b0, weight2}));
			sum4      <= (WIDE_BITS'(left3) << FX) + product3x + HALF;
			odat      <= 8'(sum4 >> DOWN);
			sent      <= {sent[3:1], state == SEND};
			ovld      <= sent[4];
		end
		if (rst) begin
			sent <= '0;
			ovld <= 1'b0;
		end
	end

endmodule
