"""Runs a TensorFlow Lite file in Google's interpreter, in a process of its own: it trusts what a file says.

Started by path, so that it imports nothing but LiteRT and NumPy:
python litert_process.py MODEL FEEDS.npz WANTED.json RESULTS.npz
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

REFUSED = 3  # exit code when LiteRT raises


def main(model: str, feeds: str, wanted: str, results: str) -> int:
    """FEEDS and RESULTS are named by the tensors' numbers; of the wanted those that LiteRT keeps are written."""
    try:
        interpreter = Interpreter(
            model,
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        inputs = {int(name): value for name, value in np.load(feeds).items()}
        for index, value in inputs.items():
            interpreter.resize_tensor_input(index, value.shape)
        interpreter.allocate_tensors()
        for index, value in inputs.items():
            interpreter.set_tensor(index, value)
        interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    found = {}
    for index in json.loads(Path(wanted).read_text()):
        try:
            found[str(index)] = interpreter.get_tensor(index)
        except ValueError:
            continue  # not kept: folded away, or of no size
    np.savez(results, **found)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
