// Types and sizes of a CAM block, all derived from its configuration class C.
#ifndef CAM_TYPES_HPP
#define CAM_TYPES_HPP

#include <ap_int.h>
#include <hls_stream.h>

namespace cam {

// Registers, sampled when the frame's first beat has arrived.
struct Registers {
  unsigned select; // class to show; CLASSES or more (0xFFFFFFFF): the argmax
  int gate;        // frames whose shown class's logit is below are sent as zeros
  unsigned bank;   // weight bank, where weights are loaded at run time
};

// All that the header tells, but the frame counter.
struct Verdict {
  ap_uint<16> class_index, shown_class, peak_x, peak_y, flags;
};

template <class C> struct Types {
  typedef ap_uint<C::PE * C::TAP_BITS> TapBeat;
  typedef ap_uint<C::TAP_BITS> Tap;
  typedef ap_int<C::WEIGHT_BITS> Weight;
  typedef ap_int<C::MAP_BITS> Map;
  typedef ap_int<C::LOGIT_SUM_BITS> LogitSum;
  typedef ap_uint<C::POOL_BITS> Pool;
  typedef ap_uint<C::LEVEL_BITS> Level;
  typedef ap_uint<C::LEVEL_BITS + C::ROW_FRACTION_BITS> Tall;
  typedef ap_uint<8 * C::OUT_BYTES> PacketBeat;
  struct Lanes { Map value[C::CLASS_PE]; };
  struct SumLanes { LogitSum value[C::CLASS_PE]; };
  struct PoolLanes { Pool value[C::PE]; };
  // ROM in simulation is an array of plain integers, because a million class objects take g++ minutes to construct.
#ifdef __SYNTHESIS__
  typedef Weight Rom;
#else
  typedef signed char Rom;
#endif
};

template <class C> struct Sizes {
  static const int PIXELS = C::MAP_H * C::MAP_W;
  static const int CHANNEL_FOLD = C::CHANNELS / C::PE;
  static const int CLASS_FOLD = C::CLASSES / C::CLASS_PE;
  static const int FOLDS = CHANNEL_FOLD * CLASS_FOLD;
  static const int WEIGHT_WORDS = (C::CLASSES * C::CHANNELS + 3) / 4;
  static const int BANK_WORDS = WEIGHT_WORDS + (C::BIAS_BITS > 0 ? C::CLASSES : 0);
};

#ifndef __SYNTHESIS__
// C simulation only: where the maps of the frame are copied to, if anywhere.
static int *probe_maps = 0;  // [CLASSES][PIXELS], STORE_MAPS = 1 alone
static int *probe_shown = 0; // [SHOWN][PIXELS]
#endif

template <class C> ap_int<32> saturate(const typename Types<C>::LogitSum &sum) {
#pragma HLS INLINE
  const ap_int<C::LOGIT_SUM_BITS + 1> low = -2147483647 - 1, high = 2147483647;
  if (C::LOGIT_SUM_BITS <= 32) return sum;
  return sum < low ? ap_int<32>(low) : sum > high ? ap_int<32>(high) : ap_int<32>(sum);
}

template <class C>
void split_beat(const typename Types<C>::TapBeat &beat, typename Types<C>::Tap part[C::PE]) {
#pragma HLS INLINE
  for (int p = 0; p < C::PE; p++) {
#pragma HLS UNROLL
    part[p] = beat.range((p + 1) * C::TAP_BITS - 1, p * C::TAP_BITS);
  }
}

} // namespace cam

#endif
