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

// The lanes from `from` on that lie in a row.
ONNXRAY_TARGET inline std::uint32_t in_row(std::int64_t from, std::int64_t row, int lanes) {
  const std::uint32_t all = (1u << lanes) - 1;
  const std::int64_t after = std::clamp<std::int64_t>(row - from, 0, lanes),
                     before = std::min<std::int64_t>(-from, lanes);
  return (all >> (lanes - after)) & (from < 0 ? all << before : all);
}

struct Floats {
  using Index = std::int32_t;
  using Values = __m512;
  static constexpr int count = 16;

  ONNXRAY_TARGET static Values zero() { return _mm512_setzero_ps(); }
  ONNXRAY_TARGET static __m512i indices(const Index *from) { return _mm512_loadu_si512(from); }
  ONNXRAY_TARGET static Values values(const float *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      return _mm512_loadu_ps(row + from);
    }
    return _mm512_maskz_loadu_ps(in_row(from, windows, count), row + from);
  }
  ONNXRAY_TARGET static __m512i switches(const std::uint8_t *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(row + from)));
    }
    const __mmask16 inside = in_row(from, windows, count);
    return _mm512_mask_cvtepu8_epi32(_mm512_set1_epi32(-1), inside, _mm_maskz_loadu_epi8(inside, row + from));
  }
  ONNXRAY_TARGET static Values permute(Values values, __m512i lanes) {
    return _mm512_permutexvar_ps(lanes, values);
  }
  ONNXRAY_TARGET static __m512i permute(__m512i switches, __m512i lanes) {
    return _mm512_permutexvar_epi32(lanes, switches);
  }
  ONNXRAY_TARGET static __m512i plus(__m512i taps, std::int64_t first) {
    return _mm512_add_epi32(taps, _mm512_set1_epi32(static_cast<Index>(first)));
  }
  ONNXRAY_TARGET static __mmask16 equal(__m512i switches, __m512i wanted) {
    return _mm512_cmpeq_epi32_mask(switches, wanted);
  }
  ONNXRAY_TARGET static Values add(__mmask16 hit, Values values, Values sum) {
    return _mm512_mask_add_ps(sum, hit, sum, values);
  }
  ONNXRAY_TARGET static Values select(__mmask16 hit, Values values, Values sum) {
    return _mm512_mask_mov_ps(sum, hit, values);
  }
  // A NaN stays: of two operands the second is taken.
  ONNXRAY_TARGET static Values relu(Values sum) { return _mm512_max_ps(zero(), sum); }
  ONNXRAY_TARGET static Values load(const float *from) { return _mm512_loadu_ps(from); }
  ONNXRAY_TARGET static void store(float *out, Values sum) { _mm512_storeu_ps(out, sum); }
};

struct Doubles {
  using Index = std::int64_t;
  using Values = __m512d;
  static constexpr int count = 8;

  ONNXRAY_TARGET static Values zero() { return _mm512_setzero_pd(); }
  ONNXRAY_TARGET static __m512i indices(const Index *from) { return _mm512_loadu_si512(from); }
  ONNXRAY_TARGET static Values values(const double *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      return _mm512_loadu_pd(row + from);
    }
    return _mm512_maskz_loadu_pd(in_row(from, windows, count), row + from);
  }
  ONNXRAY_TARGET static __m512i switches(const std::uint8_t *row, std::int64_t from, std::int64_t windows) {
    if (from >= 0 && from + count <= windows) {
      return _mm512_cvtepu8_epi64(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(row + from)));
    }
    const __mmask8 inside = in_row(from, windows, count);
    return _mm512_mask_cvtepu8_epi64(_mm512_set1_epi64(-1), inside, _mm_maskz_loadu_epi8(inside, row + from));
  }
  ONNXRAY_TARGET static Values permute(Values values, __m512i lanes) {
    return _mm512_permutexvar_pd(lanes, values);
  }
  ONNXRAY_TARGET static __m512i permute(__m512i switches, __m512i lanes) {
    return _mm512_permutexvar_epi64(lanes, switches);
  }
  ONNXRAY_TARGET static __m512i plus(__m512i taps, std::int64_t first) {
    return _mm512_add_epi64(taps, _mm512_set1_epi64(first));
  }
  ONNXRAY_TARGET static __mmask8 equal(__m512i switches, __m512i wanted) {
    return _mm512_cmpeq_epi64_mask(switches, wanted);
  }
  ONNXRAY_TARGET static Values add(__mmask8 hit, Values values, Values sum) {
    return _mm512_mask_add_pd(sum, hit, sum, values);
  }
  ONNXRAY_TARGET static Values select(__mmask8 hit, Values values, Values sum) {
    return _mm512_mask_mov_pd(sum, hit, values);
  }
  ONNXRAY_TARGET static Values relu(Values sum) { return _mm512_max_pd(zero(), sum); }
  ONNXRAY_TARGET static Values load(const double *from) { return _mm512_loadu_pd(from); }
  ONNXRAY_TARGET static void store(double *out, Values sum) { _mm512_storeu_pd(out, sum); }
};

} // namespace

template <> void gather_avx512(const Gather<float> &work) { gather<Floats>(work); }
template <> void gather_avx512(const Gather<double> &work) { gather<Doubles>(work); }

} // namespace onnxray::unpooling
#endif
