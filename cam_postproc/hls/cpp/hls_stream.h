// Just enough of hls::stream for C simulation with g++: an unbounded first-in first-out queue. Vitis HLS brings its own.
#ifndef CAM_SIM_HLS_STREAM_H
#define CAM_SIM_HLS_STREAM_H

#include <cstddef>
#include <stdexcept>
#include <vector>

namespace hls {

template <class T> class stream {
  std::vector<T> items;
  std::size_t next;

public:
  explicit stream(const char * = "") : next(0) {}
  stream(const stream &) = delete;
  stream &operator=(const stream &) = delete;
  bool empty() const { return next == items.size(); }
  std::size_t size() const { return items.size() - next; }
  void write(const T &item) { items.push_back(item); }
  T read() {
    if (empty()) throw std::runtime_error("read from an empty stream");
    const T item = items[next++];
    if (empty()) { items.clear(); next = 0; } // keeps its capacity
    return item;
  }
};

} // namespace hls

#endif
