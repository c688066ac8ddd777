"""Runs a graph in TensorFlow, in a process of its own: it crashes beside torch, and trusts what a file says.

Started by path, so that it imports nothing but TensorFlow and NumPy, in whichever Python has them:
python tensorflow_process.py GRAPH FEEDS.npz WANTED.json RESULTS.npz
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # oneDNN's fused kernel drops the padding of a batch before Conv2D
os.environ["CUDA_VISIBLE_DEVICES"] = ""  # less exact than the bar
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

REFUSED = 3  # exit code when TensorFlow raises


def main(graph: str, feeds: str, wanted: str, results: str) -> int:
    """RESULTS holds the tensors of WANTED that are numbers, by their number there, and TensorFlow's version."""
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef.FromString(Path(graph).read_bytes())
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True  # as the graph is written
    names = [name if ":" in name else f"{name}:0" for name in json.loads(Path(wanted).read_text())]
    try:
        with tf.Graph().as_default() as held:
            tf.import_graph_def(definition, name="")
            with tf.compat.v1.Session(graph=held, config=options) as session, np.load(feeds) as stored:
                values = session.run(names, {f"{name}:0": stored[name] for name in stored.files})
    except Exception as error:  # TensorFlow raises whatever its kernels do
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    arrays = {str(number): np.asarray(value) for number, value in enumerate(values)}
    found = {number: value for number, value in arrays.items() if value.dtype.kind in "biuf"}
    np.savez(results, version=np.array(tf.__version__), **found)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
