// Vector instructions, chosen at run time so that one wheel runs everywhere.
//
// A kernel's inner loops are written once, as a struct with
//
//     template <int bytes> ONNXRAY_INLINE static void run(ARGUMENTS);   // bytes: of a vector register
//
// and called with simd_run<Kernel>(arguments), which compiles them once a level and runs the best one. What
// `run` calls must be ONNXRAY_INLINE too (or a lambda that is), or it is compiled for the baseline only.
#pragma once

#include <algorithm>
#include <atomic>

#if defined(__GNUC__) && defined(__x86_64__)
#define ONNXRAY_X86 1
#endif

#if defined(__GNUC__)
#define ONNXRAY_INLINE inline __attribute__((always_inline))
#define ONNXRAY_INLINE_LAMBDA __attribute__((always_inline)) // after a lambda's parameters
#define ONNXRAY_PREFETCH(address) __builtin_prefetch(address)
#else
#define ONNXRAY_PREFETCH(address)
#define ONNXRAY_INLINE inline
#define ONNXRAY_INLINE_LAMBDA
#endif

namespace onnxray {

enum class Simd { baseline, avx2, avx512 };

inline Simd simd_of_processor() {
#ifdef ONNXRAY_X86
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")) {
    return Simd::avx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    return Simd::avx2;
  }
#endif
  return Simd::baseline;
}

// The level in use: the processor's best, unless a test lowered it.
inline std::atomic<Simd> &simd_setting() {
  static std::atomic<Simd> level{simd_of_processor()};
  return level;
}

inline void set_simd(Simd level) { simd_setting() = std::min(level, simd_of_processor()); }

inline const char *simd_name(Simd level) {
  return level == Simd::avx512 ? "avx512" : level == Simd::avx2 ? "avx2" : "baseline";
}

#ifdef ONNXRAY_X86
template <class Kernel, class... Arguments>
__attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma"))) void
simd_run_avx512(Arguments... values) {
  Kernel::template run<64>(values...);
}

template <class Kernel, class... Arguments>
__attribute__((target("avx2,fma"))) void simd_run_avx2(Arguments... values) {
  Kernel::template run<32>(values...);
}
#endif

template <class Kernel, class... Arguments> void simd_run(Arguments... values) {
#ifdef ONNXRAY_X86
  switch (simd_setting().load(std::memory_order_relaxed)) {
  case Simd::avx512:
    return simd_run_avx512<Kernel>(values...);
  case Simd::avx2:
    return simd_run_avx2<Kernel>(values...);
  case Simd::baseline:
    break;
  }
#endif
  Kernel::template run<16>(values...);
}

} // namespace onnxray
