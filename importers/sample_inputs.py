"""Inputs for a comparison: seeded noise, as pixels arrive where images go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx

from .input_spec import InputSpec, read_input_spec
from .provenance import SEED


def sample_inputs(
    proto: onnx.ModelProto,
    shapes: Mapping[str, Sequence[int]] = MappingProxyType(
        {}
    ),  # graph input -> shape, for sizes left open; "": any other's
    unsaid: InputSpec | None = None,  # how pixels arrive where the graph does not say; None: as they are
) -> dict[str, np.ndarray]:
    """One value for each graph input: pixels where it has four axes, small numbers elsewhere; open sizes are 1."""
    generator, spec = np.random.default_rng(SEED), read_input_spec(proto) or unsaid or InputSpec()
    others = shapes.get("", ())
    return {value.name: _sample(generator, value, shapes.get(value.name, others), spec) for value in proto.graph.input}


def pixels(generator: np.random.Generator, shape: Sequence[int], spec: InputSpec) -> np.ndarray:  # [N, C, …] float64
    """Evenly spread grey levels, prepared as an image's."""
    across = (1, -1, *[1] * (len(shape) - 2)) if len(shape) > 1 else (-1,)
    mean, scale = np.reshape(spec.mean, across), np.reshape(spec.scale, across)
    prepared: np.ndarray = (generator.uniform(0, 255, tuple(shape)) - mean) * scale
    return prepared


def _sample(
    generator: np.random.Generator, value: onnx.ValueInfoProto, given: Sequence[int], spec: InputSpec
) -> np.ndarray:
    tensor = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    sizes = [dim.dim_value or (given[axis] if axis < len(given) else 1) for axis, dim in enumerate(tensor.shape.dim)]
    if not np.issubdtype(dtype, np.floating):
        is_image = dtype == np.uint8 and len(sizes) == 4
        return generator.integers(0, 256 if is_image else 2, sizes).astype(dtype)
    found = pixels(generator, sizes, spec) if len(sizes) == 4 else generator.normal(size=sizes)
    return found.astype(dtype)
