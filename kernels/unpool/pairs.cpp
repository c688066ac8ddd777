// Rows of the output whose windows are two wide, side by side, and share no place: nearly all that networks
// have. Each place is made once, in order, from one value and its switch.
//
// For float32 a place then costs 4 bytes written and 1.25 read; clearing and scattering moves 12 and more.
// Stores of a large output go past the caches, which gains a fifth to two fifths on one thread and a
// twentieth on two.
#include "common/parallel_for.hpp"
#include "common/vector.hpp"
#include "unpool/unpool.hpp"

#include <cstring>
#include <limits>
#include <vector>

#ifdef ONNXRAY_X86
#include <immintrin.h>
#endif

namespace onnxray::unpooling {

namespace {

constexpr std::int64_t kBlockBytes = 1 << 13;  // of rows made in the first cache before they are written
constexpr std::int64_t kPieceBytes = 1 << 17;  // of rows a piece of work
constexpr std::int64_t kStreamBytes = 1 << 23; // from here the output is written past the caches

// Which row of windows an output row gets its values from, if any, and the first of the two taps in it.
struct Source {
  std::int64_t row = -1, tap = 0;
};

std::vector<Source> sources(const Geometry &geometry) {
  const Axis &y = geometry.y, &z = geometry.z;
  std::vector<Source> result(z.size * y.size);
  for (std::int64_t row = 0; row < z.size * y.size; ++row) {
    z.sources(row / y.size, [&](std::int64_t window_z, std::int64_t tap_z) {
      y.sources(row % y.size, [&](std::int64_t window_y, std::int64_t tap_y) {
        result[row] = {window_z * y.windows + window_y, (tap_z * y.kernel + tap_y) * 2};
      });
    });
  }
  return result;
}

// As wide as values. GCC 12 widens arrays in one instruction, vectors lane by lane.
template <int bytes, class T, class Tap>
ONNXRAY_INLINE typename Vector<T, bytes>::indices widened(const Tap *switches) {
  using V = Vector<T, bytes>;
  typename V::Index wide[V::lanes];
  for (int lane = 0; lane < V::lanes; ++lane) {
    wide[lane] = switches[lane];
  }
  typename V::indices result;
  std::memcpy(&result, wide, bytes);
  return result;
}

// even[0], odd[0], even[1] …: the first half of these or the second.
template <int half, class V, class Index, Index... lane>
ONNXRAY_INLINE V zip(V even, V odd, std::integer_sequence<Index, lane...>) {
  constexpr Index lanes = sizeof...(lane), first = half * lanes / 2;
#if defined(__clang__) || __GNUC__ >= 12
  return __builtin_shufflevector(even, odd, (first + lane / 2 + lane % 2 * lanes)...);
#else
  typedef Index indices __attribute__((vector_size(sizeof(V))));
  return __builtin_shuffle(even, odd, indices{(first + lane / 2 + lane % 2 * lanes)...});
#endif
}

// The last vectors reach beyond all three rows.
template <int bytes, class T, class Tap>
ONNXRAY_INLINE void make_row(const T *values, const Tap *switches, std::int64_t windows, std::int64_t tap,
                             bool relu, T *out) {
  using V = Vector<T, bytes>;
  using Values = typename V::type;
  constexpr auto lanes = std::make_integer_sequence<typename V::Index, V::lanes>();
  const auto first = static_cast<typename V::Index>(tap);
  const Values least = Values{} + (relu ? T(0) : -std::numeric_limits<T>::infinity());
  for (std::int64_t at = 0; at < windows; at += V::lanes) {
    const auto taken = widened<bytes, T>(switches + at);
    const Values given = V::load(values + at), made = given < least ? least : given; // a NaN stays
    const Values even = taken == first ? made : Values{}, odd = taken == first + 1 ? made : Values{};
    V::store(out + at * 2, zip<0>(even, odd, lanes));
    V::store(out + at * 2 + V::lanes, zip<1>(even, odd, lanes));
  }
}

#ifdef ONNXRAY_X86
template <int bytes> void stream_lines(char *to, const char *from, std::int64_t count) {
  for (std::int64_t at = 0; at < count * 64; at += 16) {
    _mm_stream_si128(reinterpret_cast<__m128i *>(to + at),
                     _mm_loadu_si128(reinterpret_cast<const __m128i *>(from + at)));
  }
}

template <>
__attribute__((target("avx512f"))) void stream_lines<64>(char *to, const char *from, std::int64_t count) {
  for (std::int64_t at = 0; at < count * 64; at += 64) {
    _mm512_stream_si512(reinterpret_cast<__m512i *>(to + at), _mm512_loadu_si512(from + at));
  }
}
#endif

// Writes past the caches: the next reader of a large output would not find its begin there.
template <int bytes> void stream(void *to, const void *from, std::int64_t size) {
#ifdef ONNXRAY_X86
  char *const out = static_cast<char *>(to);
  const char *const in = static_cast<const char *>(from);
  const std::int64_t head = std::min(size, -reinterpret_cast<std::intptr_t>(out) & 63);
  const std::int64_t lines = (size - head) / 64, tail = head + lines * 64;
  std::memcpy(out, in, head);
  stream_lines<bytes>(out + head, in + head, lines);
  std::memcpy(out + tail, in + tail, size - tail);
#else
  std::memcpy(to, from, size);
#endif
}

template <class T, class Tap> struct Work {
  const Geometry &geometry;
  const T *values;
  const Tap *switches;
  bool relu;
  T *out;
  std::vector<Source> sources; // of a plane's rows
  bool streams;
};

// Output rows from begin to end, counted over all planes.
template <class T, class Tap> struct MakeRows {
  template <int bytes>
  ONNXRAY_INLINE static void run(const Work<T, Tap> *work, std::int64_t begin, std::int64_t end) {
    const Geometry &geometry = work->geometry;
    const std::int64_t width = geometry.x.size, windows = geometry.x.windows;
    const std::int64_t plane_rows = work->sources.size();
    const std::int64_t reach = windows + Vector<T, bytes>::lanes; // no vector goes further
    const std::int64_t block = std::max<std::int64_t>(1, kBlockBytes / (width * sizeof(T)));
    std::vector<T> made(block * width + 2 * reach), last_values(reach);
    std::vector<Tap> last_switches(reach);
    std::int64_t plane = begin / plane_rows, row = begin % plane_rows;
    for (std::int64_t first = begin; first < end; first += block) {
      const std::int64_t count = std::min(block, end - first);
      T *to = made.data();
      for (std::int64_t i = 0; i < count; ++i, to += width) {
        const Source &source = work->sources[row];
        const std::int64_t seen = source.row < 0 ? 0 : std::min(width, windows * 2);
        if (seen > 0) {
          const std::int64_t at = plane * geometry.windows() + source.row * windows;
          const T *values = work->values + at;
          const Tap *switches = work->switches + at;
          if (at + reach > geometry.planes * geometry.windows()) { // beyond the arrays
            values = std::copy_n(values, windows, last_values.data()) - windows;
            switches = std::copy_n(switches, windows, last_switches.data()) - windows;
          }
          make_row<bytes>(values, switches, windows, source.tap, work->relu, to);
        }
        std::fill(to + seen, to + width, T(0));
        if (++row == plane_rows) {
          row = 0;
          ++plane;
        }
      }
      if (work->streams) {
        stream<bytes>(work->out + first * width, made.data(), count * width * sizeof(T));
      } else {
        std::memcpy(work->out + first * width, made.data(), count * width * sizeof(T));
      }
    }
#ifdef ONNXRAY_X86
    _mm_sfence(); // what was streamed is seen before the loop's end is
#endif
  }
};

} // namespace

bool in_pairs(const Geometry &geometry) {
  const Axis &x = geometry.x;
  return x.kernel == 2 && x.stride == 2 && x.dilation == 1 && x.padding == 0 && geometry.y.overlap() <= 1 &&
         geometry.z.overlap() <= 1;
}

template <class T, class Tap>
void unpool_pairs(const Geometry &geometry, const T *values, const Tap *switches, bool relu, T *out) {
  const std::int64_t row_bytes = geometry.x.size * sizeof(T);
  const Work<T, Tap> work{geometry,
                          values,
                          switches,
                          relu,
                          out,
                          sources(geometry),
                          geometry.planes * geometry.size() * std::int64_t{sizeof(T)} >= kStreamBytes};
  const std::int64_t rows =
      row_bytes > 0 ? geometry.planes * static_cast<std::int64_t>(work.sources.size()) : 0;
  parallel_for(rows, kPieceBytes / std::max<std::int64_t>(1, row_bytes),
               [&](std::int64_t begin, std::int64_t end) { simd_run<MakeRows<T, Tap>>(&work, begin, end); });
}

template void unpool_pairs(const Geometry &, const float *, const std::uint8_t *, bool, float *);
template void unpool_pairs(const Geometry &, const double *, const std::uint8_t *, bool, double *);
template void unpool_pairs(const Geometry &, const float *, const std::int32_t *, bool, float *);
template void unpool_pairs(const Geometry &, const double *, const std::int32_t *, bool, double *);

} // namespace onnxray::unpooling
