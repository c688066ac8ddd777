// overlay: windows of a feature map with patches laid over it.
#pragma once

#include "common/dtype.hpp"

#include <cstdint>

namespace onnxray {

struct OverlaySizes {
  std::int64_t rows, columns, channels; // of the background
  std::int64_t count, patch_rows, patch_columns;
  std::int64_t window_rows, window_columns;
};

// `places`: of every position the patch's first row and column, and the window's.
void overlay_on_device(const void *background, const void *patches, const std::int64_t *places, void *out,
                       const OverlaySizes &sizes, double fill, Dtype dtype, int device,
                       std::uintptr_t stream);

} // namespace onnxray
