// X Xᵀ of row-major X: dot products of rows as they lie in memory, so nothing is transposed or packed; only
// blocks on and below the diagonal are computed, and written twice.
#include "gram/gram.hpp"
#include "common/parallel_for.hpp"
#include "common/simd.hpp"
#include "common/vector.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <string>
#include <vector>

namespace py = pybind11;

namespace onnxray {

namespace {

constexpr std::int64_t kBlock = 32;           // rows and columns of a block of the result
constexpr std::int64_t kChunkBytes = 8192;    // of each row at a time: two blocks' rows stay in the L2 cache
constexpr std::int64_t kEnoughTasks = 64;     // blocks below this number have their rows cut into slices
constexpr std::int64_t kShortestSlice = 4096; // elements

// Rows [i, i_end) and [j, j_end) of one image, elements [k, k_end): what one task multiplies.
template <class T> struct Task {
  const T *x;
  std::int64_t length, i, i_end, j, j_end, k, k_end;
};

// sums[kBlock * (row - i) + column - j] += the dot product of row and column, for those on and below the
// diagonal.
template <class T> struct DotProducts {
  template <int bytes> ONNXRAY_INLINE static void run(const Task<T> *task, T *sums) {
    // As many sums as there are registers for, beside the operands.
    constexpr int rows = 4, columns = bytes == 64 ? 4 : 3;
    const std::int64_t chunk = kChunkBytes / static_cast<std::int64_t>(sizeof(T));
    for (std::int64_t k = task->k; k < task->k_end; k += chunk) {
      const std::int64_t k_end = std::min(k + chunk, task->k_end);
      for (std::int64_t j = task->j; j < task->j_end; j += columns) {
        const std::int64_t below = std::max(task->i, j);
        for (std::int64_t i = task->i + (below - task->i) / rows * rows; i < task->i_end; i += rows) {
          tile<bytes, rows, columns>(*task, i, j, k, k_end, sums);
        }
      }
    }
  }

  template <int bytes, int rows, int columns>
  ONNXRAY_INLINE static void tile(const Task<T> &task, std::int64_t i, std::int64_t j, std::int64_t k,
                                  std::int64_t k_end, T *sums) {
    using V = Vector<T, bytes>;
    const T *a[rows], *b[columns]; // past the block's end its last row is taken again, and not stored
    for (int m = 0; m < rows; ++m) {
      a[m] = task.x + std::min(i + m, task.i_end - 1) * task.length;
    }
    for (int n = 0; n < columns; ++n) {
      b[n] = task.x + std::min(j + n, task.j_end - 1) * task.length;
    }
    constexpr int count = (rows * columns + V::lanes - 1) / V::lanes * V::lanes;
    typename V::type total[count] = {};
    const auto add = [&](const auto &load) ONNXRAY_INLINE_LAMBDA {
      typename V::type right[columns];
      for (int n = 0; n < columns; ++n) {
        right[n] = load(b[n]);
      }
      for (int m = 0; m < rows; ++m) {
        const typename V::type left = load(a[m]);
        for (int n = 0; n < columns; ++n) {
          total[m * columns + n] += left * right[n];
        }
      }
    };
    for (; k + V::lanes <= k_end; k += V::lanes) {
      add([k](const T *row) ONNXRAY_INLINE_LAMBDA { return V::load(row + k); });
    }
    if (k < k_end) {
      const bool room = k_end >= V::lanes;
      add([=](const T *row) ONNXRAY_INLINE_LAMBDA { return V::load_last(row + k_end, k_end - k, room); });
    }
    T found[count];
    for (int first = 0; first < count; first += V::lanes) {
      V::store(found + first, V::sums(total + first));
    }
    const std::int64_t valid_rows = std::min<std::int64_t>(rows, task.i_end - i);
    const std::int64_t valid_columns = std::min<std::int64_t>(columns, task.j_end - j);
    sums += kBlock * (i - task.i) + j - task.j;
    for (std::int64_t m = 0; m < valid_rows; ++m) {
      for (std::int64_t n = 0; n < valid_columns; ++n) {
        sums[kBlock * m + n] += found[m * columns + n];
      }
    }
  }
};

// The blocks on and below the diagonal of every image's result, each with its rows cut into slices.
template <class T> class Blocks {
public:
  Blocks(const T *x, GramShape shape) : x_(x), shape_(shape) {
    const std::int64_t side = (shape.channels + kBlock - 1) / kBlock;
    for (std::int64_t i = 0; i < side; ++i) {
      for (std::int64_t j = 0; j <= i; ++j) {
        corners_.push_back({i * kBlock, j * kBlock});
      }
    }
    // From the shape alone, so that the result is the same to the last bit on any number of threads.
    const std::int64_t wanted = count() > 0 ? (kEnoughTasks + count() - 1) / count() : 1;
    slices_ = std::max<std::int64_t>(1, std::min(wanted, shape.length / kShortestSlice));
  }

  std::int64_t count() const { return shape_.images * static_cast<std::int64_t>(corners_.size()); }
  std::int64_t slices() const { return slices_; }

  Task<T> task(std::int64_t block, std::int64_t slice) const {
    const auto blocks = static_cast<std::int64_t>(corners_.size());
    const auto [i, j] = corners_[block % blocks];
    const T *image = x_ + block / blocks * shape_.channels * shape_.length;
    return {image,
            shape_.length,
            i,
            std::min(i + kBlock, shape_.channels),
            j,
            std::min(j + kBlock, shape_.channels),
            slice * shape_.length / slices_,
            (slice + 1) * shape_.length / slices_};
  }

  // Scales a block's sums and writes them where they belong, on both sides of the diagonal.
  void store(std::int64_t block, const T *sums, T scale, T *out) const {
    const Task<T> where = task(block, 0);
    out += block / static_cast<std::int64_t>(corners_.size()) * shape_.channels * shape_.channels;
    for (std::int64_t i = where.i; i < where.i_end; ++i) {
      for (std::int64_t j = where.j; j < std::min(where.j_end, i + 1); ++j) {
        out[i * shape_.channels + j] = scale * sums[kBlock * (i - where.i) + j - where.j];
      }
    }
    for (std::int64_t j = where.j; j < where.j_end; ++j) { // row after row again: columns lie far apart
      for (std::int64_t i = std::max(where.i, j + 1); i < where.i_end; ++i) {
        out[j * shape_.channels + i] = scale * sums[kBlock * (i - where.i) + j - where.j];
      }
    }
  }

private:
  struct Corner {
    std::int64_t i, j;
  };
  const T *x_;
  GramShape shape_;
  std::vector<Corner> corners_;
  std::int64_t slices_ = 1;
};

template <class T> void gram_cpu(const T *x, T *out, GramShape shape, T scale) {
  constexpr std::int64_t size = kBlock * kBlock;
  const Blocks<T> blocks(x, shape);
  const std::int64_t slices = blocks.slices();
  if (slices == 1) {
    parallel_for(blocks.count(), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        T sums[size] = {};
        const Task<T> task = blocks.task(block, 0);
        simd_run<DotProducts<T>>(&task, sums);
        blocks.store(block, sums, scale, out);
      }
    });
    return;
  }
  std::vector<T> parts(blocks.count() * slices * size);
  parallel_for(blocks.count() * slices, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t part = begin; part < end; ++part) {
      const Task<T> task = blocks.task(part / slices, part % slices);
      simd_run<DotProducts<T>>(&task, &parts[part * size]);
    }
  });
  for (std::int64_t block = 0; block < blocks.count(); ++block) {
    T *sums = &parts[block * slices * size];
    for (std::int64_t slice = 1; slice < slices; ++slice) {
      std::transform(sums, sums + size, sums + slice * size, sums,
                     [](T one, T other) { return one + other; });
    }
    blocks.store(block, sums, scale, out);
  }
}

template <class T>
void gram(const py::array_t<T, py::array::c_style> &x, py::array_t<T, py::array::c_style> &out,
          double scale) {
  const GramShape shape{x.shape(0), x.shape(1), x.shape(2)};
  const T *from = x.data();
  T *to = out.mutable_data();
  const py::gil_scoped_release release;
  gram_cpu<T>(from, to, shape, static_cast<T>(scale));
}

#ifdef ONNXRAY_WITH_CUDA
void gram_on_device(const std::string &dtype, std::uintptr_t x, std::uintptr_t out, std::uintptr_t workspace,
                    std::array<std::int64_t, 3> shape, double scale, int device, std::uintptr_t stream) {
  gram_cuda(dtype_of(dtype), reinterpret_cast<const void *>(x), reinterpret_cast<void *>(out),
            reinterpret_cast<float *>(workspace), {shape[0], shape[1], shape[2]}, static_cast<float>(scale),
            device, reinterpret_cast<void *>(stream));
}

std::int64_t gram_workspace(std::array<std::int64_t, 3> shape) {
  return gram_cuda_workspace({shape[0], shape[1], shape[2]});
}
#endif

} // namespace

void bind_gram(py::module_ &module) {
  module.def("gram", &gram<float>, py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("scale"));
  module.def("gram", &gram<double>, py::arg("x").noconvert(), py::arg("out").noconvert(), py::arg("scale"));
#ifdef ONNXRAY_WITH_CUDA
  module.def("gram_cuda", &gram_on_device, py::call_guard<py::gil_scoped_release>());
  module.def("gram_cuda_workspace", &gram_workspace);
#endif
}

} // namespace onnxray
