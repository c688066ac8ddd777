// Max unpooling on the CPU, and what Python calls.
#include "unpool/unpool.hpp"
#include "common/parallel_for.hpp"
#include "common/simd.hpp"

#include <array>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <string>
#include <vector>

namespace py = pybind11;

namespace onnxray {

namespace unpooling {

namespace {

constexpr std::int64_t kGrain = 1 << 15; // windows a piece of work

// What to add to a window's origin to get to each of its taps.
std::vector<std::int64_t> steps(const Geometry &geometry) {
  std::vector<std::int64_t> result(geometry.taps());
  for (std::size_t tap = 0; tap < result.size(); ++tap) {
    result[tap] = geometry.step(tap);
  }
  return result;
}

// Calls visit(window, place) for the windows of a plane, in order; both are flat.
template <class Tap, class Visit>
void for_switches(const Geometry &geometry, const std::vector<std::int64_t> &steps, const Tap *switches,
                  const Visit &visit) {
  const Axis &x = geometry.x, &y = geometry.y, &z = geometry.z;
  const std::int64_t *const step = steps.data();
  std::int64_t window = 0;
  for (std::int64_t at_z = 0; at_z < z.windows; ++at_z) {
    for (std::int64_t at_y = 0; at_y < y.windows; ++at_y) {
      std::int64_t origin = (z.place(at_z, 0) * y.size + y.place(at_y, 0)) * x.size - x.padding;
      for (const std::int64_t end = window + x.windows; window < end; ++window, origin += x.stride) {
        visit(window, origin + step[switches[window]]);
      }
    }
  }
}

// Calls body(plane) for all planes, on several threads.
template <class Body> void for_planes(const Geometry &geometry, const Body &body) {
  const std::int64_t grain = kGrain / std::max<std::int64_t>(1, geometry.windows());
  parallel_for(geometry.planes, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t plane = begin; plane < end; ++plane) {
      body(plane);
    }
  });
}

template <class T, class Tap>
void scatter(const Geometry &geometry, Mode mode, const T *values, const Tap *switches, T *out) {
  const std::vector<std::int64_t> to = steps(geometry);
  const std::int64_t windows = geometry.windows(), size = geometry.size();
  for_planes(geometry, [&](std::int64_t plane) {
    T *const places = out + plane * size;
    const T *const from = values + plane * windows;
    std::fill(places, places + size, T(0));
    for_switches(geometry, to, switches + plane * windows, [&](std::int64_t window, std::int64_t place) {
      places[place] = mode.overwrite ? from[window] : places[place] + from[window];
    });
    if (mode.relu) {
      std::transform(places, places + size, places, [](T value) { return value < 0 ? T(0) : value; });
    }
  });
}

template <class T, class Tap>
void values_at(const Geometry &geometry, const T *out, const Tap *switches, T *values) {
  const std::vector<std::int64_t> from = steps(geometry);
  const std::int64_t windows = geometry.windows(), size = geometry.size();
  for_planes(geometry, [&](std::int64_t plane) {
    for_switches(geometry, from, switches + plane * windows, [&](std::int64_t window, std::int64_t place) {
      values[plane * windows + window] = out[plane * size + place];
    });
  });
}

template <class T, class Tap>
void unpool(const Geometry &geometry, Mode mode, const T *values, const Tap *switches, T *out) {
  if (simd_setting() != Simd::baseline && in_pairs(geometry)) {
    return unpool_pairs(geometry, values, switches, mode.relu, out);
  }
  scatter(geometry, mode, values, switches, out);
}

// [planes, then size, windows, kernel, stride, padding, dilation of z, y and x]
using Numbers = std::array<std::int64_t, 19>;

Geometry geometry_of(const Numbers &n) {
  const auto axis = [&n](int at) {
    return Axis{n[at], n[at + 1], n[at + 2], n[at + 3], n[at + 4], n[at + 5]};
  };
  return {n[0], axis(1), axis(7), axis(13)};
}

template <class T> using Array = py::array_t<T, py::array::c_style>;

template <class T, class Tap>
void py_unpool(const Numbers &numbers, Array<T> values, Array<Tap> switches, Array<T> out, bool overwrite,
               bool relu) {
  const T *const from = values.data();
  const Tap *const taps = switches.data();
  T *const to = out.mutable_data();
  const py::gil_scoped_release release;
  unpool(geometry_of(numbers), {overwrite, relu}, from, taps, to);
}

template <class T, class Tap>
void py_values_at(const Numbers &numbers, Array<T> out, Array<Tap> switches, Array<T> values) {
  const T *const from = out.data();
  const Tap *const taps = switches.data();
  T *const to = values.mutable_data();
  const py::gil_scoped_release release;
  values_at(geometry_of(numbers), from, taps, to);
}

template <class Tap> std::int64_t py_first_invalid(const Numbers &numbers, Array<Tap> switches) {
  const Tap *const taps = switches.data();
  const py::gil_scoped_release release;
  return first_invalid(geometry_of(numbers), taps);
}

template <class Tap>
std::int64_t py_switches_of_places(const Numbers &numbers, Array<std::int64_t> places, Array<Tap> switches) {
  const std::int64_t *const from = places.data();
  Tap *const to = switches.mutable_data();
  const py::gil_scoped_release release;
  return switches_of_places(geometry_of(numbers), from, to);
}

template <class T, class Tap> void bind_values(py::module_ &module) {
  module.def("unpool", &py_unpool<T, Tap>, py::arg(), py::arg().noconvert(), py::arg().noconvert(),
             py::arg().noconvert(), py::arg(), py::arg());
  module.def("values_at", &py_values_at<T, Tap>, py::arg(), py::arg().noconvert(), py::arg().noconvert(),
             py::arg().noconvert());
}

template <class Tap> void bind_switches(py::module_ &module) {
  bind_values<float, Tap>(module);
  bind_values<double, Tap>(module);
  module.def("first_invalid", &py_first_invalid<Tap>, py::arg(), py::arg().noconvert());
  module.def("switches_of_places", &py_switches_of_places<Tap>, py::arg(), py::arg().noconvert(),
             py::arg().noconvert());
}

#ifdef ONNXRAY_WITH_CUDA
template <class T> T *pointer(std::uintptr_t address) { return reinterpret_cast<T *>(address); }

void bind_cuda(py::module_ &module) {
  using Address = std::uintptr_t;
  module.def("unpool_cuda",
             [](const Numbers &numbers, int device, Address stream, const std::string &dtype, int tap_bytes,
                Address values, Address switches, Address out, bool overwrite, bool relu) {
               cuda::unpool({device, stream}, geometry_of(numbers), {overwrite, relu}, dtype_of(dtype),
                            tap_bytes, pointer<void>(values), pointer<void>(switches), pointer<void>(out));
             });
  module.def("values_at_cuda",
             [](const Numbers &numbers, int device, Address stream, const std::string &dtype, int tap_bytes,
                Address from, Address switches, Address values) {
               cuda::values_at({device, stream}, geometry_of(numbers), dtype_of(dtype), tap_bytes,
                               pointer<void>(from), pointer<void>(switches), pointer<void>(values));
             });
  module.def("first_invalid_cuda", [](const Numbers &numbers, int device, Address stream, int tap_bytes,
                                      Address switches, Address first) {
    cuda::first_invalid({device, stream}, geometry_of(numbers), tap_bytes, pointer<void>(switches),
                        pointer<std::int64_t>(first));
  });
  module.def("switches_of_places_cuda", [](const Numbers &numbers, int device, Address stream, int tap_bytes,
                                           Address places, Address switches, Address first) {
    cuda::switches_of_places({device, stream}, geometry_of(numbers), tap_bytes, pointer<std::int64_t>(places),
                             pointer<void>(switches), pointer<std::int64_t>(first));
  });
}
#endif

} // namespace

} // namespace unpooling

void bind_unpool(py::module_ &native) {
  py::module_ module = native.def_submodule("unpool");
  unpooling::bind_switches<std::uint8_t>(module);
  unpooling::bind_switches<std::int32_t>(module);
#ifdef ONNXRAY_WITH_CUDA
  unpooling::bind_cuda(module);
#endif
}

} // namespace onnxray
