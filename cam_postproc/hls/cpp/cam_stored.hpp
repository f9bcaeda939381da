// STORE_MAPS = 1: every class's map is computed and kept while the tap streams by.
#ifndef CAM_STORED_HPP
#define CAM_STORED_HPP

#include "cam_bank.hpp"
#include "cam_select.hpp"

namespace cam {

// M_c(x, y) = sum over k of w[c, k]·f_k(x, y), CLASS_PE classes at a time. A pixel's beats are held while further groups
// of classes take them again. CLASS_PE·PE products a cycle.
template <class C, class W>
void multiply(const typename Types<C>::TapBeat &first, hls::stream<typename Types<C>::TapBeat> &tap,
              W weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE], const int bias[C::CLASSES],
              hls::stream<int> &biases, hls::stream<typename Types<C>::Lanes> &lanes) {
#pragma HLS INLINE
  typedef Types<C> T;
  const int CHANNEL_FOLD = Sizes<C>::CHANNEL_FOLD, CLASS_FOLD = Sizes<C>::CLASS_FOLD;
  typename T::TapBeat held[CHANNEL_FOLD];
  typename T::Lanes sum;
#pragma HLS ARRAY_PARTITION variable=sum.value complete
  for (int c = 0; c < C::CLASSES && C::BIAS_BITS > 0; c++) {
#pragma HLS PIPELINE II=1
    biases.write(bias[c]);
  }
  int fold = 0, group = 0;
  for (int i = 0; i < Sizes<C>::PIXELS * Sizes<C>::FOLDS; i++) {
#pragma HLS PIPELINE II=1
    typename T::TapBeat beat;
    if (group == 0) {
      if (i == 0)
        beat = first;
      else
        beat = tap.read();
      if (CLASS_FOLD > 1) held[fold] = beat;
    } else {
      beat = held[fold];
    }
    typename T::Tap part[C::PE];
#pragma HLS ARRAY_PARTITION variable=part complete
    split_beat<C>(beat, part);
    for (int l = 0; l < C::CLASS_PE; l++) {
#pragma HLS UNROLL
      typename T::Map total = 0;
      if (fold > 0) total = sum.value[l];
      for (int p = 0; p < C::PE; p++) {
#pragma HLS UNROLL
        total += typename T::Weight(weight[group * CHANNEL_FOLD + fold][l][p]) * part[p];
      }
      sum.value[l] = total;
    }
    if (++fold == CHANNEL_FOLD) {
      lanes.write(sum);
      fold = 0;
      if (++group == CLASS_FOLD) group = 0;
    }
  }
}

template <class C>
void accumulate_rom(hls::stream<typename Types<C>::TapBeat> &tap, const volatile unsigned *select,
                    const volatile int *gate, const typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE],
                    const int bias[C::CLASSES], hls::stream<Registers> &registers, hls::stream<int> &biases,
                    hls::stream<typename Types<C>::Lanes> &lanes) {
  const typename Types<C>::TapBeat first = tap.read();
  const Registers now = {*select, *gate, 0};
  registers.write(now);
  multiply<C>(first, tap, weight, bias, biases, lanes);
}

template <class C>
void accumulate_ram(hls::stream<typename Types<C>::TapBeat> &tap, const volatile unsigned *select,
                    const volatile int *gate, const volatile unsigned *active_bank, const unsigned *words,
                    typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE], int bias[C::CLASSES],
                    int *loaded_bank, hls::stream<Registers> &registers, hls::stream<int> &biases,
                    hls::stream<typename Types<C>::Lanes> &lanes) {
  const typename Types<C>::TapBeat first = tap.read();
  const Registers now = {*select, *gate, *active_bank & 1};
  registers.write(now);
  if (int(now.bank) != *loaded_bank) load_bank<C>(words, now.bank, weight, bias);
  *loaded_bank = now.bank;
  multiply<C>(first, tap, weight, bias, biases, lanes);
}

// Keeps the maps, one value a cycle, and sums each into its logit.
template <class C>
void store(hls::stream<typename Types<C>::Lanes> &lanes, hls::stream<int> &biases,
           typename Types<C>::Map maps[C::CLASSES * Sizes<C>::PIXELS], hls::stream<int> &logits) {
  typedef Types<C> T;
  typename T::LogitSum sums[C::CLASSES];
  typename T::Lanes now;
  int pixel = 0, c = 0, lane = 0;
  for (int i = 0; i < Sizes<C>::PIXELS * C::CLASSES; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=sums type=inter direction=RAW distance=C::CLASSES true
    if (lane == 0) now = lanes.read();
    const typename T::Map value = now.value[lane];
    maps[c * Sizes<C>::PIXELS + pixel] = value;
#ifndef __SYNTHESIS__
    if (probe_maps) probe_maps[c * Sizes<C>::PIXELS + pixel] = value;
#endif
    typename T::LogitSum before = sums[c];
    if (pixel == 0) before = C::BIAS_BITS > 0 ? biases.read() : 0;
    const typename T::LogitSum total = before + value;
    sums[c] = total;
    if (pixel == Sizes<C>::PIXELS - 1) logits.write(saturate<C>(total));
    if (++lane == C::CLASS_PE) lane = 0;
    if (++c == C::CLASSES) { c = 0; pixel++; }
  }
}

template <class C> struct StoredMaps {
  const typename Types<C>::Map *maps;
  void fetch(int c, typename Types<C>::Map map[Sizes<C>::PIXELS]) {
#pragma HLS INLINE
    for (int p = 0; p < Sizes<C>::PIXELS; p++) {
#pragma HLS PIPELINE II=1
      map[p] = maps[c * Sizes<C>::PIXELS + p];
    }
  }
};

template <class C>
void select_stored(hls::stream<Registers> &registers, const typename Types<C>::Map maps[C::CLASSES * Sizes<C>::PIXELS],
                   hls::stream<int> &logits, typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS],
                   hls::stream<Verdict> &verdicts, hls::stream<int> &sent) {
  const Registers now = registers.read();
  int score[C::CLASSES];
  int best = 0, best_score = 0;
  for (int c = 0; c < C::CLASSES; c++) {
#pragma HLS PIPELINE II=1
    const int logit = logits.read();
    score[c] = logit;
    sent.write(logit);
    if (c == 0 || logit > best_score) {
      best = c;
      best_score = logit;
    }
  }
  StoredMaps<C> source = {maps};
  finish<C>(source, score, best, now, levels, verdicts);
}

} // namespace cam

#endif
