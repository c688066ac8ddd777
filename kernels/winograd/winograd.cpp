// Convolutions by 3 x 3 weights: of each 6 x 6 tile of the input 4 x 4 outputs, in 36 products of numbers
// where the plain sum takes 144. Each thread takes some tiles from the input to the output, so that what lies
// between stays in its cache.
#include "common/parallel_for.hpp"
#include "common/simd.hpp"
#include "common/vector.hpp"
#include "winograd/tiles.hpp"

#include <algorithm>
#include <cstdint>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <vector>

namespace py = pybind11;

namespace onnxray {

namespace {

using Index = std::int64_t;
using Numbers = py::array_t<float, py::array::c_style>;

constexpr Index kPanel = 16; // output channels whose weights lie together
constexpr Index kGap = 16;   // between planes, lest all begin in one set of the cache
// Tiles that a thread takes at a time: what lies between should stay in its cache, and weights be read
// seldom.
constexpr Index kBetween = 3 << 20, kFewest = 32, kMost = 192; // bytes, tiles, tiles

// sums[plane][tile][channel of the output] = values[plane][tile][...] times the plane's weights.
struct Products {
  template <int bytes>
  ONNXRAY_INLINE static void run(const float *values, const float *weights, float *sums, Index tiles,
                                 Index inputs, Index outputs) {
    constexpr int rows = bytes == 64 ? 12 : bytes == 32 ? 6 : 3, panels = bytes == 64 ? 2 : 1;
    Index output = 0;
    for (; output + panels * kPanel <= outputs; output += panels * kPanel) {
      columns<bytes, rows, panels>(values, weights + output * inputs, sums + output, tiles, inputs, outputs);
    }
    if (output < outputs) {
      columns<bytes, rows, 1>(values, weights + output * inputs, sums + output, tiles, inputs, outputs);
    }
  }

  template <int bytes, int rows, int panels>
  ONNXRAY_INLINE static void columns(const float *values, const float *weights, float *sums, Index tiles,
                                     Index inputs, Index outputs) {
    Index tile = 0;
    for (; tile + rows <= tiles; tile += rows) {
      block<bytes, rows, panels>(values + tile * inputs, weights, sums + tile * outputs, inputs, outputs);
    }
    rest<bytes, rows - 1, panels>(tiles - tile, values + tile * inputs, weights, sums + tile * outputs,
                                  inputs, outputs);
  }

  // The last tiles, fewer than a block's rows.
  template <int bytes, int rows, int panels>
  ONNXRAY_INLINE static void rest(Index tiles, const float *values, const float *weights, float *sums,
                                  Index inputs, Index outputs) {
    if constexpr (rows > 0) {
      if (tiles == rows) {
        block<bytes, rows, panels>(values, weights, sums, inputs, outputs);
      } else {
        rest<bytes, rows - 1, panels>(tiles, values, weights, sums, inputs, outputs);
      }
    }
  }

  template <int bytes, int rows, int panels>
  ONNXRAY_INLINE static void block(const float *values, const float *weights, float *sums, Index inputs,
                                   Index outputs) {
    using V = Vector<float, bytes>;
    constexpr int in_panel = kPanel / V::lanes, vectors = panels * in_panel;
    typename V::type total[rows][vectors] = {};
    for (Index input = 0; input < inputs; ++input) {
      typename V::type weight[vectors];
      for (int n = 0; n < vectors; ++n) {
        weight[n] =
            V::load(weights + n / in_panel * kPanel * inputs + input * kPanel + n % in_panel * V::lanes);
      }
      for (int m = 0; m < rows; ++m) {
        for (int n = 0; n < vectors; ++n) {
          total[m][n] += values[m * inputs + input] * weight[n];
        }
      }
    }
    for (int m = 0; m < rows; ++m) {
      for (int n = 0; n < vectors; ++n) {
        V::store(sums + m * outputs + n * V::lanes, total[m][n]);
      }
    }
  }
};

struct Convolution {
  const float *x, *weights, *bias;
  float *y;
  WinogradShape shape;
  Clip clip;

  void tiles(Index begin, Index end) const {
    static thread_local std::vector<float> between; // kept, as new memory costs more than the work on it
    const Index count = end - begin, read = count * shape.inputs + kGap, made = count * shape.outputs + kGap;
    between.resize(std::max<std::size_t>(between.size(), kPlanes * (read + made)));
    float *values = between.data(), *sums = values + kPlanes * read;
    for (Index tile = begin; tile < end; ++tile) {
      simd_run<TileIn>(x, values + (tile - begin) * shape.inputs, read, &shape, tile);
    }
    for (Index plane = 0; plane < kPlanes; ++plane) {
      simd_run<Products>(values + plane * read, weights + plane * shape.inputs * shape.outputs,
                         sums + plane * made, count, shape.inputs, shape.outputs);
    }
    for (Index tile = begin; tile < end; ++tile) {
      simd_run<TileOut>(sums + (tile - begin) * shape.outputs, made, bias, clip, y, &shape, tile);
    }
  }
};

void winograd(const Numbers &x, const Numbers &weights, const Numbers &bias, Numbers &y, Index top,
              Index left, float lowest, float highest) {
  const WinogradShape shape{x.shape(0), x.shape(1), x.shape(2), x.shape(3), y.shape(1),
                            y.shape(2), y.shape(3), top,        left};
  const Convolution work{x.data(), weights.data(), bias.data(), y.mutable_data(), shape, {lowest, highest}};
  const py::gil_scoped_release release;
  const Index tiles = shape.images * shape.tile_rows() * shape.tile_columns();
  const Index held =
      kBetween / (kPlanes * (shape.inputs + shape.outputs) * static_cast<Index>(sizeof(float)));
  const Index most = std::clamp(held, kFewest, kMost), threads = thread_setting();
  const Index pieces = (tiles + most * threads - 1) / (most * threads) * threads; // as many for each thread
  parallel_for(tiles, pieces > 0 ? (tiles + pieces - 1) / pieces : 1,
               [&](Index begin, Index end) { work.tiles(begin, end); });
}

// weights[plane][panel][input][output of the panel], of a plain weight [outputs, inputs, 3, 3].
void winograd_weights(const Numbers &weight, Numbers &out) {
  const Index outputs = weight.shape(0), inputs = weight.shape(1);
  const float *from = weight.data();
  float *to = out.mutable_data();
  const py::gil_scoped_release release;
  parallel_for(outputs / kPanel, 1, [&](Index begin, Index end) {
    for (Index output = begin * kPanel; output < end * kPanel; ++output) {
      for (Index input = 0; input < inputs; ++input) {
        double g[9], half[3 * kTileIn], planes[kPlanes];
        std::copy_n(from + (output * inputs + input) * 9, 9, g);
        for (int column = 0; column < 3; ++column) {
          transform_weights(g + column, 3, half + column, 3);
        }
        for (int row = 0; row < kTileIn; ++row) {
          transform_weights(half + 3 * row, 1, planes + row * kTileIn, 1);
        }
        float *place = to + (output / kPanel * inputs + input) * kPanel + output % kPanel;
        for (int plane = 0; plane < kPlanes; ++plane) {
          place[plane * inputs * outputs] = static_cast<float>(planes[plane]);
        }
      }
    }
  });
}

} // namespace

void bind_winograd(py::module_ &module) {
  module.def("winograd_weights", &winograd_weights, py::arg("weight").noconvert(),
             py::arg("out").noconvert());
  module.def("winograd", &winograd, py::arg("x").noconvert(), py::arg("weights").noconvert(),
             py::arg("bias").noconvert(), py::arg("y").noconvert(), py::arg("top"), py::arg("left"),
             py::arg("lowest"), py::arg("highest"));
}

} // namespace onnxray
