"""Which pixels an element really depends on: every row and column of the image is changed in turn, and onnxruntime is
asked which elements of every tensor changed. With positive weights and inputs nothing cancels, so what changed is
exactly the receptive field.

Where a maximum is taken one image does not show everything: the largest element hides the others. So each row is
raised and lowered (cubic interpolation has negative weights), and for unpooling more than one image is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper, shape_inference
from onnxray.engine.structure.graph import Graph
from onnxray.engine.structure.receptive_field.field import Field
from onnxray.engine.structure.receptive_field.propagate import Propagation

Runner = Callable[[np.ndarray], Sequence[np.ndarray]]  # image -> the wanted tensors
RAISED = 1e20  # so much that even (1/3)^60 of it, the share of a corner after sixty 3x3 convolutions, is seen


_SATURATING = {"Clip", "HardSigmoid", "Sigmoid", "Tanh"}
_ARITHMETIC = {"Mul", "Div", "Sub", "Pow"}
_CONFIGURED = {"Resize", "Upsample", "Pad"}  # their float inputs are no weights


def positive(proto: onnx.ModelProto, seed: int = 0) -> onnx.ModelProto:
    """A copy whose weights are random and positive, of a size that keeps activations near 1.

    Functions that saturate, and so hide what they depend on, pass their input on; products and differences of
    activations, which would overflow or cancel, are sums: an element-wise operator depends on the same elements.
    """
    generator = np.random.default_rng(seed)
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    values = shape_inference.infer_shapes(copy).graph
    floats = {
        v.name for v in (*values.value_info, *values.output) if v.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }
    for node in copy.graph.node:
        if node.op_type in _SATURATING:
            node.op_type = "Identity"
            del node.attribute[:], node.input[1:]
        elif node.op_type in _ARITHMETIC and node.output[0] in floats:
            node.op_type = "Add"
    kept = {name for node in copy.graph.node if node.op_type in _CONFIGURED for name in node.input}
    means = {node.input[3] for node in copy.graph.node if node.op_type == "BatchNormalization"}
    for tensor in copy.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 0 and tensor.name not in kept:
            fan = max(int(np.prod(tensor.dims[1:])), 1)
            values = generator.uniform(0.5, 1.5, tuple(tensor.dims)) / fan
            values[...] = 0 if tensor.name in means else values  # a mean taken off would make negative numbers
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    return copy


def _wanted(proto: onnx.ModelProto, only: Collection[str]) -> list[str]:
    names = [name for node in proto.graph.node if node.op_type != "Constant" for name in node.output if name]
    return [name for name in names if name in only] if only else names


def _with_outputs(proto: onnx.ModelProto, names: Collection[str]) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def runtime(proto: onnx.ModelProto, names: Sequence[str]) -> Runner:
    """These tensors by onnxruntime, nothing fused."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    serialized = _with_outputs(proto, names).SerializeToString()
    session = onnxruntime.InferenceSession(serialized, options, providers=["CPUExecutionProvider"])
    image = proto.graph.input[0].name
    return lambda x: session.run(list(names), {image: x})


def support(
    proto: onnx.ModelProto,
    shape: Sequence[int],
    axes: Sequence[int] = (2, 3),
    changes: Sequence[float] = (RAISED,),
    images: int = 1,
    only: Collection[str] = (),
    run: Runner | None = None,  # onnxruntime unless another is given
) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Tensor -> for each axis of the image the first and last pixel each element depends on; (inf, -inf): on none."""
    names = _wanted(proto, only)
    run = run or runtime(proto, names)
    found: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in names}
    pictures = [np.random.default_rng(n).uniform(0.5, 1.5, tuple(shape)).astype(np.float32) for n in range(images)]
    uneven = np.random.default_rng(images).uniform(0.5, 1.0, tuple(shape)).astype(np.float32)
    before = [run(picture) for picture in pictures]
    for axis in axes:
        low = [np.full(np.shape(value), np.inf) for value in before[0]]
        high = [np.full(np.shape(value), -np.inf) for value in before[0]]
        for pixel in range(shape[axis]):
            for picture, old in zip(pictures, before, strict=True):
                for change in changes:
                    other = picture.copy()
                    # Not all by the same amount, which a softmax would not notice.
                    np.moveaxis(other, axis, 0)[pixel] += np.float32(change) * np.moveaxis(uneven, axis, 0)[pixel]
                    for place, value in enumerate(run(other)):
                        changed = ~(np.asarray(value) == old[place])
                        low[place][changed] = np.minimum(low[place][changed], pixel)
                        high[place][changed] = pixel
        for place, name in enumerate(names):
            found[name].append((low[place], high[place]))
    return found


def intervals(field: Field) -> list[tuple[np.ndarray, np.ndarray]]:
    """What onnxray says, written out as `support` does."""
    written = []
    for reach in field.reaches:
        for digit, size in enumerate(field.digits):
            low, high = reach.at(digit, np.arange(size))
            steps = tuple(None if place == digit else step for place, step in enumerate(reach.steps))
            reach = replace(reach, low=low, high=high, steps=steps)
        written.append((reach.low.reshape(field.shape), reach.high.reshape(field.shape)))
    nowhere = np.any([low > high for low, high in written], axis=0)  # nothing along one axis is nothing at all
    return [(np.where(nowhere, np.inf, low), np.where(nowhere, -np.inf, high)) for low, high in written]


def compare(proto: onnx.ModelProto, shape: tuple[int, ...], only: Collection[str] = (), **options: object) -> int:
    """Every tensor's exact field against the oracle; returns how many tensors were compared."""
    image = proto.graph.input[0].name
    measured = support(proto, shape, only=only, **options)  # type: ignore[arg-type]
    graph = Graph(proto, {image: shape})
    fields = Propagation(graph, image, (2, 3), bounded=True).fields
    for name, spans in measured.items():
        if name not in fields:
            assert not any(np.isfinite(low).any() for low, _ in spans), f"{name} is said not to depend on the image"
            continue
        field = fields[name]
        assert field is not None, f"{name}: {graph.producers[name].op} is not known"
        for axis, (said, is_) in enumerate(zip(intervals(field), spans, strict=True)):
            np.testing.assert_array_equal(said[0], is_[0], f"{name}, first pixel, axis {axis}")
            np.testing.assert_array_equal(said[1], is_[1], f"{name}, last pixel, axis {axis}")
    return len(measured)
