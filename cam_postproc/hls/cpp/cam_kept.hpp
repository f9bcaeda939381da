// STORE_MAPS = 0: the tap is kept, and only the shown classes' maps are computed, from the kept tap.
#ifndef CAM_KEPT_HPP
#define CAM_KEPT_HPP

#include "cam_bank.hpp"
#include "cam_select.hpp"

namespace cam {

// Keeps the tap and sums each channel over the map: the logits need no more than that, pooling and FC being linear.
template <class C>
void keep(const typename Types<C>::TapBeat &first, hls::stream<typename Types<C>::TapBeat> &tap,
          typename Types<C>::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD],
          hls::stream<typename Types<C>::PoolLanes> &pooled) {
#pragma HLS INLINE
  typedef Types<C> T;
  const int CHANNEL_FOLD = Sizes<C>::CHANNEL_FOLD;
  typename T::PoolLanes sums[CHANNEL_FOLD];
  int fold = 0;
  for (int i = 0; i < Sizes<C>::PIXELS * CHANNEL_FOLD; i++) {
#pragma HLS PIPELINE II=1
#pragma HLS DEPENDENCE variable=sums type=inter direction=RAW distance=CHANNEL_FOLD true
    typename T::TapBeat beat = first;
    if (i > 0) beat = tap.read();
    kept[i] = beat;
    typename T::Tap part[C::PE];
#pragma HLS ARRAY_PARTITION variable=part complete
    split_beat<C>(beat, part);
    typename T::PoolLanes total = sums[fold];
    for (int p = 0; p < C::PE; p++) {
#pragma HLS UNROLL
      const typename T::Pool before = i < CHANNEL_FOLD ? typename T::Pool(0) : total.value[p];
      total.value[p] = before + part[p];
    }
    sums[fold] = total;
    if (i >= (Sizes<C>::PIXELS - 1) * CHANNEL_FOLD) pooled.write(total);
    if (++fold == CHANNEL_FOLD) fold = 0;
  }
}

template <class C>
void gather_rom(hls::stream<typename Types<C>::TapBeat> &tap, const volatile unsigned *select, const volatile int *gate,
                hls::stream<Registers> &registers,
                typename Types<C>::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD],
                hls::stream<typename Types<C>::PoolLanes> &pooled) {
  const typename Types<C>::TapBeat first = tap.read();
  const Registers now = {*select, *gate, 0};
  registers.write(now);
  keep<C>(first, tap, kept, pooled);
}

template <class C>
void gather_ram(hls::stream<typename Types<C>::TapBeat> &tap, const volatile unsigned *select, const volatile int *gate,
                const volatile unsigned *active_bank, hls::stream<Registers> &registers,
                typename Types<C>::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD],
                hls::stream<typename Types<C>::PoolLanes> &pooled) {
  const typename Types<C>::TapBeat first = tap.read();
  const Registers now = {*select, *gate, *active_bank & 1};
  registers.write(now);
  keep<C>(first, tap, kept, pooled);
}

template <class C, class W> struct KeptTap {
  const typename Types<C>::TapBeat *kept;
  W (*weight)[C::CLASS_PE][C::PE];
  void fetch(int c, typename Types<C>::Map map[Sizes<C>::PIXELS]) {
#pragma HLS INLINE
    typedef Types<C> T;
    const int CHANNEL_FOLD = Sizes<C>::CHANNEL_FOLD;
    const int group = c / C::CLASS_PE, lane = c % C::CLASS_PE;
    typename T::Map total = 0;
    int fold = 0, pixel = 0;
    for (int i = 0; i < Sizes<C>::PIXELS * CHANNEL_FOLD; i++) {
#pragma HLS PIPELINE II=1
      typename T::Tap part[C::PE];
#pragma HLS ARRAY_PARTITION variable=part complete
      split_beat<C>(kept[i], part);
      if (fold == 0) total = 0;
      for (int p = 0; p < C::PE; p++) {
#pragma HLS UNROLL
        total += typename T::Weight(weight[group * CHANNEL_FOLD + fold][lane][p]) * part[p];
      }
      if (++fold == CHANNEL_FOLD) {
        map[pixel++] = total;
        fold = 0;
      }
    }
  }
};

template <class C, class W>
void classify(const Registers &now, W weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE], const int bias[C::CLASSES],
              const typename Types<C>::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD],
              hls::stream<typename Types<C>::PoolLanes> &pooled,
              typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS], hls::stream<Verdict> &verdicts,
              hls::stream<int> &sent) {
#pragma HLS INLINE
  typedef Types<C> T;
  const int CHANNEL_FOLD = Sizes<C>::CHANNEL_FOLD;
  typename T::PoolLanes pool[CHANNEL_FOLD];
  for (int f = 0; f < CHANNEL_FOLD; f++) {
#pragma HLS PIPELINE II=1
    pool[f] = pooled.read();
  }
  // The logits: CLASS_PE classes and PE channels a cycle.
  typename T::SumLanes totals[Sizes<C>::CLASS_FOLD], sum;
#pragma HLS ARRAY_PARTITION variable=sum.value complete
  int group = 0, fold = 0;
  for (int i = 0; i < Sizes<C>::FOLDS; i++) {
#pragma HLS PIPELINE II=1
    for (int l = 0; l < C::CLASS_PE; l++) {
#pragma HLS UNROLL
      typename T::LogitSum total = fold == 0 ? typename T::LogitSum(0) : sum.value[l];
      for (int p = 0; p < C::PE; p++) {
#pragma HLS UNROLL
        total += typename T::Weight(weight[i][l][p]) * pool[fold].value[p];
      }
      sum.value[l] = total;
    }
    if (++fold == CHANNEL_FOLD) {
      totals[group++] = sum;
      fold = 0;
    }
  }
  int score[C::CLASSES];
  int best = 0, best_score = 0, lane = 0;
  group = 0;
  for (int c = 0; c < C::CLASSES; c++) {
#pragma HLS PIPELINE II=1
    const typename T::LogitSum total =
        totals[group].value[lane] + (C::BIAS_BITS > 0 ? typename T::LogitSum(bias[c]) : typename T::LogitSum(0));
    const int logit = saturate<C>(total);
    score[c] = logit;
    sent.write(logit);
    if (c == 0 || logit > best_score) {
      best = c;
      best_score = logit;
    }
    if (++lane == C::CLASS_PE) { lane = 0; group++; }
  }
  KeptTap<C, W> source = {kept, weight};
  finish<C>(source, score, best, now, levels, verdicts);
}

template <class C>
void select_tap_rom(hls::stream<Registers> &registers,
                    const typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE],
                    const int bias[C::CLASSES],
                    const typename Types<C>::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD],
                    hls::stream<typename Types<C>::PoolLanes> &pooled,
                    typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS], hls::stream<Verdict> &verdicts,
                    hls::stream<int> &sent) {
  const Registers now = registers.read();
  classify<C>(now, weight, bias, kept, pooled, levels, verdicts, sent);
}

template <class C>
void select_tap_ram(hls::stream<Registers> &registers, const unsigned *words,
                    typename Types<C>::Rom weight[Sizes<C>::FOLDS][C::CLASS_PE][C::PE], int bias[C::CLASSES],
                    int *loaded_bank,
                    const typename Types<C>::TapBeat kept[Sizes<C>::PIXELS * Sizes<C>::CHANNEL_FOLD],
                    hls::stream<typename Types<C>::PoolLanes> &pooled,
                    typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS], hls::stream<Verdict> &verdicts,
                    hls::stream<int> &sent) {
  const Registers now = registers.read();
  if (int(now.bank) != *loaded_bank) load_bank<C>(words, now.bank, weight, bias);
  *loaded_bank = now.bank;
  classify<C>(now, weight, bias, kept, pooled, levels, verdicts, sent);
}

} // namespace cam

#endif
