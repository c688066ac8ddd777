// Depthwise convolutions of windows that are never laid out: each number is read from where it lies, in the
// map or in the patch over it.
#include "common/parallel_for.hpp"
#include "common/simd.hpp"
#include "common/vector.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <vector>

namespace py = pybind11;

namespace onnxray {

namespace {

constexpr std::int64_t kGrain = 1 << 15; // products that a thread sums at least

using Index = std::int64_t;
using Places = py::array_t<Index, py::array::c_style>;
template <class T> using Numbers = py::array_t<T, py::array::c_style>;

struct Sizes {
  Index rows, columns, channels; // of the map
  Index patch_rows, patch_columns;
  Index made_rows, made_columns;
  Index kernel_rows, kernel_columns, row_stride, column_stride, row_dilation, column_dilation;

  bool rolls() const {
    return kernel_rows == 3 && kernel_columns == 3 && column_stride == 1 && column_dilation == 1;
  }

  Index read_columns() const {
    return (made_columns - 1) * column_stride + (kernel_columns - 1) * column_dilation + 1;
  }
};

// One row of outputs. `places`: where the channels of each place that it reads begin, row by row of the
// kernel.
template <class T> struct Row {
  const T *const *places;
  const T *weight, *bias;
  T *out;
  T lowest, highest;
  const Sizes *sizes;

  template <int bytes> ONNXRAY_INLINE static void run(const Row *row) {
    using V = Vector<T, bytes>;
    constexpr int wide = bytes == 64 ? 2 : 1; // so that the weights of 3 x 3 stay in registers
    const Index channels = row->sizes->channels;
    Index channel = 0;
    if (row->sizes->rolls()) {
      for (; channel + wide * V::lanes <= channels; channel += wide * V::lanes) {
        row->template three<V, wide>(channel);
      }
    }
    for (; channel + V::lanes <= channels; channel += V::lanes) {
      row->template any<V>(channel);
    }
    row->rest(channel);
  }

  // 3 x 3 weights that move by one column: each place is read once, for the three outputs that it is a part
  // of.
  template <class V, int wide> ONNXRAY_INLINE void three(Index channel) const {
    const Sizes s = *sizes;
    const Index read = s.made_columns + 2;
    typename V::type weights[9][wide], biases[wide], last[wide], next[wide];
    for (int n = 0; n < wide; ++n) {
      biases[n] = last[n] = next[n] = V::load(bias + channel + n * V::lanes);
      for (int tap = 0; tap < 9; ++tap) {
        weights[tap][n] = V::load(weight + tap * s.channels + channel + n * V::lanes);
      }
    }
    for (Index column = 0; column < read; ++column) {
      for (int n = 0; n < wide; ++n) {
        typename V::type values[3], done = last[n], first = biases[n];
        for (int row = 0; row < 3; ++row) {
          const T *from = places[row * read + column] + channel + n * V::lanes;
          ONNXRAY_PREFETCH(from + wide * V::lanes); // for the next channels: what lies between is far
          values[row] = V::load(from);
        }
        for (int row = 0; row < 3; ++row) {
          done += weights[3 * row + 2][n] * values[row];
          next[n] += weights[3 * row + 1][n] * values[row];
          first += weights[3 * row][n] * values[row];
        }
        last[n] = next[n];
        next[n] = first;
        if (column >= 2) {
          store<V>(out + (column - 2) * s.channels + channel + n * V::lanes, done);
        }
      }
    }
  }

  template <class V> ONNXRAY_INLINE void any(Index channel) const {
    const Sizes s = *sizes;
    const Index read = s.read_columns();
    for (Index x = 0; x < s.made_columns; ++x) {
      typename V::type total = V::load(bias + channel);
      for (Index i = 0; i < s.kernel_rows; ++i) {
        for (Index j = 0; j < s.kernel_columns; ++j) {
          const T *from = places[i * read + x * s.column_stride + j * s.column_dilation];
          total +=
              V::load(weight + (i * s.kernel_columns + j) * s.channels + channel) * V::load(from + channel);
        }
      }
      store<V>(out + x * s.channels + channel, total);
    }
  }

  template <class V> ONNXRAY_INLINE void store(T *to, typename V::type total) const {
    total = total < lowest ? typename V::type{} + lowest : total; // NaN stays
    total = total > highest ? typename V::type{} + highest : total;
    V::store(to, total);
  }

  // The last channels, fewer than a vector's.
  ONNXRAY_INLINE void rest(Index first) const {
    const Sizes s = *sizes;
    const Index read = s.read_columns();
    for (Index x = 0; x < s.made_columns; ++x) {
      for (Index channel = first; channel < s.channels; ++channel) {
        T total = bias[channel];
        for (Index i = 0; i < s.kernel_rows; ++i) {
          for (Index j = 0; j < s.kernel_columns; ++j) {
            total += weight[(i * s.kernel_columns + j) * s.channels + channel] *
                     places[i * read + x * s.column_stride + j * s.column_dilation][channel];
          }
        }
        total = total < lowest ? lowest : total;
        out[x * s.channels + channel] = total > highest ? highest : total;
      }
    }
  }
};

template <class T> struct Depthwise {
  const T *map, *patches;
  const Index *patches_at, *at;
  const T *weight, *bias;
  T *out;
  T lowest, highest;
  Sizes sizes;
  std::vector<T> zeros; // the channels of a place outside the map

  // Rows [begin, end) of all windows' outputs, counted through.
  void rows(Index begin, Index end) const {
    static thread_local std::vector<const T *> places;
    places.resize(static_cast<std::size_t>(sizes.kernel_rows * sizes.read_columns()));
    for (Index row = begin; row < end; ++row) {
      const Index position = row / sizes.made_rows;
      for (Index i = 0; i < sizes.kernel_rows; ++i) {
        const Index y = at[2 * position] + row % sizes.made_rows * sizes.row_stride + i * sizes.row_dilation;
        find(position, y, places.data() + i * sizes.read_columns());
      }
      const Row<T> work{places.data(), weight,  bias,  out + row * sizes.made_columns * sizes.channels,
                        lowest,        highest, &sizes};
      simd_run<Row<T>>(&work);
    }
  }

  // Where the places of a row lie that a position reads.
  void find(Index position, Index y, const T **places) const {
    const Index left = at[2 * position + 1], patch_row = y - patches_at[2 * position];
    const bool inside = y >= 0 && y < sizes.rows, in_patch = patch_row >= 0 && patch_row < sizes.patch_rows;
    for (Index column = 0; column < sizes.read_columns(); ++column) {
      const Index x = left + column, patch_column = x - patches_at[2 * position + 1];
      if (!inside || x < 0 || x >= sizes.columns) {
        places[column] = zeros.data();
      } else if (in_patch && patch_column >= 0 && patch_column < sizes.patch_columns) {
        const Index row = position * sizes.patch_rows + patch_row;
        places[column] = patches + (row * sizes.patch_columns + patch_column) * sizes.channels;
      } else {
        places[column] = map + (y * sizes.columns + x) * sizes.channels;
      }
    }
  }
};

template <class T>
void depthwise(const Numbers<T> &map, const Numbers<T> &patches, const Places &patches_at, const Places &at,
               const Numbers<T> &weight, const Numbers<T> &bias, Numbers<T> &out,
               const std::array<Index, 2> &strides, const std::array<Index, 2> &dilations, double lowest,
               double highest) {
  const Sizes sizes{map.shape(0), map.shape(1), map.shape(2),    patches.shape(1), patches.shape(2),
                    out.shape(1), out.shape(2), weight.shape(0), weight.shape(1),  strides[0],
                    strides[1],   dilations[0], dilations[1]};
  const Depthwise<T> work{map.data(),
                          patches.data(),
                          patches_at.data(),
                          at.data(),
                          weight.data(),
                          bias.data(),
                          out.mutable_data(),
                          static_cast<T>(lowest),
                          static_cast<T>(highest),
                          sizes,
                          std::vector<T>(static_cast<std::size_t>(sizes.channels))};
  const Index windows = out.shape(0);
  const py::gil_scoped_release release;
  if (out.size() > 0) {
    const Index row = sizes.made_columns * sizes.channels * sizes.kernel_rows * sizes.kernel_columns;
    parallel_for(windows * sizes.made_rows, kGrain / std::max<Index>(1, row) + 1,
                 [&](Index begin, Index end) { work.rows(begin, end); });
  }
}

template <class T> void bind(py::module_ &module) {
  module.def("depthwise", &depthwise<T>, py::arg("map").noconvert(), py::arg("patches").noconvert(),
             py::arg("patches_at").noconvert(), py::arg("at").noconvert(), py::arg("weight").noconvert(),
             py::arg("bias").noconvert(), py::arg("out").noconvert(), py::arg("strides"),
             py::arg("dilations"), py::arg("lowest"), py::arg("highest"));
}

} // namespace

void bind_depthwise(py::module_ &module) {
  bind<float>(module);
  bind<double>(module);
}

} // namespace onnxray
