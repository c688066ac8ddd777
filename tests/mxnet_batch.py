"""Many small networks in MXNet, in one process of the Python that has it: python mxnet_batch.py FOLDER COUNT.

Of each NUMBER-symbol.json, NUMBER-0000.params and NUMBER.npz come the outputs, NUMBER.out.npz, or NUMBER.txt: why not.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

os.environ["MXNET_MKLDNN_ENABLED"] = "0"


def run_batch(python: str, folder: Path, count: int) -> list[list[np.ndarray] | str]:
    """Outputs of each network, or what MXNet said."""
    subprocess.run([python, __file__, folder, str(count)], check=True, capture_output=True, timeout=600)
    return [_result(folder, number) for number in range(count)]


def _result(folder: Path, number: int) -> list[np.ndarray] | str:
    said = folder / f"{number}.txt"
    if said.exists():
        return said.read_text()
    with np.load(folder / f"{number}.out.npz") as stored:
        return [stored[name] for name in stored.files]


def main(folder: Path, count: int) -> None:
    """In MXNet's own Python."""
    import mxnet as mx

    for number in range(count):
        try:
            symbol = mx.sym.load(str(folder / f"{number}-symbol.json"))
            stored = mx.nd.load(str(folder / f"{number}-0000.params"))
            values = {name.partition(":")[2]: value for name, value in stored.items()} if stored else {}
            values.update({name: mx.nd.array(value) for name, value in np.load(folder / f"{number}.npz").items()})
            arguments = {name: values[name] for name in symbol.list_arguments()}
            states = {name: values[name] for name in symbol.list_auxiliary_states()}
            executor = symbol.bind(mx.cpu(), arguments, aux_states=states, grad_req="null")
            outputs = [output.asnumpy() for output in executor.forward(is_train=False)]
        except Exception as error:  # MXNet raises whatever its kernels do
            (folder / f"{number}.txt").write_text(f"{type(error).__name__}: {error}"[:300])
            continue
        np.savez(folder / f"{number}.out.npz", *outputs)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
