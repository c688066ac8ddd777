"""Caffe2: predict_net and init_net to ONNX, no Caffe2 installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx


def read(
    path: Path,
    companion: Path | None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,  # graph input -> shape, which the files may leave open
    size: Sequence[int] | int | None = None,  # of the image, likewise
) -> onnx.ModelProto:
    """Read a Caffe2 model; `path` is its predict_net or its init_net, the other one is `companion` or lies beside it.

    The result's tensors are called like Caffe2's blobs (a blob changed in place: its last value).

    Raises InputError when a file is damaged, a weight is missing or an operator is not known; of these all are named.
    """
    from ..errors import InputError
    from ..input_spec import InputSpec, checked, write_input_spec
    from ..provenance import write_source
    from .companion import find_pair
    from .input_shapes import Known, stated_shapes
    from .stored import stored_blobs
    from .translate import translate

    predict, init = find_pair(path, companion)
    blobs = stored_blobs(init.net, init.path)
    try:
        known = Known(shapes or {}, checked({"size": size}).get("size"), stated_shapes(predict.path))
        proto = translate(predict.net, blobs, known)
    except InputError as error:
        raise InputError(f"{predict.path}: {error}") from error
    write_input_spec(proto, InputSpec(input=proto.graph.input[0].name))
    write_source(proto, [predict.path, init.path], "caffe2")
    return proto
