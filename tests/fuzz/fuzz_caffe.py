"""Caffe: a prototxt and a caffemodel together, or the caffemodel alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness import Target, main


def seeds() -> Iterator[bytes]:
    """One network a layer type; a network that its caffemodel holds; files of the oldest Caffe."""
    import tiny_caffe
    from importers.test_caffe_files import IMAGE as OLD_IMAGE
    from importers.test_caffe_files import (
        OLD,
        OLDEST,
        TODAY,
        TRAINED,
        TRAINING,
        old_caffemodel,
        stored_net,
        weights_of,
    )
    from importers.test_caffe_layers import IMAGE, LAYERS
    from mutations import packed

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        networks = [(tiny_caffe.deploy(layers, IMAGE), None) for layers in LAYERS.values()]
        for text, trained in (*networks, (TRAINING, TRAINED)):
            prototxt, caffemodel = tiny_caffe.write(folder, text, trained)
            yield packed([("net.prototxt", prototxt.read_bytes()), ("net.caffemodel", caffemodel.read_bytes())])
        weights = weights_of(tiny_caffe.deploy(TODAY, OLD_IMAGE), folder)
        for text, oldest in ((OLD, False), (OLDEST, True)):
            yield packed([("net.prototxt", text.encode()), ("net.caffemodel", old_caffemodel(weights, oldest=oldest))])
        yield stored_net(folder, TODAY).read_bytes()


def words() -> Sequence[str]:
    """Every layer type and every field of the text form."""
    from onnxray.importers.caffe.layers import layer_functions
    from onnxray.importers.caffe.wire_schema import message_class

    fields = [name for kind in ("Net", "Layer") for name in message_class(kind).DESCRIPTOR.fields_by_name]
    return [*layer_functions(), *fields, "data", "out", "{", "}", "TEST", "TRAIN"]


PARTS = ("net.prototxt", "net.caffemodel")
TARGET = Target("caffe", PARTS[1], seeds, words, PARTS, PARTS[0], PARTS[1])

if __name__ == "__main__":
    main(TARGET)
