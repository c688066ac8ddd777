"""PaddlePaddle 3's programs (PIR, inference.json) to the same plain data as the older ones.

In these an operator takes values by their numbers, in a fixed order; sizes and axes are values, too. A table says what
the operator was called before, and what its values were.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from .reader import Operator, Program, Variable
from .wire_schema import enum_number

# The new name: the older one, what its values are (@name: an attribute) > what it makes; attributes that changed names.
_SAME = (
    "relu relu6 sigmoid tanh exp log sqrt rsqrt square abs floor ceil reciprocal erf sin cos sign softsign swish silu "
    "mish gelu elu celu selu softplus log_softmax softmax pixel_shuffle channel_shuffle shuffle_channel logical_not "
    "flip assign p_norm"
)
_BINARY = (
    "add:elementwise_add subtract:elementwise_sub multiply:elementwise_mul divide:elementwise_div "
    "maximum:elementwise_max minimum:elementwise_min elementwise_pow:elementwise_pow floor_divide:elementwise_floordiv "
    "equal:equal not_equal:not_equal less_than:less_than less_equal:less_equal greater_than:greater_than "
    "greater_equal:greater_equal logical_and:logical_and logical_or:logical_or bmm:bmm"
)
OPERATORS = {
    **{name: f"{name} X > Out" for name in _SAME.split()},
    **{new: f"{old} X Y > Out" for new, _, old in (pair.partition(":") for pair in _BINARY.split())},
    **{
        f"{name}_interp": f"{name}_interp_v2 X OutSize *SizeTensor Scale > Out; data_format=data_layout"
        for name in ("nearest", "linear", "bilinear", "trilinear", "bicubic")
    },
    **{
        name: f"reduce_{name} X @dim > Out; keepdim=keep_dim axis=dim dtype=out_dtype"
        for name in ("sum", "mean", "max", "min", "prod")
    },
    "conv2d": "conv2d Input Filter > Output",
    "depthwise_conv2d": "depthwise_conv2d Input Filter > Output",
    "conv3d": "conv3d Input Filter > Output",
    "conv2d_transpose": "conv2d_transpose Input Filter @output_size > Output",
    "depthwise_conv2d_transpose": "depthwise_conv2d_transpose Input Filter @output_size > Output",
    "pool2d": "pool2d X @ksize > Out",
    "max_pool2d_with_index": "max_pool2d_with_index X > Out Mask; kernel_size=ksize",
    "batch_norm": "batch_norm X Mean Variance Scale Bias > Y; data_format=data_layout",
    "layer_norm": "layer_norm X Scale Bias > Y",
    "group_norm": "group_norm X Scale Bias > Y; data_format=data_layout",
    "instance_norm": "instance_norm X Scale Bias > Y",
    "affine_channel": "affine_channel X Scale Bias > Out; data_format=data_layout",
    "norm": "norm X > Out",
    "dropout": "dropout X Seed @dropout_prob > Out; mode=dropout_implementation",
    "hardswish": "hard_swish X > Out",
    "hardsigmoid": "hard_sigmoid X > Out",
    "hardtanh": "brelu X > Out",
    "leaky_relu": "leaky_relu X > Out; negative_slope=alpha",
    "prelu": "prelu X Alpha > Out",
    "pow": "pow X > Out; y=factor",
    "clip": "clip X @min @max > Out",
    "scale": "scale X @scale > Out",
    "add_n": "sum *X > Out",
    "matmul": "matmul_v2 X Y > Out; transpose_x=trans_x transpose_y=trans_y",
    "reshape": "reshape2 X Shape > Out",
    "flatten": "flatten_contiguous_range X > Out",
    "squeeze": "squeeze2 X @axes > Out",
    "unsqueeze": "unsqueeze2 X @axes > Out",
    "transpose": "transpose2 X > Out; perm=axis",
    "concat": "concat *X @axis > Out",
    "stack": "stack *X > Y",
    "split": "split X @sections @axis > Out",
    "split_with_num": "split X @axis > Out",
    "unbind": "unbind X > Out",
    "unstack": "unstack X > Y",
    "slice": "slice Input StartsTensor EndsTensor > Out",
    "strided_slice": "strided_slice Input StartsTensor EndsTensor StridesTensor > Out",
    "gather": "gather X Index @axis > Out",
    "gather_nd": "gather_nd X Index > Out",
    "index_select": "index_select X Index > Out; axis=dim",
    "embedding": "lookup_table_v2 Ids W > Out",
    "where": "where Condition X Y > Out",
    "expand": "expand_v2 X Shape > Out",
    "expand_as": "expand_as_v2 X Y > Out",
    "tile": "tile X RepeatTimes > Out",
    "pad": "pad X @pad_value > Out",
    "pad3d": "pad3d X Paddings > Out; pad_value=value",
    "argmax": "arg_max X @axis > Out",
    "argmin": "arg_min X @axis > Out",
    "topk": "top_k_v2 X @k > Out Indices",
    "cast": "cast X > Out; dtype=out_dtype",
    "share_data": "assign X > Out",
    "shape": "shape Input > Out",
    "shape64": "shape Input > Out",
    "full": "fill_constant > Out",
    "full_like": "fill_any_like X @value > Out",
    "full_batch_size_like": "fill_constant_batch_size_like Input > Out",
    "full_int_array": "assign_value > Out; value=values",
    "arange": "range Start End Step > Out",
}
_DIALECTS = {"0": "builtin", "1": "pd_op", "2": "cf"}
_KINDS = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64", "ui8": "uint8"}
_INTEGERS = {"i8": "int8", "i16": "int16", "i32": "int32", "i64": "int64", "bool": "bool"}
_DAMAGES = (KeyError, TypeError, IndexError, ValueError, ArithmeticError, AttributeError, StopIteration)


def read_pir(data: bytes) -> Program:
    """Raises InputError when it is damaged or not meant for inference."""
    try:
        blocks = [block for region in json.loads(data)["program"]["regions"] for block in region["blocks"]]
        reading = _Reading()
        for operator in blocks[0]["ops"]:
            reading.add(operator)
    except RecursionError:
        raise InputError("expected a PaddlePaddle program, found brackets nested too deep") from None
    except _DAMAGES as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"expected a PaddlePaddle program (PIR), found damaged content ({error!r})") from None
    if not reading.feeds or not reading.fetches:
        raise InputError("the program does not say what is fed and what is fetched; save it with paddle.jit.save")
    return Program(reading.variables, reading.operators, reading.feeds, reading.fetches)


class _Reading:
    """A program while it is read. A value is one variable or, where operators take several at once, a list."""

    def __init__(self) -> None:
        self.variables: dict[str, Variable] = {}
        self.operators: list[Operator] = []
        self.feeds: list[str] = []
        self.fetches: list[str] = []
        self._values: dict[int, list[str]] = {}
        self._constants: dict[str, Any] = {}  # variable -> number or list that is known now

    def add(self, written: dict[str, Any]) -> None:
        """One operator, in the file's order."""
        word = written["#"]
        if word == "p":
            self._made(written["O"], written["A"][3], persistable=True)
            return
        dialect, _, name = word.partition(".")
        full_name = f"{_DIALECTS.get(dialect, dialect)}.{name}"
        taken = [self._values[each["%"]] if each["%"] else [] for each in written["I"]]
        attributes = {each["N"]: _attribute(each["AT"]) for each in written["A"]}
        if full_name == "builtin.combine":
            self._values[written["O"][0]["%"]] = _flat(taken)
        elif full_name == "builtin.split":
            for output, variable in zip(written["O"], taken[0], strict=True):
                self._values[output["%"]] = [variable]
        elif full_name == "builtin.slice":
            self._values[written["O"][0]["%"]] = [taken[0][attributes["index"]]]
        elif full_name in ("pd_op.data", "pd_op.feed"):
            self.feeds += self._made(written["O"][0], attributes["name"])
        elif full_name == "pd_op.fetch":
            self.fetches += taken[0]
        else:
            made = [self._made(each, f"{name}_{each['%']}") if each["%"] else [] for each in written["O"]]
            self._translate(full_name, taken, made, attributes)

    def _made(self, value: dict[str, Any], name: str, persistable: bool = False) -> list[str]:
        """The variables of a value, which are called so."""
        kind = value["TT"]
        parts = kind["D"] if kind["#"].endswith("t_vec") else [kind]
        names = [name] if parts == [kind] else [f"{name}_{at}" for at in range(len(parts))]
        for variable, part in zip(names, parts, strict=True):
            if not isinstance(variable, str) or variable in self.variables:
                raise InputError(f"two variables of the program are called {variable}; the file is damaged")
            if part["#"].endswith("t_dtensor"):
                word, shape = part["D"][0]["#"].rpartition("t_")[2], tuple(_side(side) for side in part["D"][1])
                dtype = {**_KINDS, **_INTEGERS}.get(word, word)
                self.variables[variable] = Variable(variable, dtype, shape, persistable)
        self._values[value["%"]] = names
        return names

    def _translate(
        self, full_name: str, taken: Sequence[list[str]], made: Sequence[list[str]], attributes: dict[str, Any]
    ) -> None:
        name = full_name.removeprefix("pd_op.")
        row = OPERATORS.get(name.removesuffix("_"))  # which says that it may work in place
        if row is None:  # refused later, with all others, where its results are read
            self.operators.append(Operator(full_name, {"X": _flat(taken)}, {"Out": _flat(made)}))
            return
        sides, _, renames = row.partition(";")
        takes, _, gives = sides.partition(">")
        kind, *operands = takes.split()
        for new, _, old in (pair.partition("=") for pair in renames.split()):
            if new in attributes:
                attributes[old] = attributes.pop(new)
        inputs: dict[str, list[str]] = {}
        for operand, names in zip(operands, taken, strict=False):
            if operand.startswith("@") and names:
                attributes[operand[1:]] = self._known(full_name, names[0], operand[1:])
            elif names:
                inputs[operand.lstrip("*")] = names
        outputs = dict(zip(gives.split(), made, strict=False))
        if kind in ("fill_constant", "assign_value"):
            self._keep(kind, made[0][0], attributes)
        self.operators.append(Operator(kind, inputs, outputs, attributes))

    def _known(self, operator: str, variable: str, attribute: str) -> Any:
        if variable not in self._constants:
            raise InputError(f"{operator}: its {attribute} is computed, which is not supported")
        value = self._constants[variable]
        return value[0] if isinstance(value, list) and attribute == "axis" else value

    def _keep(self, kind: str, variable: str, attributes: dict[str, Any]) -> None:
        if kind == "assign_value":
            attributes["shape"] = [len(attributes["values"])]
            self._constants[variable] = attributes["values"]
            return
        integers = self.variables[variable].dtype.startswith("int")
        value = attributes["value"]
        self._constants[variable] = int(value) if integers else float(value)


def _side(number: Any) -> int:
    if not -1 <= int(number) < 1 << 62:
        raise ValueError(f"a size of {number}")
    return int(number)


def _flat(lists: Sequence[list[str]]) -> list[str]:
    return [name for names in lists for name in names]


def _attribute(written: Any) -> Any:
    """A number, text or list; types of numbers as the older format numbers them."""
    kind, value = written["#"].partition(".")[2], written["D"]
    if kind == "a_dtype":
        return -1 if value == "UNDEFINED" else enum_number("Kind", value)
    if kind == "a_array":
        return [_attribute(each) for each in value]
    return value
