"""An architecture of Gluon's zoo with drawn weights, as its export writes it: python mxnet_zoo.py NAME SIDE PREFIX.

Run by the Python that has MXNet.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def export(python: str, name: str, side: int, folder: Path) -> Path:
    """The symbol's path."""
    subprocess.run([python, __file__, name, str(side), folder / "net"], check=True, capture_output=True, timeout=300)
    return folder / "net-symbol.json"


def main(name: str, side: str, prefix: str) -> None:
    """Statistics and scales are drawn, too: those of a new network change nothing."""
    import mxnet as mx

    mx.random.seed(0)
    network = mx.gluon.model_zoo.vision.get_model(name)
    network.initialize(mx.init.Xavier())
    network.hybridize()
    image = mx.nd.zeros((1, 3, int(side), int(side)))
    network(image)
    for parameter in network.collect_params().values():
        shape = parameter.shape
        if parameter.name.endswith(("gamma", "running_var")):
            parameter.set_data(mx.nd.random.uniform(0.5, 1.5, shape))
        elif parameter.name.endswith(("beta", "bias", "running_mean")):
            parameter.set_data(mx.nd.random.normal(0, 0.1, shape))
    network(image)
    network.export(prefix, epoch=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
