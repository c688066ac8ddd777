"""PyTorch: what is looked up in a file before torch may read it. torch itself runs in the sandbox, not in here."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from harness import Target, main


class _Evil:
    """Unpickling it would start a program."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("exit 1",)


def seeds() -> Iterator[bytes]:
    """Weights of each age, with and without code; a script, a program, safetensors."""
    import torch
    from importers.test_pytorch_security import in_tar, zipped

    for value in ({"w": torch.zeros(2, 3)}, {"state_dict": {"w": torch.zeros(2), "n": 3}}, {"w": _Evil()}):
        for options in ({}, {"_use_new_zipfile_serialization": False}, {"pickle_protocol": 4}):
            stream = io.BytesIO()
            torch.save(value, stream, **options)
            yield stream.getvalue()
    yield pickle.dumps({"w": [1, 2.5, None, "text", (b"bytes", {3})]}, 2)
    yield in_tar(pickle.dumps(_Evil(), 2))
    source = b"class Tiny(Module):\n  def forward(self, x: Tensor) -> Tensor:\n    return torch.relu(x)\n"
    script = {"t/data.pkl": pickle.dumps({}, 2), "t/constants.pkl": pickle.dumps((), 2), "t/code/__torch__.py": source}
    yield zipped({**script, "t/version": b"3\n"})
    node = {"target": "torch.ops.aten.relu.default", "inputs": [{"expr_str": "2*s0"}], "outputs": []}
    graph = json.dumps({"graph_module": {"graph": {"nodes": [node]}}}).encode()
    weights = json.dumps({"config": {"w": {"path_name": "weight_0", "use_pickle": True}}}).encode()
    members = {"archive_format": b"pt2", "models/model.json": graph, "data/weights/model_weights_config.json": weights}
    members["data/weights/weight_0"] = pickle.dumps({}, 2)
    yield zipped({f"p/{name}": content for name, content in members.items()})
    header = json.dumps({"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
    yield struct.pack("<Q", len(header)) + header + bytes(16)


def words() -> Sequence[str]:
    """Modules, names, operators, keys and members."""
    return [
        *("os", "posix", "system", "builtins", "eval", "exec", "collections", "OrderedDict", "torch", "Tensor"),
        *("torch._utils", "_rebuild_tensor_v2", "torch.storage", "numpy.core.multiarray", "scalar", "__main__"),
        *("torch.ops.aten.add.Tensor", "torch.from_file", "aten::from_file", "expr_str", "path_name", "use_pickle"),
        *("data.pkl", "constants.pkl", "code/a.py", "archive_format", "models/a.json", "byteorder", "__metadata__"),
        *("F32", "BF16", "F77", "dtype", "shape", "data_offsets", "import os", "s0.__class__", "ops.load", "prim"),
    ]


class _Scanned(Target):
    """Where the scan lets a file through the sandbox would start, which is left out here: it counts as read."""

    def _refusal(self, path: Path, options: Mapping[str, Any]) -> str | None:
        from onnxray.importers.errors import InputError

        with mock.patch("onnxray.importers.sandbox.run", side_effect=InputError("the sandbox")) as run:
            refusal = super()._refusal(path, options)
        return None if run.called else refusal


TARGET = _Scanned("pytorch", "net.pt", seeds, words)

if __name__ == "__main__":
    main(TARGET)
