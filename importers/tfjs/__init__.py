"""TensorFlow.js: layers-models and graph-models (model.json and its weights) to ONNX, no JavaScript run.

A layers-model is a Keras architecture, a graph-model a TensorFlow graph; both are translated by those formats' own
tables. What is of TensorFlow.js alone is read here: the JSON, the shards, quantised weights, fused operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx

if TYPE_CHECKING:
    from ..certificate import Reference
    from ..keras.custom import Custom


def read(
    path: Path,
    companion: Path | None,
    *,
    custom: Custom | None = None,  # as of Keras, for layers-models
    output_names: str | None = None,  # nodes of a graph-model, with commas
    shapes: Mapping[str, Sequence[int]] | None = None,  # input of a graph-model -> shape, where the file leaves it open
    size: Any = None,  # of images whose sides the file leaves open
) -> onnx.ModelProto:
    """Read a model.json and the weights beside it: images channels first, tensors under the names of the file.

    Raises InputError when the files are damaged or do not fit each other, lead out of their folder, or hold layers or
    operators that are not known, all of which are named.
    """
    from ..keras import converted as converted_layers
    from ..provenance import write_source
    from ..tensorflow import converted as converted_graph
    from .graph_model import open_graph
    from .layers_model import open_layers
    from .model_json import open_model

    model = open_model(path)
    if model.is_graph:
        proto = converted_graph(open_graph(model, output_names, custom), path, shapes, size)
    else:
        proto = converted_layers(open_layers(model, custom, output_names))
    write_source(proto, model.files, "tfjs")
    return proto


def reference(
    path: Path,
    companion: Path | None,
    proto: onnx.ModelProto,
    names: Sequence[str],
    *,
    custom: Custom | None = None,
    output_names: str | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
    size: Any = None,
) -> Reference:
    """Tensors of the same model as TensorFlow.js computes them, for the parity certificate."""
    from ..input_spec import checked
    from .oracle import reference

    return reference(path, proto, names, custom, output_names, shapes or {}, checked({"size": size}).get("size"))
