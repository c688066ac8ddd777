"""Programs of PaddlePaddle 3 (PIR, JSON), written operator by operator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_WORDS = {"float32": "f32", "int64": "i64", "int32": "i32", "bool": "bool"}


class Program:
    """Operators in order; what each makes is a number for others to take."""

    def __init__(self) -> None:
        self.operators: list[dict[str, Any]] = []
        self._count = 0

    def weight(self, name: str, value: np.ndarray) -> int:
        """A parameter, whose numbers are in the other file."""
        made = self._value(value.shape, value.dtype.name)
        self.operators.append({"#": "p", "A": [0, 1, 1, name], "DA": [], "O": made, "OA": [1, 0, 1], "QA": []})
        return int(made["%"])

    def feed(self, name: str, shape: Sequence[int]) -> int:
        """An input."""
        said = {"name": name, "shape": _typed("1.a_intarray", list(shape)), "dtype": _typed("1.a_dtype", "float32")}
        said["place"] = _typed("1.a_place", [0, 0, ""])
        return self.add("data", [], [shape], **said)[0]

    def ints(self, *numbers: int) -> int:
        """A list of integers."""
        made = self._value([len(numbers)], "int64")
        said = {
            "value": _longs(*numbers),
            "dtype": _typed("1.a_dtype", "int64"),
            "place": _typed("1.a_place", [1, 0, ""]),
        }
        return self._operator("1.full_int_array", [], [made], said)[0]

    def number(self, number: float, dtype: str = "float32") -> int:
        """A single number."""
        made = self._value([1], dtype)
        shape, value = _typed("1.a_intarray", [1]), _typed("0.a_f64", number)
        said = {"shape": shape, "value": value, "dtype": _typed("1.a_dtype", dtype)}
        said["place"] = _typed("1.a_place", [1, 0, ""])
        return self._operator("1.full", [], [made], said)[0]

    def add(self, name: str, /, inputs: Sequence[int], shapes: Sequence[Sequence[int]], **attributes: Any) -> list[int]:
        """An operator of PaddlePaddle's own dialect that makes tensors of these shapes; 0: an input left out."""
        return self._operator(f"1.{name}", inputs, [self._value(shape) for shape in shapes], attributes)

    def combine(self, inputs: Sequence[int]) -> int:
        """Several tensors as one value."""
        self._count += 1
        kind = {"#": "0.t_vec", "D": [_kind([-1], "float32") for _ in inputs]}
        return self._operator("0.combine", inputs, [{"%": self._count, "TT": kind}], {})[0]

    def fetch(self, value: int) -> None:
        """An output."""
        self.add("fetch", [value], [[-1]], name="fetch_name_0", col=0)

    def bytes(self) -> bytes:
        """The file."""
        block = {"#": "block_0", "args": [], "ops": self.operators}
        program = {"regions": [{"#": "region_0", "blocks": [block]}]}
        return json.dumps({"base_code": {"magic": "pir", "trainable": True, "version": 4}, "program": program}).encode()

    def _value(self, shape: Sequence[int], dtype: str = "float32") -> dict[str, Any]:
        self._count += 1
        return {"%": self._count, "TT": _kind(shape, dtype)}

    def _operator(
        self, name: str, inputs: Sequence[int], made: list[dict[str, Any]], attributes: Mapping[str, Any]
    ) -> list[int]:
        said = [{"N": key, "AT": _attribute(value)} for key, value in attributes.items()]
        self.operators.append({"#": name, "A": said, "I": [{"%": each} for each in inputs], "O": made, "OA": []})
        return [int(each["%"]) for each in made]


def _kind(shape: Sequence[int], dtype: str) -> dict[str, Any]:
    return {"#": "0.t_dtensor", "D": [{"#": f"0.t_{_WORDS[dtype]}"}, list(shape), "NCHW", [], 0]}


def _typed(kind: str, value: Any) -> dict[str, Any]:
    return {"#": kind, "D": value}


def _longs(*numbers: int) -> dict[str, Any]:
    return _typed("0.a_array", [_typed("0.a_i64", number) for number in numbers])


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return _typed("0.a_array", [_attribute(each) for each in value])
    word = {bool: "bool", int: "i32", float: "f32", str: "str"}[type(value)]
    return _typed(f"0.a_{word}", value)


def small(weights: Mapping[str, np.ndarray]) -> bytes:
    """The network of `tiny_paddle.small`."""
    program = Program()
    kernel, bias, matrix = (program.weight(name, weights[name]) for name in ("conv.w_0", "conv.b_0", "fc.w_0"))
    x = program.feed("x", [-1, 3, -1, -1])
    said = {"paddings": [1, 1], "strides": [2, 2], "dilations": [1, 1], "groups": 1, "padding_algorithm": "EXPLICIT"}
    (found,) = program.add("conv2d", [x, kernel], [[-1, 4, -1, -1]], data_format="NCHW", **said)
    (across,) = program.add("reshape", [bias, program.ints(1, -1, 1, 1)], [[1, 4, 1, 1]])
    (found,) = program.add("add", [found, across], [[-1, 4, -1, -1]])
    (found,) = program.add("relu", [found], [[-1, 4, -1, -1]])
    border = {key: _longs(*value) for key, value in {"strides": (1, 1), "paddings": (0, 0)}.items()}
    pooled = {"pooling_type": "avg", "adaptive": True, "ceil_mode": False, **border}
    pooled.update(exclusive=True, data_format="NCHW", global_pooling=False, padding_algorithm="EXPLICIT")
    (found,) = program.add("pool2d", [found, program.ints(1, 1)], [[-1, 4, 1, 1]], **pooled)
    (found,) = program.add("flatten", [found], [[-1, 4]], start_axis=1, stop_axis=3)
    (found,) = program.add("matmul", [found, matrix], [[-1, 3]], transpose_x=False, transpose_y=False)
    (found,) = program.add("scale", [found, program.number(1.0)], [[-1, 3]], bias=0.0, bias_after_scale=True)
    (found,) = program.add("softmax", [found], [[-1, 3]], axis=-1)
    program.fetch(found)
    return program.bytes()
