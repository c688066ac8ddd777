// What this extension was built with (compiler, CUDA yes or no and why) and runs with (SIMD level, threads).
#include "build_info/build_info.hpp"
#include "common/parallel_for.hpp"
#include "common/simd.hpp"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <stdexcept>
#include <string>

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
  info["simd"] = simd_name(simd_setting());
  info["simd_of_processor"] = simd_name(simd_of_processor());
  info["threads"] = thread_setting().load();
  info["cuda_status"] = ONNXRAY_CUDA_STATUS;
#ifdef ONNXRAY_WITH_CUDA
  const CudaDevices devices = cuda_devices();
  info["cuda_compiled"] = true;
  info["cuda_architectures"] = cuda_architectures();
  info["cuda_runtime"] = devices.runtime_version;
  info["cuda_devices"] = devices.count;
  info["cuda_error"] = devices.error;
#else
  info["cuda_compiled"] = false;
  info["cuda_architectures"] = std::vector<int>{};
  info["cuda_runtime"] = 0;
  info["cuda_devices"] = 0;
  info["cuda_error"] = ONNXRAY_CUDA_STATUS;
#endif
  return info;
}

void set_threads(int threads) { thread_setting() = threads > 0 ? threads : available_cores(); }

void set_simd_named(const std::string &name) {
  for (const Simd level : {Simd::baseline, Simd::avx2, Simd::avx512}) {
    if (name == simd_name(level)) {
      return set_simd(level);
    }
  }
  throw std::invalid_argument("simd is " + name + ", expected baseline, avx2 or avx512");
}

} // namespace

void bind_build_info(py::module_ &module) {
  module.def("build_info", &build_info);
  module.def("set_threads", &set_threads, py::arg("threads"));
  module.def("set_simd", &set_simd_named, py::arg("level"));
}

} // namespace onnxray
