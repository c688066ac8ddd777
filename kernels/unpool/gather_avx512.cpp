// Rows of the output with AVX-512.
#include "common/simd.hpp"

#ifdef ONNXRAY_X86
#define ONNXRAY_TARGET __attribute__((target("avx512f,avx512dq,avx512bw,avx512vl,avx2")))
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized" // GCC 12 says so of its own header, in error
#endif
#include "unpool/gather.hpp"

namespace onnxray::unpooling {

namespace {

struct Floats {
  using Index = std::int32_t;
  using Values = __m512;
  static constexpr int count = 16;

  ONNXRAY_TARGET static Values all(float value) { return _mm512_set1_ps(value); }
  ONNXRAY_TARGET static __m512i indices(const Index *from) { return _mm512_loadu_si512(from); }
  ONNXRAY_TARGET static Values permute(Values values, __m512i lanes) {
    return _mm512_permutexvar_ps(lanes, values);
  }
  ONNXRAY_TARGET static __mmask16 mask(__m128i bytes) { return _mm_movepi8_mask(bytes); }
  ONNXRAY_TARGET static Values add(__mmask16 hit, Values values, Values sum) {
    return _mm512_mask_add_ps(sum, hit, sum, values);
  }
  ONNXRAY_TARGET static Values select(__mmask16 hit, Values values, Values sum) {
    return _mm512_mask_mov_ps(sum, hit, values);
  }
  // A NaN stays: of two operands the second is taken.
  ONNXRAY_TARGET static Values max(Values least, Values sum) { return _mm512_max_ps(least, sum); }
  ONNXRAY_TARGET static Values load(const float *from) { return _mm512_loadu_ps(from); }
  ONNXRAY_TARGET static void store(float *out, Values sum) { _mm512_storeu_ps(out, sum); }
};

struct Doubles {
  using Index = std::int64_t;
  using Values = __m512d;
  static constexpr int count = 8;

  ONNXRAY_TARGET static Values all(double value) { return _mm512_set1_pd(value); }
  ONNXRAY_TARGET static __m512i indices(const Index *from) { return _mm512_loadu_si512(from); }
  ONNXRAY_TARGET static Values permute(Values values, __m512i lanes) {
    return _mm512_permutexvar_pd(lanes, values);
  }
  ONNXRAY_TARGET static __mmask8 mask(__m128i bytes) { return _mm_movepi8_mask(bytes); }
  ONNXRAY_TARGET static Values add(__mmask8 hit, Values values, Values sum) {
    return _mm512_mask_add_pd(sum, hit, sum, values);
  }
  ONNXRAY_TARGET static Values select(__mmask8 hit, Values values, Values sum) {
    return _mm512_mask_mov_pd(sum, hit, values);
  }
  ONNXRAY_TARGET static Values max(Values least, Values sum) { return _mm512_max_pd(least, sum); }
  ONNXRAY_TARGET static Values load(const double *from) { return _mm512_loadu_pd(from); }
  ONNXRAY_TARGET static void store(double *out, Values sum) { _mm512_storeu_pd(out, sum); }
};

} // namespace

template <> void gather_avx512(const Gather<float> &work) { gather<Floats>(work); }
template <> void gather_avx512(const Gather<double> &work) { gather<Doubles>(work); }

} // namespace onnxray::unpooling
#endif
