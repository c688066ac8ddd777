"""ONNX files, alone or with a file of external data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harness import Target, main


def seeds() -> Iterator[bytes]:
    """Random networks, functions, bodies, sparse tensors, weights beside the file."""
    import numpy as np
    import onnx
    import random_networks
    import tiny_models
    from importers.test_onnx_normalise import FUNCTIONS, IF
    from mutations import packed
    from onnx import numpy_helper

    for text in (tiny_models.CONV_NET, tiny_models.ODD_NET, FUNCTIONS, IF):
        yield tiny_models.model(text).SerializeToString()
    for seed in range(12):
        yield random_networks.random_network(seed).SerializeToString()
    proto = tiny_models.model()
    sparse = proto.graph.sparse_initializer.add(dims=[4])
    sparse.values.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), "sparse"))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.array([3]), "places"))
    yield proto.SerializeToString()
    outside = b""
    for tensor in proto.graph.initializer:
        for key, value in {"location": "net.bin", "offset": len(outside), "length": len(tensor.raw_data)}.items():
            tensor.external_data.add(key=key, value=str(value))
        outside += tensor.raw_data
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
    yield packed([("net.onnx", proto.SerializeToString()), ("net.bin", outside)])


def words() -> Sequence[str]:
    """Every operator, and what else is a name."""
    import onnx

    kinds = {schema.name for schema in onnx.defs.get_all_schemas()}
    more = ["", "location", "../net.bin", "/etc/passwd", "net.bin", "offset", "length", "-1", "ai.onnx.ml", "image"]
    return [*sorted(kinds), *more * 4]


TARGET = Target("onnx", "net.onnx", seeds, words, parts=("net.onnx", "net.bin"), opened="net.onnx")

if __name__ == "__main__":
    main(TARGET)
