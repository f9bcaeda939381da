// From one class's map to its heatmap: min-max, then bilinear resize; and where its peak is.
#ifndef CAM_HEATMAP_HPP
#define CAM_HEATMAP_HPP

#include "cam_types.hpp"

namespace cam {

// One heatmap pixel a call; `step` runs from 0 to OUT_W, where 0 only loads the row's first column. Each call mixes at
// most one new column from two map rows, then the two newest columns: one reading of each of two ports.
template <class C> struct Resizer {
  typename Types<C>::Tall left, right;

  ap_uint<8> next(const typename Types<C>::Level *level, int base, int row, int step) {
#pragma HLS INLINE
    typedef Types<C> T;
    const int FY = C::ROW_FRACTION_BITS, FX = C::COLUMN_FRACTION_BITS, SHIFT = C::GUARD_BITS + FY + FX;
    const int column = step == 0 ? 0 : step - 1;
    if (step == 0 || C::column_moves(column)) {
      const int x = step == 0 ? 0 : C::column_high(column);
      const typename T::Level top = level[base + C::row_low(row) * C::MAP_W + x];
      const typename T::Level bottom = level[base + C::row_high(row) * C::MAP_W + x];
      const ap_int<C::LEVEL_BITS + 1> slope = ap_int<C::LEVEL_BITS + 1>(bottom) - ap_int<C::LEVEL_BITS + 1>(top);
      left = right;
      right = (typename T::Tall(top) << FY) + slope * ap_uint<(FY > 0 ? FY : 1)>(C::row_weight(row));
    }
    const ap_int<C::LEVEL_BITS + FY + 1> slope =
        ap_int<C::LEVEL_BITS + FY + 1>(right) - ap_int<C::LEVEL_BITS + FY + 1>(left);
    const ap_uint<C::LEVEL_BITS + FY + FX> total =
        (ap_uint<C::LEVEL_BITS + FY + FX>(left) << FX) + slope * ap_uint<(FX > 0 ? FX : 1)>(C::column_weight(column));
    return ap_uint<8>((total + (ap_uint<SHIFT>(1) << (SHIFT - 1))) >> SHIFT);
  }
};

// [x, y] of the heatmap's first maximum.
template <class C>
void find_peak(const typename Types<C>::Level level[Sizes<C>::PIXELS], Verdict &verdict) {
#pragma HLS INLINE
  Resizer<C> resizer;
  resizer.left = resizer.right = 0;
  ap_uint<8> best = 0;
  int row = 0, step = 0;
  verdict.peak_x = verdict.peak_y = 0;
  for (int i = 0; i < C::OUT_H * (C::OUT_W + 1); i++) {
#pragma HLS PIPELINE II=1
    const ap_uint<8> pixel = resizer.next(level, 0, row, step);
    if (step > 0 && pixel > best) {
      best = pixel;
      verdict.peak_x = step - 1;
      verdict.peak_y = row;
    }
    if (++step == C::OUT_W + 1) { step = 0; row++; }
  }
}

// Min-max to levels of 1/2^GUARD_BITS, by one division a map: v·(255·2^(G + RS)/R)/2^RS, with the range R shifted to its
// leading one, so that the reciprocal has as many bits for a narrow range as for a wide one. Zeros if constant or gated.
template <class C>
bool normalise(const typename Types<C>::Map map[Sizes<C>::PIXELS], bool gated,
               typename Types<C>::Level level[Sizes<C>::PIXELS],
               typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS], int base) {
#pragma HLS INLINE
  typedef Types<C> T;
  const int RB = C::RANGE_BITS, RS = C::RECIPROCAL_SHIFT;
  typename T::Map low = 0, high = 0;
  for (int p = 0; p < Sizes<C>::PIXELS; p++) {
#pragma HLS PIPELINE II=1
    const typename T::Map value = map[p];
    if (p == 0 || value < low) low = value;
    if (p == 0 || value > high) high = value;
  }
  const ap_uint<RB> spread = ap_int<C::MAP_BITS + 1>(high) - ap_int<C::MAP_BITS + 1>(low);
  ap_uint<RB> divisor = spread;
  ap_uint<5> shift = 0;
  for (int s = 16; s > 0; s >>= 1) {
#pragma HLS UNROLL
    if (s < RB && (divisor >> (RB - s)) == 0) {
      divisor <<= s;
      shift += s;
    }
  }
  ap_uint<C::RECIPROCAL_BITS> reciprocal = 0;
  if (spread != 0 && !gated)
    reciprocal = (ap_uint<C::DIVIDEND_BITS>(255) << (C::GUARD_BITS + RS)) / ap_uint<C::DIVIDEND_BITS>(divisor);
  for (int p = 0; p < Sizes<C>::PIXELS; p++) {
#pragma HLS PIPELINE II=1
    const ap_uint<RB> value = ap_int<C::MAP_BITS + 1>(map[p]) - ap_int<C::MAP_BITS + 1>(low);
    const ap_uint<RB + C::RECIPROCAL_BITS> product = ap_uint<RB>(value << shift) * reciprocal;
    const typename T::Level now = (product + (ap_uint<RS>(1) << (RS - 1))) >> RS;
    level[p] = now;
    levels[base + p] = now;
  }
  return spread == 0;
}

} // namespace cam

#endif
