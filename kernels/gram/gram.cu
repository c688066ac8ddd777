// X Xᵀ in tiles on and below the diagonal. Each thread block multiplies a slice of the rows of one tile into
// the workspace; a second kernel adds the slices in a fixed order, scales, and writes both sides of the
// diagonal.
#include "common/cuda_check.cuh"
#include "gram/gram.hpp"

#include <algorithm>

namespace onnxray {

namespace {

constexpr int kTile = 64;   // rows and columns of a tile
constexpr int kDepth = 16;  // elements of each row in shared memory at a time
constexpr int kSide = 8;    // threads along each side of a tile: 64 threads a block
constexpr int kPer = 8;     // rows and columns of a thread: four, and four half a tile further on
constexpr int kPadding = 4; // keeps rows of shared memory in different banks and aligned to float4
constexpr int kReduceThreads = 256;
constexpr std::int64_t kEnoughBlocks = 1024; // tiles below this number have their rows cut into slices
constexpr std::int64_t kShortestSlice = 256; // elements
constexpr std::int64_t kMostSlices = 65535;  // the y axis of a grid

static_assert(kTile == kSide * kPer && kDepth * 4 == kSide * kSide, "threads cover a tile and its loads");

std::int64_t tiles_of(GramShape shape) {
  const std::int64_t side = (shape.channels + kTile - 1) / kTile;
  return side * (side + 1) / 2;
}

std::int64_t slices_of(GramShape shape) {
  const std::int64_t blocks = std::max<std::int64_t>(1, shape.images * tiles_of(shape));
  const std::int64_t wanted = (kEnoughBlocks + blocks - 1) / blocks;
  return std::max<std::int64_t>(1, std::min({wanted, shape.length / kShortestSlice, kMostSlices}));
}

// Tile number -> its row and column of tiles, column <= row, numbered row after row.
__device__ void tile_place(std::int64_t tile, std::int64_t &row, std::int64_t &column) {
  row = static_cast<std::int64_t>((sqrt(8.0 * static_cast<double>(tile) + 1.0) - 1.0) / 2.0);
  row += (row + 1) * (row + 2) / 2 <= tile; // should the root have been rounded
  row -= row * (row + 1) / 2 > tile;
  column = tile - row * (row + 1) / 2;
}

// Elements [k, k + kDepth) of kTile rows, transposed; zeros past the last row and past k_end.
template <class T>
__device__ void load_rows(const T *image, GramShape shape, std::int64_t first_row, std::int64_t k,
                          std::int64_t k_end, float (&into)[kDepth][kTile + kPadding]) {
  const int element = threadIdx.x % kDepth;
  for (int row = threadIdx.x / kDepth; row < kTile; row += kSide * kSide / kDepth) {
    const bool inside = first_row + row < shape.channels && k + element < k_end;
    into[element][row] =
        inside ? static_cast<float>(image[(first_row + row) * shape.length + k + element]) : 0.0f;
  }
}

// Which row (or column) of a tile is number `item` of a thread.
__device__ int place(int thread, int item) { return thread * 4 + item % 4 + item / 4 * (kTile / 2); }

template <class T>
__global__ void __launch_bounds__(kSide *kSide)
    multiply(const T *x, float *workspace, GramShape shape, std::int64_t tiles, std::int64_t slices) {
  __shared__ __align__(16) float left[kDepth][kTile + kPadding];
  __shared__ __align__(16) float right[kDepth][kTile + kPadding];
  const std::int64_t slice = blockIdx.y;
  const std::int64_t k_end = (slice + 1) * shape.length / slices;
  const T *image = x + blockIdx.x / tiles * shape.channels * shape.length;
  std::int64_t row, column;
  tile_place(blockIdx.x % tiles, row, column);
  const int down = threadIdx.x / kSide, across = threadIdx.x % kSide;

  float sums[kPer][kPer] = {};
  for (std::int64_t k = slice * shape.length / slices; k < k_end; k += kDepth) {
    load_rows(image, shape, row * kTile, k, k_end, left);
    load_rows(image, shape, column * kTile, k, k_end, right);
    __syncthreads();
#pragma unroll
    for (int element = 0; element < kDepth; ++element) {
      float a[kPer], b[kPer];
#pragma unroll
      for (int item = 0; item < kPer; ++item) {
        a[item] = left[element][place(down, item)];
        b[item] = right[element][place(across, item)];
      }
#pragma unroll
      for (int m = 0; m < kPer; ++m) {
#pragma unroll
        for (int n = 0; n < kPer; ++n) {
          sums[m][n] = fmaf(a[m], b[n], sums[m][n]);
        }
      }
    }
    __syncthreads();
  }

  float *to = workspace + (blockIdx.x * slices + slice) * kTile * kTile;
  for (int m = 0; m < kPer; ++m) {
    for (int n = 0; n < kPer; ++n) {
      to[place(down, m) * kTile + place(across, n)] = sums[m][n];
    }
  }
}

template <class T>
__global__ void finish(const float *workspace, T *out, GramShape shape, std::int64_t tiles,
                       std::int64_t slices, float scale) {
  const float *from = workspace + static_cast<std::int64_t>(blockIdx.x) * slices * kTile * kTile;
  T *image = out + blockIdx.x / tiles * shape.channels * shape.channels;
  std::int64_t row, column;
  tile_place(blockIdx.x % tiles, row, column);
  for (int place = threadIdx.x; place < kTile * kTile; place += kReduceThreads) {
    const std::int64_t i = row * kTile + place / kTile, j = column * kTile + place % kTile;
    if (i >= shape.channels || j > i) {
      continue;
    }
    float sum = 0.0f;
    for (std::int64_t slice = 0; slice < slices; ++slice) {
      sum += from[slice * kTile * kTile + place];
    }
    const T value = static_cast<T>(scale * sum);
    image[i * shape.channels + j] = value;
    image[j * shape.channels + i] = value;
  }
}

} // namespace

std::int64_t gram_cuda_workspace(GramShape shape) {
  return shape.images * tiles_of(shape) * slices_of(shape) * kTile * kTile;
}

void gram_cuda(Dtype dtype, const void *x, void *out, float *workspace, GramShape shape, float scale,
               int device, void *stream) {
  const std::int64_t tiles = tiles_of(shape), slices = slices_of(shape), blocks = shape.images * tiles;
  if (blocks == 0) {
    return; // nothing to write; a grid of no blocks is an error
  }
  const DeviceGuard guard(device);
  const auto on = static_cast<cudaStream_t>(stream);
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(slices));
  with_cuda_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    multiply<<<grid, kSide * kSide, 0, on>>>(static_cast<const T *>(x), workspace, shape, tiles, slices);
    cuda_check(cudaGetLastError(), "gram: multiply");
    finish<<<grid.x, kReduceThreads, 0, on>>>(workspace, static_cast<T *>(out), shape, tiles, slices, scale);
    cuda_check(cudaGetLastError(), "gram: finish");
  });
}

} // namespace onnxray
