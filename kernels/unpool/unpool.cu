// Max unpooling on CUDA: a thread makes each place of the output from the windows that see it, so that every
// place is written once, in order and without atomics.
#include "common/cuda_check.cuh"
#include "unpool/unpool.hpp"

#include <limits>

namespace onnxray::unpooling::cuda {

namespace {

constexpr int kColumns = 32, kRows = 8; // of a block
constexpr int kThreads = kColumns * kRows;
constexpr std::int64_t kMostBlocks = 1 << 20,
                       kMostPlanes = 65535; // of a grid; the threads loop over the rest

// An axis in 32 bits, as a division in 64 takes far longer. Flat indices have 64.
struct Line {
  int size, windows, kernel, stride, padding, dilation;

  explicit Line(const Axis &axis) {
    for (const std::int64_t number :
         {axis.size + axis.padding + axis.stride + (axis.kernel - 1) * axis.dilation,
          axis.windows * axis.stride}) {
      if (number > std::numeric_limits<int>::max()) {
        throw std::invalid_argument(
            "an axis is longer than 2^31 - 1, which is more than the CUDA kernel takes");
      }
    }
    size = static_cast<int>(axis.size), windows = static_cast<int>(axis.windows);
    kernel = static_cast<int>(axis.kernel), stride = static_cast<int>(axis.stride);
    padding = static_cast<int>(axis.padding), dilation = static_cast<int>(axis.dilation);
  }
};

// The windows that reach over a place; with dilation they need not see it.
struct Reach {
  int at, first, last;

  // Stride: the line's, where the compiler shall know it, else 0.
  template <int Stride> __device__ static Reach of(const Line &line, int place) {
    const int stride = Stride ? Stride : line.stride, at = place + line.padding;
    const int before = at - (line.kernel - 1) * line.dilation; // of the earliest window
    return {at, before > 0 ? (before + stride - 1) / stride : 0, min(at / stride, line.windows - 1)};
  }
  // Which tap of the window is at the place, or -1.
  __device__ int tap(const Line &line, int window) const {
    const int offset = at - window * line.stride;
    return line.dilation == 1 ? offset : offset % line.dilation == 0 ? offset / line.dilation : -1;
  }
};

template <int Stride, class T, class Tap>
__global__ void unpool_kernel(std::int64_t planes, Line z, Line y, Line x, Mode mode, const T *values,
                              const Tap *switches, T *out) {
  const int rows = z.size * y.size;
  for (std::int64_t plane = blockIdx.y; plane < planes; plane += gridDim.y) {
    for (int row = blockIdx.x * kRows + threadIdx.y; row < rows; row += gridDim.x * kRows) {
      const Reach in_z = Reach::of<0>(z, row / y.size), in_y = Reach::of<0>(y, row % y.size);
      for (int column = threadIdx.x; column < x.size; column += kColumns) {
        const Reach in_x = Reach::of<Stride>(x, column);
        float sum = 0;
        for (int window_z = in_z.first; window_z <= in_z.last; ++window_z) {
          for (int window_y = in_y.first; window_y <= in_y.last; ++window_y) {
            const int tap_z = in_z.tap(z, window_z), tap_y = in_y.tap(y, window_y);
            const std::int64_t start = ((plane * z.windows + window_z) * y.windows + window_y) * x.windows;
            for (int window_x = in_x.first; window_x <= in_x.last; ++window_x) {
              const int tap_x = in_x.tap(x, window_x);
              const bool sees = tap_z >= 0 && tap_y >= 0 && tap_x >= 0;
              if (sees && switches[start + window_x] == (tap_z * y.kernel + tap_y) * x.kernel + tap_x) {
                const float value = static_cast<float>(values[start + window_x]);
                sum = mode.overwrite ? value : sum + value;
              }
            }
          }
        }
        out[(plane * rows + row) * x.size + column] = static_cast<T>(mode.relu && sum < 0 ? 0.0f : sum);
      }
    }
  }
}

// Calls visit(i) for all i below count, on all threads of the grid.
template <class Visit> __device__ void for_all(std::int64_t count, const Visit &visit) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < count;
       i += step) {
    visit(i);
  }
}

template <class T, class Tap>
__global__ void values_at_kernel(Geometry geometry, const T *from, const Tap *switches, T *values) {
  const std::int64_t windows = geometry.windows();
  for_all(geometry.planes * windows, [&](std::int64_t i) {
    const std::int64_t place = geometry.origin(i % windows) + geometry.step(switches[i]);
    values[i] = from[i / windows * geometry.size() + place];
  });
}

template <class Tap>
__global__ void first_invalid_kernel(Geometry geometry, const Tap *switches, long long *first) {
  const std::int64_t windows = geometry.windows();
  for_all(geometry.planes * windows, [&](std::int64_t i) {
    if (!geometry.valid(i % windows, switches[i])) {
      atomicMin(first, static_cast<long long>(i));
    }
  });
}

// Which tap of a window is at a place, or -1.
__device__ std::int64_t tap_at(const Axis &axis, std::int64_t window, std::int64_t place) {
  const std::int64_t offset = place - axis.place(window, 0), tap = offset / axis.dilation;
  return offset >= 0 && offset % axis.dilation == 0 && tap < axis.kernel ? tap : -1;
}

template <class Tap>
__global__ void switches_of_places_kernel(Geometry geometry, const std::int64_t *places, Tap *switches,
                                          long long *first) {
  const Axis x = geometry.x, y = geometry.y, z = geometry.z;
  const std::int64_t windows = geometry.windows();
  for_all(geometry.planes * windows, [&](std::int64_t i) {
    const std::int64_t place = places[i], window = i % windows, row = window / x.windows;
    const bool inside = 0 <= place && place < geometry.size();
    const std::int64_t place_row = inside ? place / x.size : 0;
    const std::int64_t tap_z = tap_at(z, row / y.windows, place_row / y.size);
    const std::int64_t tap_y = tap_at(y, row % y.windows, place_row % y.size);
    const std::int64_t tap_x = tap_at(x, window % x.windows, inside ? place % x.size : 0);
    if (!inside || tap_z < 0 || tap_y < 0 || tap_x < 0) {
      atomicMin(first, static_cast<long long>(i));
    } else {
      switches[i] = static_cast<Tap>((tap_z * y.kernel + tap_y) * x.kernel + tap_x);
    }
  });
}

// Calls launch(Tap{}) with the type of a switch, on the device; there must be something to do.
template <class Launch> void on_device(Place place, int tap_bytes, const char *what, const Launch &launch) {
  const DeviceGuard guard(place.device);
  if (tap_bytes == 1) {
    launch(std::uint8_t{});
  } else {
    launch(std::int32_t{});
  }
  cuda_check(cudaGetLastError(), what);
}

unsigned blocks(std::int64_t count, std::int64_t each) {
  return static_cast<unsigned>(std::min((count + each - 1) / each, kMostBlocks));
}

cudaStream_t stream_of(Place place) { return reinterpret_cast<cudaStream_t>(place.stream); }

template <int Stride, class T, class Tap>
void launch_unpool(Place place, const Geometry &geometry, Mode mode, const T *values, const Tap *switches,
                   T *out) {
  const dim3 grid(blocks(geometry.z.size * geometry.y.size, kRows),
                  static_cast<unsigned>(std::min(geometry.planes, kMostPlanes)));
  unpool_kernel<Stride><<<grid, dim3(kColumns, kRows), 0, stream_of(place)>>>(
      geometry.planes, Line(geometry.z), Line(geometry.y), Line(geometry.x), mode, values, switches, out);
}

} // namespace

void unpool(Place place, const Geometry &geometry, Mode mode, Dtype dtype, int tap_bytes, const void *values,
            const void *switches, void *out) {
  if (geometry.planes * geometry.size() == 0) {
    return;
  }
  if (geometry.z.size * geometry.y.size > std::numeric_limits<int>::max() - kMostBlocks * kRows) {
    throw std::invalid_argument("a plane has too many rows for the CUDA kernel: split it");
  }
  on_device(place, tap_bytes, "unpool", [&](auto tap) {
    const auto *taps = static_cast<const decltype(tap) *>(switches);
    with_cuda_type(dtype, [&](auto type) {
      using T = decltype(type);
      const auto *from = static_cast<const T *>(values);
      switch (geometry.x.stride) {
      case 1:
        return launch_unpool<1>(place, geometry, mode, from, taps, static_cast<T *>(out));
      case 2:
        return launch_unpool<2>(place, geometry, mode, from, taps, static_cast<T *>(out));
      case 3:
        return launch_unpool<3>(place, geometry, mode, from, taps, static_cast<T *>(out));
      default:
        return launch_unpool<0>(place, geometry, mode, from, taps, static_cast<T *>(out));
      }
    });
  });
}

void values_at(Place place, const Geometry &geometry, Dtype dtype, int tap_bytes, const void *from,
               const void *switches, void *values) {
  const std::int64_t count = geometry.planes * geometry.windows();
  if (count == 0) {
    return;
  }
  on_device(place, tap_bytes, "values_at", [&](auto tap) {
    const auto *taps = static_cast<const decltype(tap) *>(switches);
    with_cuda_type(dtype, [&](auto type) {
      using T = decltype(type);
      values_at_kernel<<<blocks(count, kThreads), kThreads, 0, stream_of(place)>>>(
          geometry, static_cast<const T *>(from), taps, static_cast<T *>(values));
    });
  });
}

void first_invalid(Place place, const Geometry &geometry, int tap_bytes, const void *switches,
                   std::int64_t *first) {
  const std::int64_t count = geometry.planes * geometry.windows();
  if (count == 0) {
    return;
  }
  on_device(place, tap_bytes, "first_invalid", [&](auto tap) {
    first_invalid_kernel<<<blocks(count, kThreads), kThreads, 0, stream_of(place)>>>(
        geometry, static_cast<const decltype(tap) *>(switches), reinterpret_cast<long long *>(first));
  });
}

void switches_of_places(Place place, const Geometry &geometry, int tap_bytes, const std::int64_t *places,
                        void *switches, std::int64_t *first) {
  const std::int64_t count = geometry.planes * geometry.windows();
  if (count == 0) {
    return;
  }
  on_device(place, tap_bytes, "switches_of_places", [&](auto tap) {
    switches_of_places_kernel<<<blocks(count, kThreads), kThreads, 0, stream_of(place)>>>(
        geometry, places, static_cast<decltype(tap) *>(switches), reinterpret_cast<long long *>(first));
  });
}

} // namespace onnxray::unpooling::cuda
