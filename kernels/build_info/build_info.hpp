#pragma once

#include <vector>

namespace onnxray {

struct CudaDevices {
  int count;           // devices the driver offers; 0 when there is none
  int runtime_version; // 1000 * major + 10 * minor
  const char *error;   // why count is 0, or ""
};

CudaDevices cuda_devices();

// Architectures that the kernels were compiled for: 10 * major + minor.
std::vector<int> cuda_architectures();

} // namespace onnxray
