// Rows of the output with AVX2.
#include "common/simd.hpp"

#ifdef ONNXRAY_X86
#define ONNXRAY_TARGET __attribute__((target("avx2")))
#include "unpool/gather.hpp"

namespace onnxray::unpooling {

namespace {

struct Floats {
  using Index = std::int32_t;
  using Values = __m256;
  static constexpr int count = 8;

  ONNXRAY_TARGET static Values all(float value) { return _mm256_set1_ps(value); }
  ONNXRAY_TARGET static __m256i indices(const Index *from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
  }
  ONNXRAY_TARGET static Values permute(Values values, __m256i lanes) {
    return _mm256_permutevar8x32_ps(values, lanes);
  }
  ONNXRAY_TARGET static Values mask(__m128i bytes) {
    return _mm256_castsi256_ps(_mm256_cvtepi8_epi32(bytes));
  }
  ONNXRAY_TARGET static Values add(Values hit, Values values, Values sum) {
    return _mm256_add_ps(sum, _mm256_and_ps(hit, values));
  }
  ONNXRAY_TARGET static Values select(Values hit, Values values, Values sum) {
    return _mm256_blendv_ps(sum, values, hit);
  }
  // A NaN stays: of two operands the second is taken.
  ONNXRAY_TARGET static Values max(Values least, Values sum) { return _mm256_max_ps(least, sum); }
  ONNXRAY_TARGET static Values load(const float *from) { return _mm256_loadu_ps(from); }
  ONNXRAY_TARGET static void store(float *out, Values sum) { _mm256_storeu_ps(out, sum); }
};

struct Doubles {
  using Index = std::int64_t;
  using Values = __m256d;
  static constexpr int count = 4;

  ONNXRAY_TARGET static Values all(double value) { return _mm256_set1_pd(value); }
  ONNXRAY_TARGET static __m256i indices(const Index *from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
  }
  ONNXRAY_TARGET static Values permute(Values values, __m256i lanes) {
    return _mm256_castsi256_pd(permute(_mm256_castpd_si256(values), lanes));
  }
  // AVX2 permutes over the whole register in units of 32 bits only.
  ONNXRAY_TARGET static __m256i permute(__m256i switches, __m256i lanes) {
    const __m256i low = _mm256_slli_epi64(lanes, 1), high = _mm256_add_epi64(low, _mm256_set1_epi64x(1));
    return _mm256_permutevar8x32_epi32(switches, _mm256_or_si256(low, _mm256_slli_epi64(high, 32)));
  }
  ONNXRAY_TARGET static Values mask(__m128i bytes) {
    return _mm256_castsi256_pd(_mm256_cvtepi8_epi64(bytes));
  }
  ONNXRAY_TARGET static Values add(Values hit, Values values, Values sum) {
    return _mm256_add_pd(sum, _mm256_and_pd(hit, values));
  }
  ONNXRAY_TARGET static Values select(Values hit, Values values, Values sum) {
    return _mm256_blendv_pd(sum, values, hit);
  }
  // A NaN stays: of two operands the second is taken.
  ONNXRAY_TARGET static Values max(Values least, Values sum) { return _mm256_max_pd(least, sum); }
  ONNXRAY_TARGET static Values load(const double *from) { return _mm256_loadu_pd(from); }
  ONNXRAY_TARGET static void store(double *out, Values sum) { _mm256_storeu_pd(out, sum); }
};

} // namespace

template <> void gather_avx2(const Gather<float> &work) { gather<Floats>(work); }
template <> void gather_avx2(const Gather<double> &work) { gather<Doubles>(work); }

} // namespace onnxray::unpooling
#endif
