// Which classes are shown, and their maps as levels.
#ifndef CAM_SELECT_HPP
#define CAM_SELECT_HPP

#include "cam_heatmap.hpp"

namespace cam {

// Which classes to show: the host's or the argmax, then the others by falling logit, ties to the lowest index.
template <class C>
void rank(const int score[C::CLASSES], int best, unsigned select, int shown[C::SHOWN]) {
#pragma HLS INLINE
  bool taken[C::CLASSES];
  shown[0] = select < unsigned(C::CLASSES) ? int(select) : best;
  if (C::SHOWN > 1) {
    for (int c = 0; c < C::CLASSES; c++) {
#pragma HLS PIPELINE II=1
      taken[c] = c == shown[0];
    }
    for (int j = 1; j < C::SHOWN; j++) {
      int top = -1, top_score = 0;
      for (int c = 0; c < C::CLASSES; c++) {
#pragma HLS PIPELINE II=1
        if (!taken[c] && (top < 0 || score[c] > top_score)) {
          top = c;
          top_score = score[c];
        }
      }
      taken[top] = true;
      shown[j] = top;
    }
  }
}

// Common end of the two select processes: one shown map after another becomes levels; the first one gives the peak.
template <class C, class Source>
void finish(Source &source, const int score[C::CLASSES], int best, const Registers &now,
            typename Types<C>::Level levels[C::SHOWN * Sizes<C>::PIXELS], hls::stream<Verdict> &verdicts) {
#pragma HLS INLINE
  typedef Types<C> T;
  int shown[C::SHOWN];
  rank<C>(score, best, now.select, shown);
  const bool gated = score[shown[0]] < now.gate;
  Verdict verdict;
  verdict.class_index = best;
  verdict.shown_class = shown[0];
  for (int j = 0; j < C::SHOWN; j++) {
    typename T::Map map[Sizes<C>::PIXELS];
    typename T::Level level[Sizes<C>::PIXELS];
    source.fetch(shown[j], map);
#ifndef __SYNTHESIS__
    for (int p = 0; p < Sizes<C>::PIXELS && probe_shown; p++) probe_shown[j * Sizes<C>::PIXELS + p] = map[p];
#endif
    const bool constant = normalise<C>(map, gated, level, levels, j * Sizes<C>::PIXELS);
    if (j == 0) {
      verdict.flags = (gated ? 1 : 0) + (constant ? 2 : 0);
      find_peak<C>(level, verdict);
    }
  }
  verdicts.write(verdict);
}

} // namespace cam

#endif
