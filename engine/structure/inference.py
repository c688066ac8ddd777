"""onnx's shape inference, kept from taking this process down with it.

Where a kernel is larger than its input the inferred size is negative, and a Slice of that trips an assertion in C++
that ends the process (onnx 1.23). So a graph with a Slice is inferred in a forked child.
"""

from __future__ import annotations

import os
import warnings

import onnx
from onnx import shape_inference

from ...importers.errors import InputError


def survivable_inference(proto: onnx.ModelProto) -> onnx.ModelProto:
    """`proto` with the types and shapes that onnx infers.

    Raises InputError when inference crashes, and whatever onnx raises when it refuses.
    """
    if not hasattr(os, "fork") or all(node.op_type != "Slice" for node in proto.graph.node):
        return shape_inference.infer_shapes(proto, data_prop=True)
    return onnx.ModelProto.FromString(_in_child(proto))


def _in_child(proto: onnx.ModelProto) -> bytes:
    read_end, write_end = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking beside threads: the child calls only onnx
        child = os.fork()
    if child == 0:
        _child(proto, write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as pipe:
        result = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise InputError(
            "expected shapes that fit together, but onnx's inference crashed on them; "
            "an input smaller than a kernel does that: try a larger one with --shape"
        )
    if not result:
        raise ValueError("onnx refuses to infer the shapes of this graph")
    return result


def _child(proto: onnx.ModelProto, write_end: int) -> None:
    """Never returns: neither buffers nor exit handlers of the parent may run twice."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the assertion prints itself
        with os.fdopen(write_end, "wb") as pipe:
            pipe.write(shape_inference.infer_shapes(proto, data_prop=True).SerializeToString())
        code = 0
    finally:
        os._exit(code)
