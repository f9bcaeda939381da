// Best IoU of a score map's contours with annotated boxes, at many levels, without tracing most contours.
//
// At level L the foreground is what lies above L. Going down the levels it only grows, so its 8-connected components are
// kept by union-find with their bounding boxes; going up, the background's 4-connected components are, and those that do not
// touch the border are the holes. A contour's box is its component's, a hole's contour lies one pixel around the hole. The
// area of an outer contour (of the polygon through its pixels' centres) needs its border traced, but only where the
// bounding box could hold more than the largest area found so far.
//
// Equal to cv2.findContours(RETR_TREE) + contourArea + boundingRect with the first of equal areas: OpenCV lists outermost
// contours by falling first pixel, and one of the largest is always outermost, as what encloses it would be larger.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <vector>

namespace {

struct Component {
  int parent, x0, y0, x1, y1, first;
  bool border;
};

struct Forest {
  std::vector<Component> node;
  std::vector<int> roots; // of what has been added; some may have lost that rank since
  int find(int i) {
    while (node[i].parent != i) i = node[i].parent = node[node[i].parent].parent;
    return i;
  }
  void add(int i, int x, int y, bool border) {
    node[i] = {i, x, y, x, y, i, border};
    roots.push_back(i);
  }
  void join(int a, int b) {
    a = find(a);
    b = find(b);
    if (a == b) return;
    if (a > b) std::swap(a, b); // the root is the first pixel
    Component &into = node[a];
    const Component &from = node[b];
    into.x0 = std::min(into.x0, from.x0);
    into.y0 = std::min(into.y0, from.y0);
    into.x1 = std::max(into.x1, from.x1);
    into.y1 = std::max(into.y1, from.y1);
    into.border = into.border || from.border;
    node[b].parent = a;
  }
  const std::vector<int> &current() {
    roots.erase(std::remove_if(roots.begin(), roots.end(), [this](int i) { return node[i].parent != i; }), roots.end());
    return roots;
  }
};

struct Map {
  const uint8_t *score; // with a frame of zeros
  int height, width, stride;
  std::vector<std::vector<int>> pixels; // by score
  const int64_t *truth;
  int boxes;

  double overlap(int64_t x0, int64_t y0, int64_t x1, int64_t y1) const {
    double best = 0;
    for (int b = 0; b < boxes; b++) {
      const int64_t *t = truth + 4 * b;
      const int64_t w = std::min(x1, t[2]) - std::max(x0, t[0]) + 1, h = std::min(y1, t[3]) - std::max(y0, t[1]) + 1;
      if (w <= 0 || h <= 0) continue;
      const int64_t common = w * h;
      const int64_t all = (x1 - x0 + 1) * (y1 - y0 + 1) + (t[2] - t[0] + 1) * (t[3] - t[1] + 1) - common;
      best = std::max(best, double(common) / double(all));
    }
    return best;
  }
  // The evaluator's box of a contour that spans these pixels: one pixel more, but inside the image.
  double contour_overlap(int x0, int y0, int x1, int y1) const {
    return overlap(x0, y0, std::min(x1 + 1, width - 1), std::min(y1 + 1, height - 1));
  }
  int x_of(int i) const { return i % stride - 1; }
  int y_of(int i) const { return i / stride - 1; }
};

// Twice the area of the outer contour that starts at its component's first pixel (Suzuki and Abe, 1985, algorithm 1).
int64_t twice_area(const Map &map, int start, int level) {
  const int step[8] = {1, 1 - map.stride, -map.stride, -1 - map.stride, -1, map.stride - 1, map.stride, map.stride + 1};
  int side = 4;
  do side = (side + 7) & 7;
  while (map.score[start + step[side]] <= level && side != 4);
  if (side == 4) return 0;
  const int second = start + step[side];
  int64_t sum = 0;
  for (int at = start;;) {
    do side = (side + 1) & 7;
    while (map.score[at + step[side]] <= level);
    const int next = at + step[side];
    sum += int64_t(map.x_of(at)) * map.y_of(next) - int64_t(map.x_of(next)) * map.y_of(at);
    if (next == start && at == second) break;
    at = next;
    side = (side + 4) & 7;
  }
  return std::llabs(sum);
}

} // namespace

extern "C" {

// scores: [height][width]. truth: [boxes][4]. levels: [count], rising. largest, best: [count].
void contour_ious(const uint8_t *scores, int height, int width, const int64_t *truth, int boxes, const int *levels,
                  int count, double *largest, double *best) {
  const int stride = width + 2, size = (height + 2) * stride;
  std::vector<uint8_t> framed(size, 0);
  Map map = {framed.data(), height, width, stride, std::vector<std::vector<int>>(256), truth, boxes};
  for (int y = 0; y < height; y++)
    for (int x = 0; x < width; x++) {
      const int i = (y + 1) * stride + x + 1;
      framed[i] = scores[y * width + x];
      map.pixels[framed[i]].push_back(i);
    }
  int wanted[256];
  std::fill(wanted, wanted + 256, -1);
  for (int n = 0; n < count; n++) {
    wanted[levels[n]] = n;
    largest[n] = best[n] = map.overlap(0, 0, 0, 0); // no contour: one box of zeros
  }
  std::vector<double> holes(count, 0.0);
  Forest forest;
  forest.node.resize(size);
  std::vector<bool> added(size, false);
  for (int level = 0; level < 255; level++) {
    for (int i : map.pixels[level]) {
      const int x = map.x_of(i), y = map.y_of(i);
      forest.add(i, x, y, x == 0 || y == 0 || x == width - 1 || y == height - 1);
      added[i] = true;
      for (int step : {1, -1, stride, -stride})
        if (added[i + step]) forest.join(i, i + step);
    }
    if (wanted[level] < 0) continue;
    double &found = holes[wanted[level]];
    for (int i : forest.current()) {
      const Component &hole = forest.node[i];
      if (!hole.border)
        found = std::max(found, map.contour_overlap(hole.x0 - 1, hole.y0 - 1, hole.x1 + 1, hole.y1 + 1));
    }
  }
  forest.roots.clear();
  std::fill(added.begin(), added.end(), false);
  for (int level = 254; level >= 0; level--) {
    for (int i : map.pixels[level + 1]) {
      forest.add(i, map.x_of(i), map.y_of(i), false);
      added[i] = true;
      for (int step : {1, -1, stride, -stride, stride + 1, stride - 1, -stride + 1, -stride - 1})
        if (added[i + step]) forest.join(i, i + step);
    }
    const int n = wanted[level];
    if (n < 0 || forest.current().empty()) continue;
    double found = holes[n];
    const Component *widest = nullptr;
    const auto bound = [](const Component &c) { return 2 * int64_t(c.x1 - c.x0) * (c.y1 - c.y0); };
    for (int i : forest.roots) {
      const Component &c = forest.node[i];
      found = std::max(found, map.contour_overlap(c.x0, c.y0, c.x1, c.y1));
      if (!widest || bound(c) > bound(*widest)) widest = &c;
    }
    best[n] = found;
    const Component *chosen = widest;
    int64_t area = twice_area(map, widest->first, level);
    for (int i : forest.roots) {
      const Component &c = forest.node[i];
      if (&c == widest || bound(c) < area) continue;
      const int64_t other = twice_area(map, c.first, level);
      if (other > area || (other == area && c.first > chosen->first)) chosen = &c;
      area = std::max(area, other);
    }
    largest[n] = map.contour_overlap(chosen->x0, chosen->y0, chosen->x1, chosen->y1);
  }
}
}
