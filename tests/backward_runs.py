"""A network's backward pass, written as ONNX and run by onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper
from onnxray.engine.backward.build import Rule, backward_pass
from onnxray.engine.backward.network import joined, prepared
from onnxray.engine.backward.values import known
from onnxray.engine.backward.writer import Writer
from onnxray.engine.model import Model


def with_backward(model: Model, begin: str, to: Sequence[str], rule: Rule) -> tuple[onnx.ModelProto, str, list[str]]:
    """Both passes in one model; the name of the gradient that goes in, and of those that come out."""
    ready = prepared(model)
    writer = Writer({*ready.graph.types, *ready.graph.initializers})
    arriving = writer.free("arriving")
    made = backward_pass(known(ready), {begin: arriving}, to, rule, writer).gradients
    given = [_declared(arriving, len(ready.graph.shape(begin) or ()))]
    outputs = [_declared(made[name], len(ready.graph.shape(name) or ())) for name in to]
    proto = joined(ready, writer, given, outputs, "both")
    onnx.checker.check_model(proto)
    return proto, arriving, [made[name] for name in to]


def gradients(
    model: Model, begin: str, arriving: np.ndarray, images: np.ndarray, to: Sequence[str], rule: Rule = "gradient"
) -> list[np.ndarray]:
    """Of `to`, for that gradient of `begin`."""
    proto, given, found = with_backward(model, begin, to, rule)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    made: list[np.ndarray] = session.run(found, {model.graph.inputs[0]: images, given: arriving})
    return made


def _declared(name: str, rank: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * rank)
