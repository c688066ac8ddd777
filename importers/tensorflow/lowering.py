"""A node as an operator of TensorFlow Lite's kind: what both formats share is translated by the same functions.

TensorFlow Lite's operators come from TensorFlow's, mean the same and have channels last too; what a node says
otherwise (options of another name, numbers as words) is said here in their words beside its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..tflite.reader import Operator
from .reader import Node

_DEFAULTS: Mapping[str, Any] = {  # of attributes that files leave out where they have this value
    "data_format": "NHWC",
    "keep_dims": False,
    "offset": 0,
    "beta": 1.0,
    "alpha": 0.2,
    "axis": 0,
    "batch_dims": 0,
    "begin_mask": 0,
    "end_mask": 0,
    "ellipsis_mask": 0,
    "new_axis_mask": 0,
    "shrink_axis_mask": 0,
    "squeeze_dims": [],
    "align_corners": False,
    "half_pixel_centers": False,
    "adj_x": False,
    "adj_y": False,
    "transpose_a": False,
    "transpose_b": False,
    "exclusive": False,
    "reverse": False,
    "is_training": True,
    "epsilon": 1e-4,
    "depth_radius": 5,
    "bias": 1.0,
    "num_bits": 8,
    "narrow_range": False,
    "equation": "",
    "padding": "VALID",
    "explicit_paddings": [],
    "strides": [],
    "dilations": [],
    "ksize": [],
    "block_size": 0,
    "mode": "REFLECT",
    "num_split": 0,
}
_OWN_DEFAULTS: Mapping[tuple[str, str], Any] = {  # of operators whose default is another
    ("LRN", "alpha"): 1.0,
    ("LRN", "beta"): 0.5,
    ("OneHot", "axis"): -1,
    ("Conv3D", "data_format"): "NDHWC",
    ("Conv3DBackpropInputV2", "data_format"): "NDHWC",
    ("AvgPool3D", "data_format"): "NDHWC",
    ("MaxPool3D", "data_format"): "NDHWC",
}
_RESULT_ATTRIBUTES: Mapping[str, str] = {  # operator -> attribute that says the type of what it makes; else T
    "Cast": "DstT",
    "Const": "dtype",
    "Placeholder": "dtype",
    "Shape": "out_type",
    "Size": "out_type",
    "ArgMax": "output_type",
    "ArgMin": "output_type",
    "Range": "Tidx",
    "Gather": "Tparams",
    "GatherV2": "Tparams",
    "GatherNd": "Tparams",
    "VarHandleOp": "dtype",
}
_RESULT_TYPES: Mapping[str, str] = {
    **dict.fromkeys(("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"), "BOOL"),
    **dict.fromkeys(("LogicalAnd", "LogicalOr", "LogicalNot", "LogicalXor", "Any", "All"), "BOOL"),
    **dict.fromkeys(("IsNan", "IsInf", "IsFinite"), "BOOL"),
    **dict.fromkeys(("ResizeBilinear", "ResizeBicubic"), "FLOAT32"),
    "Rank": "INT32",
}
_LATER_OUTPUTS: Mapping[str, str] = {"TopK": "INT32", "TopKV2": "INT32"}
_DEFAULT_TYPES: Mapping[str, str] = {"output_type": "INT64", "out_type": "INT32", "Tidx": "INT32"}


def lower(node: Node, inputs: Sequence[str], outputs: Sequence[str]) -> Operator:
    """The operator with all options that any function asks for."""
    given = {**_DEFAULTS, **{name: value for (op, name), value in _OWN_DEFAULTS.items() if op == node.op}}
    given.update({name: value for name, value in node.attributes.items() if value is not None})
    return Operator(node.op, list(inputs), list(outputs), {**given, **_in_their_words(node, given)})


def _in_their_words(node: Node, given: Mapping[str, Any]) -> dict[str, Any]:
    kind = result_type(node, 0)
    return {
        "num_splits": given["num_split"],
        "radius": given["depth_radius"],
        "mode": 1 if str(given["mode"]) == "SYMMETRIC" else 0,
        "output_type": 4 if kind == "INT64" else 2,
    }


def result_type(node: Node, index: int) -> str:
    """The type of one of its outputs, in TensorFlow Lite's words; "" where the file does not say."""
    if index and node.op in _LATER_OUTPUTS:
        return _LATER_OUTPUTS[node.op]
    if node.op in _RESULT_TYPES:
        return _RESULT_TYPES[node.op]
    name = _RESULT_ATTRIBUTES.get(node.op, "T")
    kind = node.attributes.get(name)
    return kind if isinstance(kind, str) and kind else _DEFAULT_TYPES.get(name, "")


def spatial(values: Sequence[int], data_format: str, owner: str) -> list[int]:
    """Of numbers for every axis those for height, width (and depth); none where there are none.

    Raises InputError when they step over images or channels.
    """
    if not values:
        return []
    inner = slice(1, -1) if data_format.endswith("C") else slice(2, None)
    if len(values) != len(data_format) or any(value != 1 for value in (values[0], values[_channel(data_format)])):
        raise InputError(f"{owner}: {list(values)} for {data_format}; expected 1 for images and channels")
    return [int(value) for value in values[inner]]


def _channel(data_format: str) -> int:
    return data_format.index("C") if "C" in data_format else -1
