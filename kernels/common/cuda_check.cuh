// What every CUDA kernel needs on the host: errors as exceptions, the right device, a C++ type for a dtype.
#pragma once

#include "common/dtype.hpp"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>
#include <stdexcept>
#include <string>

namespace onnxray {

inline void cuda_check(cudaError_t status, const char *what) {
  if (status != cudaSuccess) {
    throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
  }
}

// Makes a device the current one, and puts the former back.
class DeviceGuard {
public:
  explicit DeviceGuard(int device) {
    cuda_check(cudaGetDevice(&former_), "cudaGetDevice");
    cuda_check(cudaSetDevice(device), "cudaSetDevice");
  }
  ~DeviceGuard() { cudaSetDevice(former_); }
  DeviceGuard(const DeviceGuard &) = delete;
  DeviceGuard &operator=(const DeviceGuard &) = delete;

private:
  int former_ = 0;
};

// Calls function(T{}) with the C++ type of `dtype`.
template <class Function> void with_cuda_type(Dtype dtype, const Function &function) {
  switch (dtype) {
  case Dtype::float32:
    return function(float{});
  case Dtype::float16:
    return function(__half{});
  case Dtype::bfloat16:
    return function(__nv_bfloat16{});
  }
}

} // namespace onnxray
