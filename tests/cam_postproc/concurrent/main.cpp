// The block's processes as threads on successive frames, streams as deep as declared, ping-pong buffers of two, an input
// that pauses and an output that is not always taken.
//   ./concurrent SEED name=depth …   reads golden.txt
#include "cam_top.h"

#include <cstring>
#include <random>
#include <thread>
#include <vector>

template <class T> class PingPong {
  std::vector<T> buffers[2];
  int filled = 0, write_at = 0, read_at = 0;
  std::mutex mutex;
  std::condition_variable signal;

public:
  explicit PingPong(int size) {
    for (auto &buffer : buffers) buffer.resize(size);
  }
  T *begin_write() {
    std::unique_lock<std::mutex> lock(mutex);
    wait_or_die(signal, lock, "buffer", "filling", [&] { return filled < 2; });
    return buffers[write_at].data();
  }
  void end_write() {
    std::unique_lock<std::mutex> lock(mutex);
    filled++;
    write_at ^= 1;
    signal.notify_all();
  }
  const T *begin_read() {
    std::unique_lock<std::mutex> lock(mutex);
    wait_or_die(signal, lock, "buffer", "awaiting", [&] { return filled > 0; });
    return buffers[read_at].data();
  }
  void end_read() {
    std::unique_lock<std::mutex> lock(mutex);
    filled--;
    read_at ^= 1;
    signal.notify_all();
  }
};

static void pause_sometimes(std::mt19937 &random) {
  if (random() % 64 == 0) std::this_thread::sleep_for(std::chrono::microseconds(random() % 300));
}

int main(int argc, char **argv) {
  typedef CamConfig C;
  const unsigned seed = std::strtoul(argv[1], 0, 10);
  for (int i = 2; i < argc; i++) {
    const char *equals = std::strchr(argv[i], '=');
    stream_depths()[std::string(argv[i], equals - argv[i])] = std::strtoul(equals + 1, 0, 10);
  }
  std::FILE *file = std::fopen("golden.txt", "r");
  long frames = 0, banks = 0, value = 0;
  if (!file || std::fscanf(file, "%ld %ld", &frames, &banks) != 2) return 2;
  const long values = long(CamSizes::PIXELS) * C::CHANNELS;
  const long length = 16 + 4 * C::CLASSES + C::SHOWN * C::OUT_H * C::OUT_W + C::PADDING_BYTES;
  std::vector<unsigned> select(frames), expected;
  std::vector<int> gate(frames);
  std::vector<CamTypes::TapBeat> beats;
  for (long n = 0; n < frames; n++) {
    long unused = 0, s = 0, g = 0;
    if (std::fscanf(file, "%ld %ld %ld", &s, &g, &unused) != 3) return 2;
    select[n] = s;
    gate[n] = g;
    for (long i = 0; i < values; i += C::PE) {
      CamTypes::TapBeat beat = 0;
      for (int p = 0; p < C::PE; p++) {
        if (std::fscanf(file, "%ld", &value) != 1) return 2;
        beat.range((p + 1) * C::TAP_BITS - 1, p * C::TAP_BITS) = CamTypes::Tap((unsigned)value);
      }
      beats.push_back(beat);
    }
    for (long i = 0; i < length && std::fscanf(file, "%ld", &value) == 1; i++) expected.push_back(value);
  }

  hls::stream<CamTypes::TapBeat> tap("tap");
  hls::stream<CamTypes::PacketBeat> packet("packet");
  hls::stream<cam::Registers> registers("registers");
  hls::stream<cam::Verdict> verdicts("verdicts");
  hls::stream<int> sent("sent");
  PingPong<CamTypes::Level> levels(C::SHOWN * CamSizes::PIXELS);
  unsigned frame = 0;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    std::mt19937 random(seed);
    for (const auto &beat : beats) {
      pause_sometimes(random);
      tap.write(beat);
    }
  });
#if CAM_STORE_MAPS
  hls::stream<CamTypes::Lanes> lanes("lanes");
  hls::stream<int> biases("biases"), logits("logits");
  PingPong<CamTypes::Map> maps(C::CLASSES * CamSizes::PIXELS);
  threads.emplace_back([&] {
    for (long n = 0; n < frames; n++)
      cam::accumulate_rom<C>(tap, &select[n], &gate[n], CAM_WEIGHT, CAM_BIAS, registers, biases, lanes);
  });
  threads.emplace_back([&] {
    for (long n = 0; n < frames; n++) {
      cam::store<C>(lanes, biases, maps.begin_write(), logits);
      maps.end_write();
    }
  });
  threads.emplace_back([&] {
    for (long n = 0; n < frames; n++) {
      const CamTypes::Map *stored = maps.begin_read();
      cam::select_stored<C>(registers, stored, logits, levels.begin_write(), verdicts, sent);
      levels.end_write();
      maps.end_read();
    }
  });
#else
  hls::stream<CamTypes::PoolLanes> pooled("pooled");
  PingPong<CamTypes::TapBeat> kept(CamSizes::PIXELS * CamSizes::CHANNEL_FOLD);
  threads.emplace_back([&] {
    for (long n = 0; n < frames; n++) {
      cam::gather_rom<C>(tap, &select[n], &gate[n], registers, kept.begin_write(), pooled);
      kept.end_write();
    }
  });
  threads.emplace_back([&] {
    for (long n = 0; n < frames; n++) {
      const CamTypes::TapBeat *stored = kept.begin_read();
      cam::select_tap_rom<C>(registers, CAM_WEIGHT, CAM_BIAS, stored, pooled, levels.begin_write(), verdicts, sent);
      levels.end_write();
      kept.end_read();
    }
  });
#endif
  threads.emplace_back([&] {
    for (long n = 0; n < frames; n++) {
      const CamTypes::Level *shown = levels.begin_read();
      cam::emit<C>(verdicts, sent, shown, &frame, packet);
      levels.end_read();
    }
  });
  std::mt19937 random(seed + 1);
  long wrong = 0;
  for (long i = 0; i < frames * length; i += C::OUT_BYTES) {
    pause_sometimes(random);
    const CamTypes::PacketBeat beat = packet.read();
    for (int b = 0; b < C::OUT_BYTES; b++) wrong += unsigned(beat.range(8 * b + 7, 8 * b)) != expected[i + b];
  }
  for (auto &thread : threads) thread.join();
  std::printf("%ld wrong bytes\n", wrong);
  return wrong != 0;
}
