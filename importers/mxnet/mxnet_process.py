"""Runs a network in MXNet, in a process of its own: it trusts what a file says, and wants an older NumPy than ours.

Started by path, so that it imports nothing but MXNet and NumPy, in whichever Python has them:
python mxnet_process.py SYMBOL PARAMS FEEDS.npz WANTED.json RESULTS.npz
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ["MXNET_MKLDNN_ENABLED"] = "0"  # its fused kernels are less exact than the bar
os.environ["MXNET_SUBGRAPH_BACKEND"] = "NONE"
REFUSED = 3  # exit code when MXNet raises


def main(symbol_file: str, params_file: str, feeds: str, wanted: str, results: str) -> int:
    """RESULTS holds the tensors of WANTED that the symbol has, by their number there, and MXNet's version."""
    import mxnet as mx  # type: ignore[import-not-found]

    try:
        symbol = mx.sym.load(symbol_file)
        stored = {name.partition(":")[2] or name: value for name, value in mx.nd.load(params_file).items()}
        parameters = {
            name: value.astype("float32") if value.dtype == np.float16 else value for name, value in stored.items()
        }
        inner = symbol.get_internals()
        known = {name: place for place, name in enumerate(inner.list_outputs())}
        places = {
            number: known[place]
            for number, name in enumerate(json.loads(Path(wanted).read_text()))
            for place in (name, f"{name}_output")
            if place in known
        }
        network = mx.sym.Group([inner[place] for place in dict.fromkeys(places.values())])
        with np.load(feeds) as values:
            inputs = {name: mx.nd.array(values[name]) for name in values.files if name in network.list_inputs()}
        for name in network.list_arguments():
            if name.endswith("label") and name not in parameters and name not in inputs:
                inputs[name] = mx.nd.zeros(_label_shape(network, name, inputs))
        held = {name: parameters[name] for name in network.list_inputs() if name in parameters}
        states = {name: held.pop(name) for name in network.list_auxiliary_states()}
        executor = network.bind(mx.cpu(), {**held, **inputs}, aux_states=states, grad_req="null")
        outputs = [output.asnumpy() for output in executor.forward(is_train=False)]
    except Exception as error:  # MXNet raises whatever its kernels do
        print(f"{type(error).__name__}: {str(error).splitlines()[-1] if str(error) else ''}", file=sys.stderr)
        return REFUSED
    order = {place: at for at, place in enumerate(dict.fromkeys(places.values()))}
    found = {str(number): outputs[order[place]] for number, place in places.items()}
    np.savez(results, version=np.array(mx.__version__), **found)
    return 0


def _label_shape(network, name, inputs):  # type: ignore[no-untyped-def]
    """As MXNet infers it from what is compared with it."""
    shapes, _, _ = network.infer_shape_partial(**{key: value.shape for key, value in inputs.items()})
    return shapes[network.list_arguments().index(name)]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
