// Asks the CUDA runtime what it sees; also the proof that the CUDA toolchain works, whatever the machine.
#include "build_info/build_info.hpp"

#include <cuda_runtime.h>

namespace onnxray {

CudaDevices cuda_devices() {
  CudaDevices devices{0, 0, ""};
  cudaRuntimeGetVersion(&devices.runtime_version);
  const cudaError_t status = cudaGetDeviceCount(&devices.count);
  if (status != cudaSuccess) {
    devices.count = 0;
    devices.error = cudaGetErrorString(status);
  }
  return devices;
}

std::vector<int> cuda_architectures() {
  std::vector<int> found;
  for (const int number : {__CUDA_ARCH_LIST__}) { // nvcc's own word on what it was asked for, as in 750, 800
    found.push_back(number / 10);
  }
  return found;
}

} // namespace onnxray
