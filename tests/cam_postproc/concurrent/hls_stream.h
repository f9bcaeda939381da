// hls::stream as hardware has it: bounded, blocking. A process that waits too long ends the program: a deadlock.
#ifndef CAM_TEST_HLS_STREAM_H
#define CAM_TEST_HLS_STREAM_H

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>
#include <string>

inline std::map<std::string, std::size_t> &stream_depths() {
  static std::map<std::string, std::size_t> depths;
  return depths;
}

template <class Condition>
void wait_or_die(std::condition_variable &signal, std::unique_lock<std::mutex> &lock, const std::string &name,
                 const char *what, Condition condition) {
  if (!signal.wait_for(lock, std::chrono::seconds(2), condition)) {
    std::printf("deadlock: %s %s\n", what, name.c_str());
    std::fflush(stdout);
    std::_Exit(3);
  }
}

namespace hls {

template <class T> class stream {
  std::string name;
  std::deque<T> items;
  std::mutex mutex;
  std::condition_variable signal;

public:
  explicit stream(const char *name_) : name(name_) {}
  void write(const T &item) {
    const std::size_t depth = stream_depths().at(name);
    std::unique_lock<std::mutex> lock(mutex);
    wait_or_die(signal, lock, name, "writing", [&] { return items.size() < depth; });
    items.push_back(item);
    signal.notify_all();
  }
  T read() {
    std::unique_lock<std::mutex> lock(mutex);
    wait_or_die(signal, lock, name, "reading", [&] { return !items.empty(); });
    const T item = items.front();
    items.pop_front();
    signal.notify_all();
    return item;
  }
};

} // namespace hls

#endif
