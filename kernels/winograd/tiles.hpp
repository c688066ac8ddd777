// Tiles: 6 x 6 places of the input, from each of which come 4 x 4 of the output. Between the two, a tile is
// 36 planes of numbers, one a channel.
#pragma once

#include "common/vector.hpp"

#include <algorithm>
#include <cstdint>

namespace onnxray {

constexpr int kTileIn = 6, kTileOut = 4, kPlanes = kTileIn * kTileIn;

struct WinogradShape {
  std::int64_t images, rows, columns, inputs; // x: [images, rows, columns, inputs]
  std::int64_t made_rows, made_columns, outputs;
  std::int64_t top, left; // padding

  std::int64_t tile_rows() const { return (made_rows + kTileOut - 1) / kTileOut; }
  std::int64_t tile_columns() const { return (made_columns + kTileOut - 1) / kTileOut; }
};

struct Place {
  std::int64_t image, row, column; // of the tile's first output

  Place(const WinogradShape &shape, std::int64_t tile)
      : image(tile / (shape.tile_rows() * shape.tile_columns())),
        row(tile / shape.tile_columns() % shape.tile_rows() * kTileOut),
        column(tile % shape.tile_columns() * kTileOut) {}
};

struct Clip {
  float lowest, highest;
};

// The transforms belong to the points 0, ±a, ±b and infinity. 0, ±1, ±2 are the usual ones; with these the
// error is half as large (tried on random numbers, of the points that float32 holds exactly).
constexpr float kA = 0.625F, kB = 1.5F, kA2 = kA * kA, kB2 = kB * kB;

// Six numbers of the input, along one axis, to their values at the points. Works in place.
template <class T> ONNXRAY_INLINE void transform_in(const T *d, int stride, T *out) {
  const T d0 = d[0], d1 = d[stride], d2 = d[2 * stride], d3 = d[3 * stride], d4 = d[4 * stride],
          d5 = d[5 * stride];
  const T even_a = d4 - kB2 * d2, odd_a = kA * (d3 - kB2 * d1);
  const T even_b = d4 - kA2 * d2, odd_b = kB * (d3 - kA2 * d1);
  out[0] = kA2 * kB2 * d0 - (kA2 + kB2) * d2 + d4;
  out[stride] = even_a + odd_a;
  out[2 * stride] = even_a - odd_a;
  out[3 * stride] = even_b + odd_b;
  out[4 * stride] = even_b - odd_b;
  out[5 * stride] = kA2 * kB2 * d1 - (kA2 + kB2) * d3 + d5;
}

// Products at the points, along one axis, to four numbers of the output. Works in place.
template <class T> ONNXRAY_INLINE void transform_out(const T *m, int stride, T *out) {
  const T even_a = m[stride] + m[2 * stride], odd_a = m[stride] - m[2 * stride];
  const T even_b = m[3 * stride] + m[4 * stride], odd_b = m[3 * stride] - m[4 * stride];
  const T first = m[0] + even_a + even_b, last = kA2 * kA * odd_a + kB2 * kB * odd_b + m[5 * stride];
  out[0] = first;
  out[stride] = kA * odd_a + kB * odd_b;
  out[2 * stride] = kA2 * even_a + kB2 * even_b;
  out[3 * stride] = last;
}

// Three weights to their values at the points.
inline void transform_weights(const double *g, int stride, double *out, int out_stride) {
  constexpr double a = kA, b = kB, a2 = a * a, b2 = b * b;
  constexpr double of_a = 1 / (2 * a2 * (a2 - b2)), of_b = 1 / (2 * b2 * (b2 - a2));
  const double g0 = g[0], g1 = g[stride], g2 = g[2 * stride];
  out[0] = g0 / (a2 * b2);
  out[out_stride] = of_a * (g0 + a * g1 + a2 * g2);
  out[2 * out_stride] = of_a * (g0 - a * g1 + a2 * g2);
  out[3 * out_stride] = of_b * (g0 + b * g1 + b2 * g2);
  out[4 * out_stride] = of_b * (g0 - b * g1 + b2 * g2);
  out[5 * out_stride] = g2;
}

// A tile of the image into planes, `plane` numbers apart.
struct TileIn {
  template <int bytes>
  ONNXRAY_INLINE static void run(const float *x, float *values, std::int64_t plane,
                                 const WinogradShape *shape, std::int64_t tile) {
    const Place place(*shape, tile);
    const float *from[kPlanes]; // null: padding
    for (int row = 0; row < kTileIn; ++row) {
      for (int column = 0; column < kTileIn; ++column) {
        const std::int64_t y = place.row - shape->top + row, x_ = place.column - shape->left + column;
        const bool inside = y >= 0 && y < shape->rows && x_ >= 0 && x_ < shape->columns;
        from[row * kTileIn + column] =
            inside ? x + ((place.image * shape->rows + y) * shape->columns + x_) * shape->inputs : nullptr;
      }
    }
    using V = Vector<float, bytes>;
    using T = typename V::type;
    for (std::int64_t channel = 0; channel < shape->inputs; channel += V::lanes) {
      T d[kPlanes];
      for (int column = 0; column < kTileIn; ++column) {
        for (int row = 0; row < kTileIn; ++row) {
          const float *place_of = from[row * kTileIn + column];
          d[row * kTileIn + column] = place_of ? V::load(place_of + channel) : T{};
        }
        transform_in(d + column, kTileIn, d + column);
      }
      for (int row = 0; row < kTileIn; ++row) {
        T *along = d + row * kTileIn;
        transform_in(along, 1, along);
        for (int column = 0; column < kTileIn; ++column) {
          V::store(values + (row * kTileIn + column) * plane + channel, along[column]);
        }
      }
    }
  }
};

// Planes into a tile of the output.
struct TileOut {
  template <int bytes>
  ONNXRAY_INLINE static void run(const float *sums, std::int64_t plane, const float *bias, Clip clip,
                                 float *y, const WinogradShape *shape, std::int64_t tile) {
    const Place place(*shape, tile);
    const auto rows = static_cast<int>(std::min<std::int64_t>(kTileOut, shape->made_rows - place.row));
    const auto columns =
        static_cast<int>(std::min<std::int64_t>(kTileOut, shape->made_columns - place.column));
    float *to = y + ((place.image * shape->made_rows + place.row) * shape->made_columns + place.column) *
                        shape->outputs;
    using V = Vector<float, bytes>;
    using T = typename V::type;
    for (std::int64_t channel = 0; channel < shape->outputs; channel += V::lanes) {
      T m[kPlanes];
      for (int column = 0; column < kTileIn; ++column) {
        for (int row = 0; row < kTileIn; ++row) {
          m[row * kTileIn + column] = V::load(sums + (row * kTileIn + column) * plane + channel);
        }
        transform_out(m + column, kTileIn, m + column);
      }
      const T added = V::load(bias + channel);
      for (int row = 0; row < rows; ++row) {
        T *along = m + row * kTileIn;
        transform_out(along, 1, along);
        for (int column = 0; column < columns; ++column) {
          T value = along[column] + added;
          value = value < clip.lowest ? T{} + clip.lowest : value; // NaN stays
          value = value > clip.highest ? T{} + clip.highest : value;
          V::store(to + (row * shape->made_columns + column) * shape->outputs + channel, value);
        }
      }
    }
  }
};

} // namespace onnxray
