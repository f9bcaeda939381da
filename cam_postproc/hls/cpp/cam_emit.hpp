// The packet: header, logits, heatmaps, padding.
#ifndef CAM_EMIT_HPP
#define CAM_EMIT_HPP

#include "cam_heatmap.hpp"

namespace cam {

// Bytes into beats.
template <class C> struct Packer {
  typename Types<C>::PacketBeat beat;
  int filled;
  void put(const ap_uint<8> &byte, hls::stream<typename Types<C>::PacketBeat> &packet) {
#pragma HLS INLINE
    beat.range(8 * filled + 7, 8 * filled) = byte;
    if (++filled == C::OUT_BYTES) {
      packet.write(beat);
      filled = 0;
    }
  }
};

// Header, logits, heatmaps, padding: one byte a cycle.
template <class C>
void emit(hls::stream<Verdict> &verdicts, hls::stream<int> &sent,
          const typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS], unsigned *frame,
          hls::stream<typename Types<C>::PacketBeat> &packet) {
  const Verdict verdict = verdicts.read();
  const ap_uint<32> count = *frame;
  *frame = *frame + 1;
  const ap_uint<16> header[8] = {C::PACKET_VERSION, verdict.class_index, verdict.shown_class, verdict.peak_x,
                                 verdict.peak_y, verdict.flags, count.range(15, 0), count.range(31, 16)};
#pragma HLS ARRAY_PARTITION variable=header complete
  Packer<C> packer;
  packer.beat = 0;
  packer.filled = 0;
  unsigned logit = 0;
  for (int i = 0; i < 16 + 4 * C::CLASSES; i++) {
#pragma HLS PIPELINE II=1
    if (i >= 16 && (i & 3) == 0) logit = sent.read();
    const unsigned value = i < 16 ? unsigned(header[i >> 1]) >> (8 * (i & 1)) : logit >> (8 * (i & 3));
    packer.put(ap_uint<8>(value & 0xFF), packet);
  }
  Resizer<C> resizer;
  resizer.left = resizer.right = 0;
  int map = 0, row = 0, step = 0;
  for (int i = 0; i < C::SHOWN * C::OUT_H * (C::OUT_W + 1); i++) {
#pragma HLS PIPELINE II=1
    const ap_uint<8> pixel = resizer.next(levels, map * Sizes<C>::PIXELS, row, step);
    if (step > 0) packer.put(pixel, packet);
    if (++step == C::OUT_W + 1) {
      step = 0;
      if (++row == C::OUT_H) { row = 0; map++; }
    }
  }
  for (int i = 0; i < C::PADDING_BYTES; i++) {
#pragma HLS PIPELINE II=1
    packer.put(0, packet);
  }
}

} // namespace cam

#endif
