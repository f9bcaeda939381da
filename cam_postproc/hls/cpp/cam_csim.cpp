// C simulation: a batch of frames back to back through the block, called from Python by ctypes; or a frame of words as
// they come out of simulated hardware, called by its testbench.
#include "cam_top.cpp" // one translation unit: half the time to compile

#include <cstdio>
#include <exception>
#include <vector>

extern "C" {

unsigned cam_csim_build_id = 0;

void cam_csim_reset(unsigned frame) { cam_reset(frame); }

// tap: [frames][h·w][C] bytes. select, gate, bank: one value a frame. words: both banks, or null.
// packet: [frames][L]. maps: [frames][CLASSES][h·w] or null. shown: [frames][SHOWN][h·w] or null.
// Returns 0; on failure writes one line to `message`.
int cam_csim_run(const unsigned char *tap, int frames, const unsigned *select, const int *gate, const unsigned *bank,
                 const unsigned *words, unsigned char *packet, int *maps, int *shown, char *message, int message_size) {
  typedef CamConfig C;
  const int beats = CamSizes::PIXELS * CamSizes::CHANNEL_FOLD;
  const int length = 16 + 4 * C::CLASSES + C::SHOWN * C::OUT_H * C::OUT_W + C::PADDING_BYTES;
  try {
    hls::stream<CamTypes::TapBeat> in("tap");
    hls::stream<CamTypes::PacketBeat> out("packet");
    for (long i = 0; i < long(frames) * beats; i++) {
      CamTypes::TapBeat beat = 0;
      for (int p = 0; p < C::PE; p++)
        beat.range((p + 1) * C::TAP_BITS - 1, p * C::TAP_BITS) = CamTypes::Tap(tap[i * C::PE + p]);
      in.write(beat);
    }
    for (int n = 0; n < frames; n++) {
      cam::probe_maps = maps ? maps + long(n) * C::CLASSES * CamSizes::PIXELS : 0;
      cam::probe_shown = shown ? shown + long(n) * C::SHOWN * CamSizes::PIXELS : 0;
#if CAM_RUNTIME_WEIGHTS
      cam_top(in, out, select + n, gate + n, bank + n, words, &cam_csim_build_id);
#else
      (void)bank;
      (void)words;
      cam_top(in, out, select + n, gate + n, &cam_csim_build_id);
#endif
    }
    if (!in.empty() || out.size() * C::OUT_BYTES != std::size_t(frames) * length) {
      std::snprintf(message, message_size, "%lu input beats left, %lu output beats", (unsigned long)in.size(),
                    (unsigned long)out.size());
      return 1;
    }
    for (long i = 0; i < long(frames) * length; i += C::OUT_BYTES) {
      const CamTypes::PacketBeat beat = out.read();
      for (int b = 0; b < C::OUT_BYTES; b++) packet[i + b] = (unsigned char)(unsigned)beat.range(8 * b + 7, 8 * b);
    }
  } catch (const std::exception &error) {
    std::snprintf(message, message_size, "%s", error.what());
    return 1;
  }
  return 0;
}

// tap: the stream's words of one frame, `word_bytes` each, little-endian, channel 0 of a beat in the low bits.
// packet: [L]. Otherwise as above.
int cam_csim_words(const unsigned char *tap, int word_bytes, unsigned select, int gate, unsigned bank,
                   const unsigned *words, unsigned char *packet, char *message, int message_size) {
  typedef CamConfig C;
  std::vector<unsigned char> values;
  for (int i = 0; i < CamSizes::PIXELS * CamSizes::CHANNEL_FOLD; i++) {
    for (int at = 0; at < C::PE * C::TAP_BITS; at += C::TAP_BITS) {
      unsigned value = 0;
      for (int b = 0; b < C::TAP_BITS; b++)
        value |= ((tap[long(i) * word_bytes + (at + b) / 8] >> ((at + b) % 8)) & 1u) << b;
      values.push_back((unsigned char)value);
    }
  }
  return cam_csim_run(values.data(), 1, &select, &gate, &bank, words, packet, 0, 0, message, message_size);
}
}
