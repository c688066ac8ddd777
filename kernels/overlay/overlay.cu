// overlay on CUDA: a thread a number of the output, neighbours in memory by neighbouring threads.
#include "common/cuda_check.cuh"
#include "overlay/overlay.hpp"

#include <algorithm>

namespace onnxray {

namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMostBlocks = 1 << 20; // each then takes several numbers

template <class T>
__global__ void overlay_kernel(const T *background, const T *patches, const std::int64_t *places, T *out,
                               OverlaySizes sizes, T fill) {
  const std::int64_t total = sizes.count * sizes.window_rows * sizes.window_columns * sizes.channels;
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = blockIdx.x * static_cast<std::int64_t>(blockDim.x) + threadIdx.x; i < total;
       i += step) {
    const std::int64_t channel = i % sizes.channels, place = i / sizes.channels;
    const std::int64_t column = place % sizes.window_columns, line = place / sizes.window_columns;
    const std::int64_t row = line % sizes.window_rows, position = line / sizes.window_rows;
    const std::int64_t *at = places + 4 * position;
    const std::int64_t y = at[2] + row, x = at[3] + column;
    const std::int64_t patch_y = y - at[0], patch_x = x - at[1];
    if (patch_y >= 0 && patch_y < sizes.patch_rows && patch_x >= 0 && patch_x < sizes.patch_columns) {
      const std::int64_t patch_line = position * sizes.patch_rows + patch_y;
      out[i] = patches[(patch_line * sizes.patch_columns + patch_x) * sizes.channels + channel];
    } else if (y >= 0 && y < sizes.rows && x >= 0 && x < sizes.columns) {
      out[i] = background[(y * sizes.columns + x) * sizes.channels + channel];
    } else {
      out[i] = fill;
    }
  }
}

} // namespace

void overlay_on_device(const void *background, const void *patches, const std::int64_t *places, void *out,
                       const OverlaySizes &sizes, double fill, Dtype dtype, int device,
                       std::uintptr_t stream) {
  const std::int64_t total = sizes.count * sizes.window_rows * sizes.window_columns * sizes.channels;
  if (total == 0) {
    return;
  }
  const DeviceGuard guard(device);
  const auto blocks = static_cast<unsigned>(std::min((total + kThreads - 1) / kThreads, kMostBlocks));
  with_cuda_type(dtype, [&](auto type) {
    using T = decltype(type);
    overlay_kernel<T><<<blocks, kThreads, 0, reinterpret_cast<cudaStream_t>(stream)>>>(
        static_cast<const T *>(background), static_cast<const T *>(patches), places, static_cast<T *>(out),
        sizes, static_cast<T>(static_cast<float>(fill)));
  });
  cuda_check(cudaGetLastError(), "overlay");
}

} // namespace onnxray
