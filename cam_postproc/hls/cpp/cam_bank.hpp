// FC weights that a host loads at run time.
#ifndef CAM_BANK_HPP
#define CAM_BANK_HPP

#include "cam_types.hpp"

namespace cam {

// Copies a bank into the block's own memory. A bank is 32-bit words: weight (c, k) is byte c·CHANNELS + k, an INT8; then
// one int32 bias a class, if the block has biases. One weight a cycle, in the order of the bytes.
template <class C>
void load_bank(const unsigned *words, unsigned bank,
               typename Types<C>::Rom ram[Sizes<C>::FOLDS][C::CLASS_PE][C::PE], int bias_ram[C::CLASSES]) {
  const int base = (bank & 1) ? Sizes<C>::BANK_WORDS : 0;
  int group = 0, lane = 0, fold = 0, part = 0;
  unsigned word = 0;
  for (int i = 0; i < C::CLASSES * C::CHANNELS; i++) {
#pragma HLS PIPELINE II=1
    if ((i & 3) == 0) word = words[base + (i >> 2)];
    const ap_int<8> byte = (word >> (8 * (i & 3))) & 0xFF;
    ram[group * Sizes<C>::CHANNEL_FOLD + fold][lane][part] = typename Types<C>::Weight(byte);
    if (++part == C::PE) {
      part = 0;
      if (++fold == Sizes<C>::CHANNEL_FOLD) {
        fold = 0;
        if (++lane == C::CLASS_PE) { lane = 0; group++; }
      }
    }
  }
  for (int c = 0; c < C::CLASSES && C::BIAS_BITS > 0; c++) {
#pragma HLS PIPELINE II=1
    bias_ram[c] = int(words[base + Sizes<C>::WEIGHT_WORDS + c]);
  }
}

} // namespace cam

#endif
