// Class activation maps behind an FPGA classifier's last feature map: one streaming block that is also the classifier.
//
// In:  the tap, UINT<TAP_BITS>, h·w pixels in row-major order, channels innermost, PE channels a beat, channel 0 in the
//      low bits.
// Out: one packet a frame (header, int32 logits, SHOWN heatmaps, zeros to 8 bytes), OUT_BYTES bytes a beat, first byte
//      in the low bits.
//
// The arithmetic is specified by the integer numpy model (cam_postproc/arithmetic.py), which this file equals bit for
// bit. All sizes and widths come from the configuration class C, which the generator derives from the data types.
//
// A frame passes through three or four processes that run at once on different frames (DATAFLOW; arrays between them
// are ping-pong buffers, streams are FIFOs):
//   STORE_MAPS = 1:  accumulate -> store -> select_stored -> emit   every class's map is kept
//   STORE_MAPS = 0:  gather -> select_tap -> emit                   the tap is kept; the shown classes' maps follow later
// Nothing waits on anything but its streams, so an input that stalls or an output that is not taken only delays.
#ifndef CAM_HPP
#define CAM_HPP

#include "cam_emit.hpp"
#include "cam_kept.hpp"
#include "cam_stored.hpp"

namespace cam {

// One frame a call. The caller is the DATAFLOW region (these are inlined into it): the generated top, or a FINN node's.
// Streams are as deep as a producer may run ahead: a process that fills a ping-pong buffer starts its consumer only when
// it is done, so whatever it writes beside that buffer has to fit.
template <class C>
void frame_stored_rom(hls::stream<typename Types<C>::TapBeat> &tap, hls::stream<typename Types<C>::PacketBeat> &packet,
                      const volatile unsigned *select, const volatile int *gate,
                      const typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE],
                      const int bias[C::CLASSES], unsigned *frame) {
#pragma HLS INLINE
  typedef Types<C> T;
  hls::stream<Registers> registers("registers");
  hls::stream<Verdict> verdicts("verdicts");
  hls::stream<int> sent("sent");
  typename T::Level levels[C::SHOWN * Sizes<C>::PIXELS];
  typename T::Map maps[C::CLASSES * Sizes<C>::PIXELS];
  hls::stream<typename T::Lanes> lanes("lanes");
  hls::stream<int> biases("biases"), logits("logits");
#pragma HLS STREAM variable=registers depth=4
#pragma HLS STREAM variable=verdicts depth=2
#pragma HLS STREAM variable=sent depth=C::CLASSES
#pragma HLS STREAM variable=lanes depth=4
#pragma HLS STREAM variable=biases depth=C::CLASSES
#pragma HLS STREAM variable=logits depth=C::CLASSES
  accumulate_rom<C>(tap, select, gate, weight, bias, registers, biases, lanes);
  store<C>(lanes, biases, maps, logits);
  select_stored<C>(registers, maps, logits, levels, verdicts, sent);
  emit<C>(verdicts, sent, levels, frame, packet);
}

template <class C>
void frame_stored_ram(hls::stream<typename Types<C>::TapBeat> &tap, hls::stream<typename Types<C>::PacketBeat> &packet,
                      const volatile unsigned *select, const volatile int *gate, const volatile unsigned *active_bank,
                      const unsigned *words, typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE],
                      int bias[C::CLASSES], int *loaded_bank, unsigned *frame) {
#pragma HLS INLINE
  typedef Types<C> T;
  hls::stream<Registers> registers("registers");
  hls::stream<Verdict> verdicts("verdicts");
  hls::stream<int> sent("sent");
  typename T::Level levels[C::SHOWN * Sizes<C>::PIXELS];
  typename T::Map maps[C::CLASSES * Sizes<C>::PIXELS];
  hls::stream<typename T::Lanes> lanes("lanes");
  hls::stream<int> biases("biases"), logits("logits");
#pragma HLS STREAM variable=registers depth=4
#pragma HLS STREAM variable=verdicts depth=2
#pragma HLS STREAM variable=sent depth=C::CLASSES
#pragma HLS STREAM variable=lanes depth=4
#pragma HLS STREAM variable=biases depth=C::CLASSES
#pragma HLS STREAM variable=logits depth=C::CLASSES
  accumulate_ram<C>(tap, select, gate, active_bank, words, weight, bias, loaded_bank, registers, biases, lanes);
  store<C>(lanes, biases, maps, logits);
  select_stored<C>(registers, maps, logits, levels, verdicts, sent);
  emit<C>(verdicts, sent, levels, frame, packet);
}

template <class C>
void frame_tap_rom(hls::stream<typename Types<C>::TapBeat> &tap, hls::stream<typename Types<C>::PacketBeat> &packet,
                   const volatile unsigned *select, const volatile int *gate,
                   const typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE], const int bias[C::CLASSES],
                   unsigned *frame) {
#pragma HLS INLINE
  typedef Types<C> T;
  hls::stream<Registers> registers("registers");
  hls::stream<Verdict> verdicts("verdicts");
  hls::stream<int> sent("sent");
  typename T::Level levels[C::SHOWN * Sizes<C>::PIXELS];
  typename T::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD];
  hls::stream<typename T::PoolLanes> pooled("pooled");
#pragma HLS STREAM variable=registers depth=4
#pragma HLS STREAM variable=verdicts depth=2
#pragma HLS STREAM variable=sent depth=C::CLASSES
#pragma HLS STREAM variable=pooled depth=C::CHANNELS/C::PE
  gather_rom<C>(tap, select, gate, registers, kept, pooled);
  select_tap_rom<C>(registers, weight, bias, kept, pooled, levels, verdicts, sent);
  emit<C>(verdicts, sent, levels, frame, packet);
}

template <class C>
void frame_tap_ram(hls::stream<typename Types<C>::TapBeat> &tap, hls::stream<typename Types<C>::PacketBeat> &packet,
                   const volatile unsigned *select, const volatile int *gate, const volatile unsigned *active_bank,
                   const unsigned *words, typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE],
                   int bias[C::CLASSES], int *loaded_bank, unsigned *frame) {
#pragma HLS INLINE
  typedef Types<C> T;
  hls::stream<Registers> registers("registers");
  hls::stream<Verdict> verdicts("verdicts");
  hls::stream<int> sent("sent");
  typename T::Level levels[C::SHOWN * Sizes<C>::PIXELS];
  typename T::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD];
  hls::stream<typename T::PoolLanes> pooled("pooled");
#pragma HLS STREAM variable=registers depth=4
#pragma HLS STREAM variable=verdicts depth=2
#pragma HLS STREAM variable=sent depth=C::CLASSES
#pragma HLS STREAM variable=pooled depth=C::CHANNELS/C::PE
  gather_ram<C>(tap, select, gate, active_bank, registers, kept, pooled);
  select_tap_ram<C>(registers, words, weight, bias, loaded_bank, kept, pooled, levels, verdicts, sent);
  emit<C>(verdicts, sent, levels, frame, packet);
}

// The build id register.
inline void tell(unsigned *build_id, unsigned value) { *build_id = value; }

} // namespace cam

#endif
