// A vector register's worth of elements, for kernels that are called with simd_run. Arithmetic is written
// with the operators that GCC and Clang give such types; multiply and add become one instruction where there
// is one.
#pragma once

#include "common/simd.hpp"

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

namespace onnxray {

template <class T, int bytes> struct Vector {
  static constexpr int lanes = bytes / static_cast<int>(sizeof(T));
  using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef T type __attribute__((vector_size(bytes)));
  typedef Index indices __attribute__((vector_size(bytes)));

  ONNXRAY_INLINE static type load(const T *from) {
    type values;
    std::memcpy(&values, from, bytes);
    return values;
  }

  ONNXRAY_INLINE static void store(T *to, type values) { std::memcpy(to, &values, bytes); }

  // The `rest` < lanes elements before `end`, and zeros in the other lanes. `room`: whether the elements
  // before those belong to the array, too.
  ONNXRAY_INLINE static type load_last(const T *end, std::int64_t rest, bool room) {
    if (room) {
      return counting(kLanes) >= static_cast<Index>(lanes - rest) ? load(end - lanes) : type{};
    }
    T values[lanes] = {};
    for (std::int64_t lane = 0; lane < rest; ++lane) {
      values[lane] = end[lane - rest];
    }
    return load(values);
  }

  // Replaces `lanes` vectors by one, whose lanes are their sums.
  ONNXRAY_INLINE static type sums(const type *vectors) { return sum_groups<lanes>(vectors, kLanes); }

private:
  static constexpr auto kLanes = std::make_integer_sequence<Index, lanes>();

  template <Index... lane> ONNXRAY_INLINE static indices counting(std::integer_sequence<Index, lane...>) {
    return indices{lane...};
  }

  // The sums of `count` vectors, lanes / count lanes for each: the two halves' vectors side by side, each
  // group of lanes folded in two.
  template <int count, Index... lane>
  ONNXRAY_INLINE static type sum_groups(const type *vectors, std::integer_sequence<Index, lane...> sequence) {
    if constexpr (count == 1) {
      return vectors[0];
    } else {
      constexpr Index half = lanes / count;
      const type low = sum_groups<count / 2>(vectors, sequence);
      const type high = sum_groups<count / 2>(vectors + count / 2, sequence);
      return pick<(lane / half * 2 * half + lane % half)...>(low, high) +
             pick<(lane / half * 2 * half + half + lane % half)...>(low, high);
    }
  }

  // Lanes of two vectors laid one behind the other.
  template <Index... lane> ONNXRAY_INLINE static type pick(type low, type high) {
#if defined(__clang__) || __GNUC__ >= 12
    return __builtin_shufflevector(low, high, lane...);
#else
    return __builtin_shuffle(low, high, indices{lane...});
#endif
  }
};

} // namespace onnxray
