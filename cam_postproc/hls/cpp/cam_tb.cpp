// Test bench: frames from golden.txt through the block, packets compared byte for byte. Returns 0 when all agree.
//
// golden.txt, integers and spaces: the number of frames, whether weights follow; if so the words of both banks; then for
// each frame: class select, gate, bank, the tap's values (row-major, channels innermost), the packet's bytes.
#include "cam_top.h"

#include <cstdio>
#include <vector>

static bool read_value(std::FILE *file, long &value) { return std::fscanf(file, "%ld", &value) == 1; }

int main(int argc, char **argv) {
  typedef CamConfig C;
  const char *name = argc > 1 ? argv[1] : "golden.txt";
  const long values = long(CamSizes::PIXELS) * C::CHANNELS;
  const long length = 16 + 4 * C::CLASSES + C::SHOWN * C::OUT_H * C::OUT_W + C::PADDING_BYTES;
  std::FILE *file = std::fopen(name, "r");
  long frames = 0, banks = 0, value = 0;
  if (!file || !read_value(file, frames) || !read_value(file, banks)) {
    std::printf("%s: cannot be read\n", name);
    return 2;
  }
  std::vector<unsigned> words(2 * CamSizes::BANK_WORDS);
  bool whole = true;
  for (std::size_t i = 0; banks && i < words.size(); i++) {
    whole = whole && read_value(file, value);
    words[i] = (unsigned)value;
  }
  std::vector<unsigned> select(frames), bank(frames), build(1);
  std::vector<int> gate(frames);
  std::vector<unsigned char> expected;
  hls::stream<CamTypes::TapBeat> in("tap");
  hls::stream<CamTypes::PacketBeat> out("packet");
  for (long n = 0; n < frames && whole; n++) {
    whole = whole && read_value(file, value);
    select[n] = (unsigned)value;
    whole = whole && read_value(file, value);
    gate[n] = (int)value;
    whole = whole && read_value(file, value);
    bank[n] = (unsigned)value;
    for (long i = 0; i < values && whole; i += C::PE) {
      CamTypes::TapBeat beat = 0;
      for (int p = 0; p < C::PE; p++) {
        whole = whole && read_value(file, value);
        beat.range((p + 1) * C::TAP_BITS - 1, p * C::TAP_BITS) = CamTypes::Tap((unsigned)value);
      }
      in.write(beat);
    }
    for (long i = 0; i < length && whole; i++) {
      whole = whole && read_value(file, value);
      expected.push_back((unsigned char)value);
    }
  }
  std::fclose(file);
  if (!whole) {
    std::printf("%s: ends too early\n", name);
    return 2;
  }
  for (long n = 0; n < frames; n++) {
#if CAM_RUNTIME_WEIGHTS
    cam_top(in, out, &select[n], &gate[n], &bank[n], &words[0], &build[0]);
#else
    cam_top(in, out, &select[n], &gate[n], &build[0]);
#endif
  }
  long wrong = 0;
  for (long i = 0; i < frames * length; i += C::OUT_BYTES) {
    if (out.empty()) {
      std::printf("frame %ld byte %ld: nothing was sent\n", i / length, i % length);
      return 1;
    }
    const CamTypes::PacketBeat beat = out.read();
    for (int b = 0; b < C::OUT_BYTES; b++) {
      const unsigned got = beat.range(8 * b + 7, 8 * b);
      if (got != expected[i + b] && wrong++ < 5)
        std::printf("frame %ld byte %ld: expected %u, got %u\n", (i + b) / length, (i + b) % length,
                    unsigned(expected[i + b]), got);
    }
  }
  if (!out.empty() || !in.empty()) wrong++;
  std::printf("%ld frames, %ld wrong bytes: %s\n", frames, wrong, wrong ? "FAILED" : "passed");
  return wrong ? 1 : 0;
}
