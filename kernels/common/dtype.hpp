// Element types of CUDA arrays, as the Python fronts name them.
#pragma once

#include <stdexcept>
#include <string>

namespace onnxray {

enum class Dtype { float32, float16, bfloat16 };

inline Dtype dtype_of(const std::string &name) {
  if (name == "float32") {
    return Dtype::float32;
  }
  if (name == "float16") {
    return Dtype::float16;
  }
  if (name == "bfloat16") {
    return Dtype::bfloat16;
  }
  throw std::invalid_argument("dtype is " + name + ", expected float32, float16 or bfloat16");
}

} // namespace onnxray
