// Max unpooling: every value goes back to the place in its window where a max pooling found it.
//
// A switch is that place, numbered row after row inside the window. Arrays are [planes, z, y, x]; fewer
// spatial axes have leading ones of size 1.
#pragma once

#include "common/dtype.hpp"

#include <algorithm>
#include <cstdint>

#ifdef __CUDACC__
#define ONNXRAY_BOTH __host__ __device__
#else
#define ONNXRAY_BOTH
#endif

namespace onnxray::unpooling {

struct Axis {
  std::int64_t size, windows, kernel, stride, padding, dilation;

  ONNXRAY_BOTH std::int64_t place(std::int64_t window, std::int64_t tap) const {
    return window * stride - padding + tap * dilation;
  }
  ONNXRAY_BOTH bool has(std::int64_t place) const { return 0 <= place && place < size; }
  ONNXRAY_BOTH bool holds(std::int64_t window) const {
    return has(place(window, 0)) && has(place(window, kernel - 1));
  }

  // How many windows see one place at most.
  std::int64_t overlap() const { return std::min(windows, (kernel - 1) * dilation / stride + 1); }

  // Calls visit(window, tap) for every window that sees a place, in order.
  template <class Visit> ONNXRAY_BOTH void sources(std::int64_t place, const Visit &visit) const {
    const std::int64_t at = place + padding, reach = (kernel - 1) * dilation;
    const std::int64_t last = at / stride < windows ? at / stride : windows - 1;
    for (std::int64_t window = at > reach ? (at - reach + stride - 1) / stride : 0; window <= last;
         ++window) {
      const std::int64_t offset = at - window * stride;
      if (offset % dilation == 0) {
        visit(window, offset / dilation);
      }
    }
  }
};

struct Geometry {
  std::int64_t planes;
  Axis z, y, x;

  ONNXRAY_BOTH std::int64_t size() const { return z.size * y.size * x.size; }
  ONNXRAY_BOTH std::int64_t windows() const { return z.windows * y.windows * x.windows; }
  ONNXRAY_BOTH std::int64_t taps() const { return z.kernel * y.kernel * x.kernel; }
  // A window's first place, flat in the plane; below 0 in the padding.
  ONNXRAY_BOTH std::int64_t origin(std::int64_t window) const {
    const std::int64_t row = window / x.windows;
    return (z.place(row / y.windows, 0) * y.size + y.place(row % y.windows, 0)) * x.size +
           x.place(window % x.windows, 0);
  }
  // How far a tap is from there.
  ONNXRAY_BOTH std::int64_t step(std::int64_t tap) const {
    const std::int64_t row = tap / x.kernel;
    return (row / y.kernel * z.dilation * y.size + row % y.kernel * y.dilation) * x.size +
           tap % x.kernel * x.dilation;
  }
  ONNXRAY_BOTH bool valid(std::int64_t window, std::int64_t tap) const {
    const std::int64_t row = window / x.windows, tap_row = tap / x.kernel;
    return 0 <= tap && tap < taps() && z.has(z.place(row / y.windows, tap_row / y.kernel)) &&
           y.has(y.place(row % y.windows, tap_row % y.kernel)) &&
           x.has(x.place(window % x.windows, tap % x.kernel));
  }
};

// What becomes of the values: where windows overlap they are added, or the last one stays; then a ReLU.
struct Mode {
  bool overwrite, relu;
};

// The first switch that is none of its window's places inside the output, or -1.
template <class Tap> std::int64_t first_invalid(const Geometry &geometry, const Tap *switches);
// Places that are numbered flat in the plane become switches; returns the first that its window has not, or
// -1.
template <class Tap>
std::int64_t switches_of_places(const Geometry &geometry, const std::int64_t *places, Tap *switches);

// Whether the windows of a row are two wide, side by side, and no two windows share a place.
bool in_pairs(const Geometry &geometry);
// The output for such windows, made by vectors; the switches are valid.
template <class T, class Tap>
void unpool_pairs(const Geometry &geometry, const T *values, const Tap *switches, bool relu, T *out);

// On CUDA: all pointers are the device's; tap_bytes is 1 or 4, of a switch; `first` gets the smaller of what
// it holds and the index of the first switch that is wrong.
namespace cuda {
struct Place {
  int device;
  std::uintptr_t stream;
};
void unpool(Place place, const Geometry &geometry, Mode mode, Dtype dtype, int tap_bytes, const void *values,
            const void *switches, void *out);
void values_at(Place place, const Geometry &geometry, Dtype dtype, int tap_bytes, const void *from,
               const void *switches, void *values);
void first_invalid(Place place, const Geometry &geometry, int tap_bytes, const void *switches,
                   std::int64_t *first);
void switches_of_places(Place place, const Geometry &geometry, int tap_bytes, const std::int64_t *places,
                        void *switches, std::int64_t *first);
} // namespace cuda

} // namespace onnxray::unpooling
