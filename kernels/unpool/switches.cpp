// Are the switches what a pooling of this geometry can have recorded? Asked before anything is written.
#include "common/parallel_for.hpp"
#include "common/simd.hpp"
#include "unpool/unpool.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <vector>

namespace onnxray::unpooling {

namespace {

constexpr std::int64_t kGrain = 1 << 15; // switches a piece of work

// The smallest result of search(begin, end), a flat index or -1, over pieces of [0, count).
template <class Search> std::int64_t first_in(std::int64_t count, std::int64_t grain, const Search &search) {
  constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();
  std::atomic<std::int64_t> first{kNone};
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t found = search(begin, end);
    std::int64_t known = first;
    while (found >= 0 && found < known && !first.compare_exchange_weak(known, found)) {
    }
  });
  return first == kNone ? -1 : first.load();
}

// The same of search(row) over the rows of all planes.
template <class Search> std::int64_t first_in_rows(const Geometry &geometry, const Search &search) {
  const std::int64_t rows = geometry.planes * geometry.z.windows * geometry.y.windows;
  return first_in(rows, kGrain / std::max<std::int64_t>(1, geometry.x.windows),
                  [&](std::int64_t begin, std::int64_t end) -> std::int64_t {
                    for (std::int64_t row = begin; row < end; ++row) {
                      const std::int64_t found = search(row);
                      if (found >= 0) {
                        return found;
                      }
                    }
                    return -1;
                  });
}

// Whether all of these lie in [0, taps).
template <class Tap> bool all_taps(const Tap *begin, const Tap *end, std::int64_t taps) {
  Tap least = 0, most = 0;
  for (const Tap *at = begin; at < end; ++at) {
    least = std::min(least, *at);
    most = std::max(most, *at);
  }
  return least >= 0 && most < taps;
}

bool holds_all(const Axis &axis) { return axis.holds(0) && axis.holds(axis.windows - 1); }

// Compares a row of windows' places with each place that these windows have in a row of the output, which
// begins at `start`, and notes the taps. Many comparisons of neighbours are faster than one division.
struct FindTaps {
  template <int bytes>
  ONNXRAY_INLINE static void run(const Axis *x, const std::int64_t *__restrict places, std::int64_t start,
                                 std::int64_t first_tap, std::int64_t *__restrict found) {
    for (std::int64_t tap = 0; tap < x->kernel; ++tap) {
      const std::int64_t offset = x->padding - tap * x->dilation; // of a window's first place from this one
      const std::int64_t begin = offset > 0 ? (offset + x->stride - 1) / x->stride : 0;
      const std::int64_t end = std::min(x->windows, (x->size - 1 + offset + x->stride) / x->stride);
      const std::int64_t known = first_tap + tap, stride = x->stride;
      for (std::int64_t window = begin; window < end; ++window) {
        found[window] = places[window] == start + window * stride - offset ? known : found[window];
      }
    }
  }
};

} // namespace

template <class Tap> std::int64_t first_invalid(const Geometry &geometry, const Tap *switches) {
  const Axis x = geometry.x, y = geometry.y, z = geometry.z;
  const std::int64_t taps = geometry.taps(), plane_windows = geometry.windows();
  const auto search = [=](std::int64_t begin, std::int64_t end) -> std::int64_t {
    for (std::int64_t at = begin; at < end; ++at) {
      if (!geometry.valid(at % plane_windows, switches[at])) {
        return at;
      }
    }
    return -1;
  };
  const bool all_hold = holds_all(x) && holds_all(y) && holds_all(z);
  // Windows between these lie in the output with all of their places.
  std::int64_t inner = 0, outer = x.windows;
  while (inner < outer && !x.holds(inner)) {
    ++inner;
  }
  while (outer > inner && !x.holds(outer - 1)) {
    --outer;
  }
  std::vector<std::array<std::int64_t, 3>> places; // of each tap, as divisions take most of the time
  for (std::int64_t tap = 0; tap < taps; ++tap) {
    const std::int64_t row = tap / x.kernel;
    places.push_back({row / y.kernel, row % y.kernel, tap % x.kernel});
  }
  const auto search_row = [&](std::int64_t row) -> std::int64_t {
    const std::int64_t start = row * x.windows, at_y = row % y.windows, at_z = row / y.windows % z.windows;
    const std::int64_t skip = y.holds(at_y) && z.holds(at_z) ? inner : outer; // to outer
    for (std::int64_t window = skip > 0 ? 0 : outer; window < x.windows;
         window = window + 1 == skip ? outer : window + 1) {
      const auto [in_z, in_y, in_x] = places[switches[start + window]];
      if (!z.has(z.place(at_z, in_z)) || !y.has(y.place(at_y, in_y)) || !x.has(x.place(window, in_x))) {
        return start + window;
      }
    }
    return -1;
  };
  const std::int64_t rows = geometry.planes * z.windows * y.windows;
  return first_in(rows, kGrain / std::max<std::int64_t>(1, x.windows),
                  [&](std::int64_t begin, std::int64_t end) -> std::int64_t {
                    if (!all_taps(switches + begin * x.windows, switches + end * x.windows, taps)) {
                      return search(begin * x.windows, end * x.windows);
                    }
                    std::int64_t found = -1;
                    for (std::int64_t row = begin; row < end && !all_hold && found < 0; ++row) {
                      found = search_row(row);
                    }
                    return found;
                  });
}

template <class Tap>
std::int64_t switches_of_places(const Geometry &geometry, const std::int64_t *places, Tap *switches) {
  const Axis x = geometry.x, y = geometry.y, z = geometry.z;
  return first_in_rows(geometry, [=](std::int64_t row) -> std::int64_t {
    const std::int64_t *const begin = places + row * x.windows;
    std::vector<std::int64_t> found(x.windows, -1);
    for (std::int64_t line = 0; line < z.kernel * y.kernel; ++line) {
      const std::int64_t at_z = z.place(row / y.windows % z.windows, line / y.kernel);
      const std::int64_t at_y = y.place(row % y.windows, line % y.kernel);
      if (z.has(at_z) && y.has(at_y)) {
        simd_run<FindTaps>(&x, begin, (at_z * y.size + at_y) * x.size, line * x.kernel, found.data());
      }
    }
    for (std::int64_t window = 0; window < x.windows; ++window) {
      if (found[window] < 0) {
        return row * x.windows + window;
      }
      switches[row * x.windows + window] = static_cast<Tap>(found[window]);
    }
    return -1;
  });
}

template std::int64_t first_invalid(const Geometry &, const std::uint8_t *);
template std::int64_t first_invalid(const Geometry &, const std::int32_t *);
template std::int64_t switches_of_places(const Geometry &, const std::int64_t *, std::uint8_t *);
template std::int64_t switches_of_places(const Geometry &, const std::int64_t *, std::int32_t *);

} // namespace onnxray::unpooling
