"""Operators in the forms they had before opset 13, which onnx's node cases lack: onnxruntime is the oracle."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from backend_cases import Case, run_onnxruntime
from onnx import helper

# (opset, operator, shapes of the real inputs or arrays, attributes, number of outputs)
FORMS: list[tuple[int, str, list[Any], dict[str, Any], int]] = [
    (9, "Slice", [(3, 4, 5)], {"starts": [0, -3], "ends": [2, 100], "axes": [0, 2]}, 1),
    (9, "Slice", [(3, 4)], {"starts": [1, 0], "ends": [-1, 3]}, 1),
    (10, "Slice", [(3, 4), np.array([2, -1]), np.array([0, -9]), np.array([0, 1]), np.array([-1, -2])], {}, 1),
    (11, "Split", [(2, 6)], {"axis": 1, "split": [1, 2, 3]}, 3),
    (7, "Split", [(4, 3)], {}, 2),
    (7, "Pad", [(2, 3, 4)], {"pads": [0, 1, -1, 0, 0, 2], "value": 1.5}, 1),
    (10, "Pad", [(2, 3, 4)], {"pads": [0, 1, 2, 0, 0, 3], "mode": "reflect"}, 1),
    (10, "Pad", [(2, 3, 4)], {"pads": [0, 1, 2, 0, 0, 3], "mode": "edge"}, 1),
    (9, "TopK", [(3, 5)], {"k": 2, "axis": 1}, 2),
    (10, "TopK", [(3, 5), np.array([3])], {"axis": 0}, 2),
    (7, "Squeeze", [(1, 3, 1, 2)], {"axes": [0, 2]}, 1),
    (11, "Squeeze", [(1, 3, 1, 2)], {"axes": [-2]}, 1),
    (7, "Unsqueeze", [(3, 2)], {"axes": [3, 0]}, 1),
    (11, "Unsqueeze", [(3, 2)], {"axes": [-1, 0]}, 1),
    (7, "Flatten", [(2, 3, 4)], {"axis": 2}, 1),
    (7, "Concat", [(2, 3), (2, 1)], {"axis": 1}, 1),
    (7, "DepthToSpace", [(1, 8, 2, 3)], {"blocksize": 2}, 1),
    (9, "Scatter", [(3, 3), np.array([[1, 0, 2], [0, 2, 1]]), (2, 3)], {"axis": 0}, 1),
    (11, "ScatterElements", [(3, 3), np.array([[1, 0, 1], [0, -1, 1]]), (2, 3)], {"axis": 0}, 1),
    (11, "ScatterND", [(4, 2), np.array([[1], [3], [1]]), (3, 2)], {}, 1),
    (11, "GatherND", [(2, 3, 4), np.array([[1, -1], [0, 2]])], {}, 1),
    (8, "Expand", [(3, 1), np.array([2, 1, 4])], {}, 1),
    (7, "Tile", [(2, 3), np.array([2, 1])], {}, 1),
    (7, "Clip", [(3, 4)], {"min": -0.25, "max": 0.5}, 1),
    (7, "Softmax", [(2, 3, 4)], {}, 1),
    (11, "Softmax", [(2, 3, 4)], {"axis": 2}, 1),
    (7, "LogSoftmax", [(2, 3, 4)], {"axis": 1}, 1),
    (11, "Hardmax", [(2, 3, 4)], {"axis": 1}, 1),
    (7, "Dropout", [(3, 4)], {"ratio": 0.3}, 1),
    (7, "BatchNormalization", [(2, 3, 4), (3,), (3,), (3,), np.array([0.5, 1.0, 2.0], np.float32)], {}, 1),
    (7, "Upsample", [(1, 1, 2, 3)], {"scales": [1.0, 1.0, 2.0, 2.0]}, 1),
    (9, "Upsample", [(1, 1, 2, 3), np.array([1, 1, 2, 3], np.float32)], {"mode": "nearest"}, 1),
    (9, "Upsample", [(1, 1, 2, 3), np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}, 1),
    (10, "Resize", [(1, 1, 3, 4), np.array([1, 1, 2, 2], np.float32)], {}, 1),
    (10, "Resize", [(1, 1, 3, 4), np.array([1, 1, 1.5, 0.5], np.float32)], {"mode": "linear"}, 1),
    (7, "ReduceSum", [(2, 3, 4)], {"axes": [1], "keepdims": 0}, 1),
    (11, "ReduceMean", [(2, 3, 4)], {"axes": [-1, 0]}, 1),
    (7, "ReduceMax", [(2, 3, 4)], {}, 1),
    (7, "AveragePool", [(1, 2, 5, 5)], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}, 1),
    (7, "MaxPool", [(1, 2, 5, 5)], {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"}, 1),
    (7, "GlobalLpPool", [(1, 2, 3, 3)], {"p": 3}, 1),
    (7, "LpPool", [(1, 2, 5, 5)], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "p": 3}, 1),
    (
        7,
        "MaxRoiPool",
        [(2, 2, 6, 6), np.array([[0, 0, 0, 3, 3], [1, 1, 2, 5, 5], [0, 2, 1, 4, 5]], np.float32)],
        {"pooled_shape": [2, 2]},
        1,
    ),
    (7, "Gemm", [(2, 3), (3, 4), (4,)], {"alpha": 0.5, "beta": 2.0}, 1),
    (8, "Sum", [(2, 3), (3,), (1,)], {}, 1),
    (7, "PRelu", [(2, 3, 4), (3, 1)], {}, 1),
    (11, "CumSum", [(2, 3), np.array(1)], {"exclusive": 1, "reverse": 1}, 1),
    (11, "OneHot", [np.array([[1, -1], [7, 2]]), np.array(3), (2,)], {"axis": 1}, 1),
    (9, "OneHot", [np.array([1, 0]), np.array(3), (2,)], {}, 1),
    (7, "Cast", [(2, 3)], {"to": 11}, 1),
    (9, "ConstantOfShape", [np.array([2, 0, 3])], {}, 1),
    (11, "Range", [np.array(1.0, np.float32), np.array(3.2, np.float32), np.array(0.5, np.float32)], {}, 1),
]


@cache
def old_cases() -> tuple[Case, ...]:
    """One case a row, with what onnxruntime computes as its expectation."""
    return tuple(_cases())


def _cases() -> Iterator[Case]:
    generator = np.random.default_rng(3)
    for number, (opset, op, inputs, attributes, outputs) in enumerate(FORMS):
        values = tuple(
            value if isinstance(value, np.ndarray) else generator.normal(size=value).astype(np.float32)
            for value in inputs
        )
        names = [f"input_{place}" for place in range(len(values))]
        results = [f"output_{place}" for place in range(outputs)]
        node = helper.make_node(op, names, results, op.lower(), **attributes)
        given = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
            for name, value in zip(names, values, strict=True)
        ]
        made = [helper.make_empty_tensor_value_info(name) for name in results]
        graph = helper.make_graph([node], op, given, made)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=7)
        expected = tuple(run_onnxruntime(Case(op, model, values, (), 0, 0)))
        for value, result in zip(model.graph.output, expected, strict=True):
            value.type.tensor_type.elem_type = helper.np_dtype_to_tensor_dtype(result.dtype)
        yield Case(f"{op}_{opset}_{number}", model, values, expected, 1e-4, 1e-6)
