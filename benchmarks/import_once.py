"""One file to ONNX in this process: python import_once.py HOW FILE OUT.onnx OPTIONS (JSON). Prints JSON: the peak of
its memory in bytes, and what it imported; `import_once.py imports MODULE …` gives the peak of that alone.

Rivals run in a Python of their own, where onnxray need not be.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
OPSET = 17  # what we write

Options = dict[str, Any]


def _onnxray(path: Path, out: Path, options: Options) -> None:
    import onnxray
    from onnxray.importers.onnx_file import write

    model = onnxray.load(path, **options)
    write(model.proto, out, model.folder)


def _tf2onnx(path: Path, out: Path, options: Options) -> None:
    """`options`: names of a frozen graph's inputs and outputs."""
    from tf2onnx.convert import main

    kinds = {"": "--saved-model", ".pb": "--graphdef", ".tflite": "--tflite"}
    names = [word for name, value in options.items() for word in (f"--{name}", value)]
    words = [kinds.get(path.suffix, "--keras"), str(path), "--output", str(out), "--opset", str(OPSET), *names]
    sys.argv[1:] = words
    main()


def _torch(dynamo: bool) -> Callable[[Path, Path, Options], None]:
    """`options`: the input's shape; of weights the file and class of their network."""

    def convert(path: Path, out: Path, options: Options) -> None:
        import torch

        example = (torch.zeros(options["shape"]),)
        if path.suffix == ".pt2":
            torch.onnx.export(torch.export.load(path), example, out, dynamo=dynamo)
            return
        if "arch" in options:
            file, _, name = options["arch"].partition(":")
            sys.path.insert(0, str(Path(file).parent))
            network = getattr(import_module(Path(file).stem), name)()
            weights = torch.load(path, "cpu", weights_only=True)
            weights = weights.get("state_dict", weights)
            network.load_state_dict({key.removeprefix("module."): value for key, value in weights.items()})
        else:
            network = torch.jit.load(path, "cpu")
        torch.onnx.export(network.eval(), example, out, dynamo=dynamo)

    return convert


def _opencv(path: Path, out: Path, options: Options) -> None:
    """Which only reads it."""
    import cv2

    cv2.dnn.readNetFromCaffe(options["prototxt"], str(path))


CONVERTERS: Mapping[str, Callable[[Path, Path, Options], None]] = {
    "onnxray": _onnxray,
    "tf2onnx": _tf2onnx,
    "torch.onnx, TorchScript": _torch(False),
    "torch.onnx, dynamo": _torch(True),
    "OpenCV's reader": _opencv,
}


def _peak() -> int:
    """Bytes of memory that this process had at most."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024


def main(how: str, *words: str) -> None:
    if how == "imports":
        for module in words:
            import_module(module)
    else:
        path, out, options = words
        CONVERTERS[how](Path(path), Path(out), json.loads(options))
    modules = [name for name in sys.modules if name.partition(".")[0] in ("onnxray", "onnx", "google", "numpy")]
    print(json.dumps({"peak": _peak(), "modules": modules}))


if __name__ == "__main__":
    main(*sys.argv[1:])
