// Rows of the output, each place made once from the windows that see it: reads and writes are contiguous.
//
// Included once a level of vector instructions by a file that defines ONNXRAY_TARGET, the attribute that all
// functions here need, and `Lanes`: the vector of T and what it can do.
#pragma once

#include "common/parallel_for.hpp"
#include "unpool/unpool.hpp"

#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include <immintrin.h>

namespace onnxray::unpooling {

namespace {

constexpr std::int64_t kBlockBytes = 1 << 14;  // of rows made in the first cache before they are written
constexpr std::int64_t kPieceBytes = 1 << 17;  // of rows a piece of work
constexpr std::int64_t kStreamBytes = 1 << 23; // from here the output is written past the caches

// How vectors of an output row are made from a pooled row. A vector that begins at the same place of the
// stride as another needs the same permutation and sees the same taps: such vectors are a group.
template <class Lanes> struct Pattern {
  using Index = typename Lanes::Index;

  explicit Pattern(const Axis &x)
      : width(x.size), groups(x.stride / std::gcd(x.stride, Lanes::count)),
        advance(groups * Lanes::count / x.stride), shifts((x.kernel - 1) * x.dilation / x.stride + 1),
        byte_lanes(groups), taps(groups * shifts), seen(groups * shifts) {
    for (std::int64_t group = 0; group < groups; ++group) {
      const std::int64_t at = x.padding + group * Lanes::count, phase = at % x.stride;
      windows.push_back(at / x.stride);
      needed.push_back((phase + Lanes::count - 1) / x.stride + 1);
      for (int lane = 0; lane < Lanes::count; ++lane) {
        lanes.push_back(static_cast<Index>((phase + lane) / x.stride));
        byte_lanes[group].byte[lane] = static_cast<std::uint8_t>(lanes.back());
      }
      for (std::int64_t shift = 0; shift < shifts; ++shift) {
        for (int lane = 0; lane < Lanes::count; ++lane) {
          const std::int64_t offset = (phase + lane) % x.stride + shift * x.stride, tap = offset / x.dilation;
          const bool sees = offset % x.dilation == 0 && tap < x.kernel;
          taps[group * shifts + shift].byte[lane] = static_cast<std::uint8_t>(tap);
          seen[group * shifts + shift].byte[lane] = sees ? 0xff : 0;
        }
      }
    }
  }

  struct alignas(16) Bytes {
    std::uint8_t byte[16] = {};
  };
  const std::int64_t width; // of the output row
  const std::int64_t groups;
  const std::int64_t advance;        // windows from one vector of a group to the next
  const std::int64_t shifts;         // how many windows of a row see a place at most
  std::vector<std::int64_t> windows; // of each group: the last that sees the first vector's first place
  std::vector<std::int64_t> needed;  // of each group: how many pooled values a vector is made from
  std::vector<Index> lanes;          // of each group: the pooled values' lanes, counted from that window's
  std::vector<Bytes> byte_lanes;     // the same for switches
  std::vector<Bytes> taps,
      seen; // of each group and shift: the tap that the window, so many before, has there
};

// The pooled rows of a plane that each of its output rows gets values from, in order.
struct Rows {
  struct Source {
    std::int64_t row, first_tap; // of the taps that lie in the output row
  };

  explicit Rows(const Geometry &geometry) {
    const Axis &y = geometry.y, &z = geometry.z;
    for (std::int64_t row = 0; row < z.size * y.size; ++row) {
      begin.push_back(sources.size());
      z.sources(row / y.size, [&](std::int64_t window_z, std::int64_t tap_z) {
        y.sources(row % y.size, [&](std::int64_t window_y, std::int64_t tap_y) {
          sources.push_back(
              {window_z * y.windows + window_y, (tap_z * y.kernel + tap_y) * geometry.x.kernel});
        });
      });
    }
    begin.push_back(sources.size());
  }

  std::vector<std::size_t> begin; // of each output row's sources
  std::vector<Source> sources;
};

ONNXRAY_TARGET inline __m128i load_bytes(const void *from) {
  return _mm_loadu_si128(static_cast<const __m128i *>(from));
}

// What one pooled row gives to an output row through the windows `shift` before the last that see each place.
// readable: elements from the row's begin to the array's end. first: out holds nothing yet.
template <bool first, bool overwrite, class Lanes, class T>
ONNXRAY_TARGET void add_row(const Pattern<Lanes> &pattern, std::int64_t windows, std::int64_t readable,
                            const T *pooled, const std::uint8_t *taken, std::int64_t first_tap,
                            std::int64_t shift, bool relu, T *out) {
  const T *const end = out + pattern.width;
  const auto least = Lanes::all(relu ? 0 : -std::numeric_limits<T>::infinity());
  for (std::int64_t group = 0; group < pattern.groups; ++group) {
    const auto lanes = Lanes::indices(pattern.lanes.data() + group * Lanes::count);
    const __m128i byte_lanes = load_bytes(&pattern.byte_lanes[group]);
    const __m128i taps = load_bytes(&pattern.taps[group * pattern.shifts + shift]);
    const __m128i seen = load_bytes(&pattern.seen[group * pattern.shifts + shift]);
    const __m128i wanted = _mm_add_epi8(taps, _mm_set1_epi8(static_cast<char>(first_tap)));
    const std::int64_t step = pattern.groups * Lanes::count, advance = pattern.advance;
    const std::int64_t last = std::min(windows - pattern.needed[group], readable - 16);
    std::int64_t from = pattern.windows[group] - shift;
    for (T *to = out + group * Lanes::count; to < end; to += step, from += advance) {
      typename Lanes::Values values;
      __m128i switches, visible = seen;
      if (from >= 0 && from <= last) {
        values = Lanes::load(pooled + from);
        switches = load_bytes(taken + from);
      } else { // some lanes lie beyond the row
        T inside[Lanes::count] = {};
        std::uint8_t bytes[16] = {}, known[16] = {};
        const std::int64_t stop = std::min<std::int64_t>(Lanes::count, windows - from);
        for (std::int64_t lane = std::max<std::int64_t>(0, -from); lane < stop; ++lane) {
          inside[lane] = pooled[from + lane];
          bytes[lane] = taken[from + lane];
          known[lane] = 0xff;
        }
        values = Lanes::load(inside);
        switches = load_bytes(bytes);
        visible = _mm_and_si128(seen, _mm_shuffle_epi8(load_bytes(known), byte_lanes));
      }
      const __m128i equal = _mm_cmpeq_epi8(_mm_shuffle_epi8(switches, byte_lanes), wanted);
      const auto hit = Lanes::mask(_mm_and_si128(equal, visible));
      const auto placed = Lanes::permute(values, lanes);
      const auto sum = first ? Lanes::all(0) : Lanes::load(to);
      const auto made = overwrite ? Lanes::select(hit, placed, sum) : Lanes::add(hit, placed, sum);
      Lanes::store(to, Lanes::max(least, made));
    }
  }
}

template <class Lanes, class T>
void gather_row(const Pattern<Lanes> &pattern, const Rows &rows, const Gather<T> &work, std::int64_t plane,
                std::int64_t row, T *out) {
  const Geometry &geometry = *work.geometry;
  const std::size_t begin = rows.begin[row], end = rows.begin[row + 1];
  if (begin == end) {
    std::fill(out, out + geometry.x.size, T(0));
  }
  for (std::size_t i = begin; i < end; ++i) {
    const std::int64_t at = plane * geometry.windows() + rows.sources[i].row * geometry.x.windows;
    const std::int64_t readable = geometry.planes * geometry.windows() - at;
    for (std::int64_t shift = pattern.shifts - 1; shift >= 0; --shift) {
      const bool first = i == begin && shift == pattern.shifts - 1, last = i + 1 == end && shift == 0;
      const auto add = work.mode.overwrite
                           ? (first ? add_row<true, true, Lanes, T> : add_row<false, true, Lanes, T>)
                           : (first ? add_row<true, false, Lanes, T> : add_row<false, false, Lanes, T>);
      add(pattern, geometry.x.windows, readable, work.values + at, work.switches + at,
          rows.sources[i].first_tap, shift, work.mode.relu && last, out);
    }
  }
}

inline void copy(void *to, const void *from, std::int64_t bytes) { std::memcpy(to, from, bytes); }

// The next reader of a large output would not find it in the caches: it need not go through them.
inline void stream(void *to, const void *from, std::int64_t bytes) {
  char *out = static_cast<char *>(to);
  const char *in = static_cast<const char *>(from);
  const std::int64_t head = std::min(bytes, -reinterpret_cast<std::intptr_t>(out) & 63);
  std::memcpy(out, in, head);
  std::int64_t done = head;
  for (; done + 64 <= bytes; done += 64) {
    for (std::int64_t part = done; part < done + 64; part += 16) {
      _mm_stream_si128(reinterpret_cast<__m128i *>(out + part),
                       _mm_loadu_si128(reinterpret_cast<const __m128i *>(in + part)));
    }
  }
  std::memcpy(out + done, in + done, bytes - done);
}

template <class Lanes, class T> void gather(const Gather<T> &work) {
  const Pattern<Lanes> pattern(work.geometry->x);
  const Rows rows(*work.geometry);
  const std::int64_t plane_rows = rows.begin.size() - 1, count = work.geometry->planes * plane_rows;
  const std::int64_t width = work.geometry->x.size, row_bytes = width * sizeof(T);
  const auto write = count * row_bytes >= kStreamBytes ? stream : copy;
  const std::int64_t block = std::max<std::int64_t>(1, kBlockBytes / row_bytes);
  parallel_for(
      count, std::max<std::int64_t>(1, kPieceBytes / row_bytes), [&](std::int64_t begin, std::int64_t end) {
        std::vector<T> made(block * width + Lanes::count); // a row's last vector reaches into the next
        std::int64_t plane = begin / plane_rows, row = begin % plane_rows;
        for (std::int64_t first = begin; first < end; first += block) {
          const std::int64_t size = std::min(block, end - first);
          for (std::int64_t i = 0; i < size; ++i) {
            gather_row(pattern, rows, work, plane, row, made.data() + i * width);
            if (++row == plane_rows) {
              row = 0;
              ++plane;
            }
          }
          write(work.out + first * width, made.data(), size * row_bytes);
        }
        _mm_sfence(); // what was streamed is seen before the loop's end is
      });
}

} // namespace

} // namespace onnxray::unpooling
