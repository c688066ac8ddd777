// overlay on the CPU: each row of a window is at most five copies: padding, background, patch, background,
// padding.
#include "overlay/overlay.hpp"
#include "common/parallel_for.hpp"

#include <algorithm>
#include <cstring>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <stdexcept>
#include <vector>

namespace py = pybind11;

namespace onnxray {

namespace {

constexpr std::int64_t kGrain = 1 << 15; // numbers a thread writes at least

using Index = std::int64_t;
using Places = py::array_t<Index, py::array::c_style>;
template <class T> using Numbers = py::array_t<T, py::array::c_style>;

// Columns [first, last) of a window, none where first >= last.
struct Part {
  Index first, last;
};

template <class T> struct Overlay {
  const T *background, *patches;
  const Index *patches_at, *at;
  T *out;
  T fill;
  OverlaySizes sizes;

  // Rows [begin, end) of all windows, counted through.
  void rows(Index begin, Index end) const {
    for (Index row = begin; row < end; ++row) {
      const Index position = row / sizes.window_rows;
      write(position, row % sizes.window_rows, out + row * sizes.window_columns * sizes.channels);
    }
  }

  void write(Index position, Index window_row, T *to) const {
    const Index y = at[2 * position] + window_row, left = at[2 * position + 1];
    const Index width = sizes.window_columns;
    const Part inside{std::clamp<Index>(-left, 0, width), std::clamp<Index>(sizes.columns - left, 0, width)};
    if (y < 0 || y >= sizes.rows || inside.first >= inside.last) {
      std::fill_n(to, width * sizes.channels, fill);
      return;
    }
    std::fill_n(to, inside.first * sizes.channels, fill);
    std::fill_n(to + inside.last * sizes.channels, (width - inside.last) * sizes.channels, fill);
    const Index patch_row = y - patches_at[2 * position], patch_left = patches_at[2 * position + 1] - left;
    Part patch{inside.last, inside.last};
    if (patch_row >= 0 && patch_row < sizes.patch_rows) {
      patch = {std::clamp(patch_left, inside.first, inside.last),
               std::clamp(patch_left + sizes.patch_columns, inside.first, inside.last)};
      const T *from =
          patches +
          ((position * sizes.patch_rows + patch_row) * sizes.patch_columns - patch_left) * sizes.channels;
      copy(from, to, patch);
    }
    const T *from = background + (y * sizes.columns + left) * sizes.channels;
    copy(from, to, {inside.first, patch.first});
    copy(from, to, {std::max(patch.last, inside.first), inside.last});
  }

  void copy(const T *from, T *to, Part part) const {
    if (part.first < part.last) {
      std::memcpy(to + part.first * sizes.channels, from + part.first * sizes.channels,
                  static_cast<std::size_t>((part.last - part.first) * sizes.channels) * sizeof(T));
    }
  }
};

template <class T>
void overlay(const Numbers<T> &background, const Numbers<T> &patches, const Places &patches_at,
             const Places &at, Numbers<T> &out, double fill) {
  const OverlaySizes sizes{background.shape(0), background.shape(1), background.shape(2), patches.shape(0),
                           patches.shape(1),    patches.shape(2),    out.shape(1),        out.shape(2)};
  const Overlay<T> work{
      background.data(),    patches.data(), patches_at.data(), at.data(), out.mutable_data(),
      static_cast<T>(fill), sizes};
  const py::gil_scoped_release release;
  const Index row = std::max<Index>(1, sizes.window_columns * sizes.channels);
  parallel_for(sizes.count * sizes.window_rows, kGrain / row + 1,
               [&](Index begin, Index end) { work.rows(begin, end); });
}

#ifdef ONNXRAY_WITH_CUDA
void overlay_cuda(std::uintptr_t background, std::uintptr_t patches, std::uintptr_t places,
                  std::uintptr_t out, const std::vector<Index> &sizes, double fill, const std::string &dtype,
                  int device, std::uintptr_t stream) {
  if (sizes.size() != 8) {
    throw std::invalid_argument("expected 8 sizes");
  }
  overlay_on_device(reinterpret_cast<const void *>(background), reinterpret_cast<const void *>(patches),
                    reinterpret_cast<const Index *>(places), reinterpret_cast<void *>(out),
                    {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], sizes[6], sizes[7]}, fill,
                    dtype_of(dtype), device, stream);
}
#endif

template <class T> void bind(py::module_ &module) {
  module.def("overlay", &overlay<T>, py::arg("background").noconvert(), py::arg("patches").noconvert(),
             py::arg("patches_at").noconvert(), py::arg("at").noconvert(), py::arg("out").noconvert(),
             py::arg("fill"));
}

} // namespace

void bind_overlay(py::module_ &module) {
  bind<float>(module);
  bind<double>(module);
#ifdef ONNXRAY_WITH_CUDA
  module.def("overlay_cuda", &overlay_cuda);
#endif
}

} // namespace onnxray
