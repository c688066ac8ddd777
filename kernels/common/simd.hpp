// Which vector instructions this processor has, asked at run time so that one wheel runs everywhere.
#pragma once

namespace onnxray {

inline const char *simd_level() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) {
    return "avx512";
  }
  if (__builtin_cpu_supports("avx2")) {
    return "avx2";
  }
#endif
  return "baseline";
}

} // namespace onnxray
