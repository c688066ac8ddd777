"""Who is the witness of the parity certificate: TensorFlow.js itself in Node, else Keras or TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from ..certificate import Reference
from ..channels_last import channels_first
from ..keras import oracle as keras_oracle
from ..keras.custom import Custom
from ..keras.translate import translate as translate_layers
from ..sample_inputs import sample_inputs
from ..tensorflow import opencv_oracle, tensorflow_oracle
from ..tensorflow.translate import translate as translate_graph
from ..tensorflow.writer import in_file_order
from .graph_model import open_graph
from .layers_model import architecture, open_layers
from .model_json import ModelJson, open_model
from .tfjs_runtime import run_tfjs

_READS = "the original files"


def reference(
    path: Path,
    proto: onnx.ModelProto,
    names: Sequence[str],
    custom: Custom | None,
    output_names: str | None,
    shapes: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,
) -> Reference:
    """Tensors of the same model, by name, as the witness computes them: images channels first, as in the graph.

    Raises InputError where there is none, or it cannot run the model.
    """
    model = open_model(path)
    if model.is_graph:
        return _of_graph(model, proto, names, output_names, shapes, size)
    return _of_layers(model, proto, names, custom)


def _of_layers(model: ModelJson, proto: onnx.ModelProto, names: Sequence[str], custom: Custom | None) -> Reference:
    source = open_layers(model, custom)
    places = translate_layers(source).places
    feeds = keras_oracle.sample_feeds(proto, source.network)
    given = keras_oracle.in_keras(feeds, places)
    wanted = {name: places[name] for name in names if name in places}
    found = run_tfjs(model.path, given, [[place.layer, place.node, place.index] for place in wanted.values()])
    if found is None:
        witness, made = keras_oracle.run_from_parts(architecture(model), source, list(given.values()), wanted)
        return Reference(witness, "its architecture and weights", feeds, made)
    version, values = found
    turned = {
        name: keras_oracle.in_graph(values[number], place)
        for number, (name, place) in enumerate(wanted.items())
        if number in values
    }
    return Reference(f"TensorFlow.js {version}", _READS, feeds, turned)


def _of_graph(
    model: ModelJson,
    proto: onnx.ModelProto,
    names: Sequence[str],
    output_names: str | None,
    shapes: Mapping[str, Sequence[int]],
    size: tuple[int, int] | None,
) -> Reference:
    network = open_graph(model, output_names)
    _, first = translate_graph(network, shapes, size)
    feeds = sample_inputs(proto)
    outputs = dict(network.outputs)
    made = {node.name for node in network.nodes}
    wanted = {name: outputs.get(name, name) for name in names if outputs.get(name, name).partition(":")[0] in made}
    found = run_tfjs(model.path, in_file_order(feeds, first), list(wanted.values()))
    if found is None:
        python = tensorflow_oracle.find_python()
        if python is not None:
            return tensorflow_oracle.reference(model.path, network, proto, names, first, python)
        return opencv_oracle.reference(model.path, network, proto, names, first)
    version, values = found
    turned = {
        name: channels_first(values[number]) if name in first else values[number]
        for number, name in enumerate(wanted)
        if number in values
    }
    return Reference(f"TensorFlow.js {version}", _READS, feeds, turned)
