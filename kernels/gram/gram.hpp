#pragma once

#include "common/dtype.hpp"

#include <cstdint>

namespace onnxray {

struct GramShape {
  std::int64_t images, channels, length; // x: [images, channels, length]
};

// What gram_cuda needs beside its arrays: float32 elements of workspace.
std::int64_t gram_cuda_workspace(GramShape shape);

// out[n, i, j] = scale * sum over k of x[n, i, k] x[n, j, k], on a stream of the device.
void gram_cuda(Dtype dtype, const void *x, void *out, float *workspace, GramShape shape, float scale,
               int device, void *stream);

} // namespace onnxray
