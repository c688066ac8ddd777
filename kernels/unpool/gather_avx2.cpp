// Rows of the output with AVX2.
#include "common/simd.hpp"

#ifdef ONNXRAY_X86
#define ONNXRAY_TARGET __attribute__((target("avx2")))
#include "unpool/gather.hpp"

namespace onnxray::unpooling {

namespace {

// Copies the elements from `from` on, so many as there are lanes, to `lanes`; those beyond the row stay as
// they are.
template <class To, class From>
ONNXRAY_TARGET void copy_inside(To *lanes, int count, const From *row, std::int64_t from,
                                std::int64_t windows) {
  const std::int64_t last = std::min<std::int64_t>(count, windows - from);
  for (std::int64_t lane = std::max<std::int64_t>(0, -from); lane < last; ++lane) {
    lanes[lane] = row[from + lane];
  }
}

template <class T> ONNXRAY_TARGET __m256i integers(const T *from) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
}

struct Floats {
  using Index = std::int32_t;
  using Values = __m256;
  static constexpr int count = 8;

  ONNXRAY_TARGET static Values zero() { return _mm256_setzero_ps(); }
  ONNXRAY_TARGET static __m256i indices(const Index *from) { return integers(from); }
  ONNXRAY_TARGET static Values values(const float *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      return _mm256_loadu_ps(row + from);
    }
    float lanes[count] = {};
    copy_inside(lanes, count, row, from, windows);
    return _mm256_loadu_ps(lanes);
  }
  ONNXRAY_TARGET static __m256i switches(const std::uint8_t *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      std::int64_t bytes;
      std::memcpy(&bytes, row + from, sizeof bytes);
      return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes));
    }
    Index lanes[count];
    std::fill(lanes, lanes + count, -1);
    copy_inside(lanes, count, row, from, windows);
    return integers(lanes);
  }
  ONNXRAY_TARGET static Values permute(Values values, __m256i lanes) {
    return _mm256_permutevar8x32_ps(values, lanes);
  }
  ONNXRAY_TARGET static __m256i permute(__m256i switches, __m256i lanes) {
    return _mm256_permutevar8x32_epi32(switches, lanes);
  }
  ONNXRAY_TARGET static __m256i plus(__m256i taps, std::int64_t first) {
    return _mm256_add_epi32(taps, _mm256_set1_epi32(static_cast<Index>(first)));
  }
  ONNXRAY_TARGET static Values equal(__m256i switches, __m256i wanted) {
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(switches, wanted));
  }
  ONNXRAY_TARGET static Values add(Values hit, Values values, Values sum) {
    return _mm256_add_ps(sum, _mm256_and_ps(hit, values));
  }
  ONNXRAY_TARGET static Values select(Values hit, Values values, Values sum) {
    return _mm256_blendv_ps(sum, values, hit);
  }
  // A NaN stays: of two operands the second is taken.
  ONNXRAY_TARGET static Values relu(Values sum) { return _mm256_max_ps(zero(), sum); }
  ONNXRAY_TARGET static Values load(const float *from) { return _mm256_loadu_ps(from); }
  ONNXRAY_TARGET static void store(float *out, Values sum) { _mm256_storeu_ps(out, sum); }
};

struct Doubles {
  using Index = std::int64_t;
  using Values = __m256d;
  static constexpr int count = 4;

  ONNXRAY_TARGET static Values zero() { return _mm256_setzero_pd(); }
  ONNXRAY_TARGET static __m256i indices(const Index *from) { return integers(from); }
  ONNXRAY_TARGET static Values values(const double *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      return _mm256_loadu_pd(row + from);
    }
    double lanes[count] = {};
    copy_inside(lanes, count, row, from, windows);
    return _mm256_loadu_pd(lanes);
  }
  ONNXRAY_TARGET static __m256i switches(const std::uint8_t *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      std::int32_t bytes;
      std::memcpy(&bytes, row + from, sizeof bytes);
      return _mm256_cvtepu8_epi64(_mm_cvtsi32_si128(bytes));
    }
    Index lanes[count];
    std::fill(lanes, lanes + count, -1);
    copy_inside(lanes, count, row, from, windows);
    return integers(lanes);
  }
  ONNXRAY_TARGET static Values permute(Values values, __m256i lanes) {
    return _mm256_castsi256_pd(permute(_mm256_castpd_si256(values), lanes));
  }
  // AVX2 permutes over the whole register in units of 32 bits only.
  ONNXRAY_TARGET static __m256i permute(__m256i switches, __m256i lanes) {
    const __m256i low = _mm256_slli_epi64(lanes, 1), high = _mm256_add_epi64(low, _mm256_set1_epi64x(1));
    return _mm256_permutevar8x32_epi32(switches, _mm256_or_si256(low, _mm256_slli_epi64(high, 32)));
  }
  ONNXRAY_TARGET static __m256i plus(__m256i taps, std::int64_t first) {
    return _mm256_add_epi64(taps, _mm256_set1_epi64x(first));
  }
  ONNXRAY_TARGET static Values equal(__m256i switches, __m256i wanted) {
    return _mm256_castsi256_pd(_mm256_cmpeq_epi64(switches, wanted));
  }
  ONNXRAY_TARGET static Values add(Values hit, Values values, Values sum) {
    return _mm256_add_pd(sum, _mm256_and_pd(hit, values));
  }
  ONNXRAY_TARGET static Values select(Values hit, Values values, Values sum) {
    return _mm256_blendv_pd(sum, values, hit);
  }
  // A NaN stays: of two operands the second is taken.
  ONNXRAY_TARGET static Values relu(Values sum) { return _mm256_max_pd(zero(), sum); }
  ONNXRAY_TARGET static Values load(const double *from) { return _mm256_loadu_pd(from); }
  ONNXRAY_TARGET static void store(double *out, Values sum) { _mm256_storeu_pd(out, sum); }
};

} // namespace

template <> void gather_avx2(const Gather<float> &work) { gather<Floats>(work); }
template <> void gather_avx2(const Gather<double> &work) { gather<Doubles>(work); }

} // namespace onnxray::unpooling
#endif
