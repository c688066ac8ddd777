// The extension's table of contents: one line a kernel.
#include <pybind11/pybind11.h>

namespace onnxray {
void bind_build_info(pybind11::module_ &module);
void bind_depthwise(pybind11::module_ &module);
void bind_gram(pybind11::module_ &module);
void bind_overlay(pybind11::module_ &module);
void bind_unpool(pybind11::module_ &module);
void bind_winograd(pybind11::module_ &module);
} // namespace onnxray

PYBIND11_MODULE(_native, module) {
  module.doc() = "onnxray's compiled kernels; use them through onnxray.kernels.";
  onnxray::bind_build_info(module);
  onnxray::bind_depthwise(module);
  onnxray::bind_gram(module);
  onnxray::bind_overlay(module);
  onnxray::bind_unpool(module);
  onnxray::bind_winograd(module);
}
