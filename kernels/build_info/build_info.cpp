// What this extension was built with: compiler, SIMD level, CUDA yes or no and why.
#include "build_info/build_info.hpp"
#include "common/simd.hpp"

#include <pybind11/pybind11.h>

namespace py = pybind11;

namespace onnxray {

namespace {

#if defined(__clang__)
const char *const kCompiler = "clang " __clang_version__;
#elif defined(__GNUC__)
const char *const kCompiler = "gcc " __VERSION__;
#else
const char *const kCompiler = "unknown";
#endif

py::dict build_info() {
  py::dict info;
  info["compiler"] = kCompiler;
  info["simd"] = simd_level();
  info["cuda_status"] = ONNXRAY_CUDA_STATUS;
#ifdef ONNXRAY_WITH_CUDA
  const CudaDevices devices = cuda_devices();
  info["cuda_compiled"] = true;
  info["cuda_runtime"] = devices.runtime_version;
  info["cuda_devices"] = devices.count;
  info["cuda_error"] = devices.error;
#else
  info["cuda_compiled"] = false;
  info["cuda_runtime"] = 0;
  info["cuda_devices"] = 0;
  info["cuda_error"] = ONNXRAY_CUDA_STATUS;
#endif
  return info;
}

} // namespace

void bind_build_info(py::module_ &module) { module.def("build_info", &build_info); }

} // namespace onnxray
