"""Runs graphs in TensorFlow, for tests that are told where one is installed; started by path with that Python.

python tensorflow_batch.py FOLDER COUNT: N.pb, N.npz (feeds) and N.txt (outputs, a line each) -> N.out.npz or N.error
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # oneDNN's fused kernel drops the padding of a batch before Conv2D
import tensorflow as tf


def run(graph: Path) -> None:
    """One graph."""
    feeds = dict(np.load(graph.with_suffix(".npz")))
    outputs = graph.with_suffix(".txt").read_text().split("\n")
    definition = tf.compat.v1.GraphDef.FromString(graph.read_bytes())
    names = [name if ":" in name else f"{name}:0" for name in outputs]
    options = tf.compat.v1.ConfigProto()
    options.graph_options.rewrite_options.disable_meta_optimizer = True  # as the graph is written
    with tf.Graph().as_default() as held:
        tf.import_graph_def(definition, name="")
        with tf.compat.v1.Session(graph=held, config=options) as session:
            found = session.run(names, {f"{name}:0": value for name, value in feeds.items()})
    np.savez(graph.with_suffix(".out.npz"), *found)


def main(folder: str, count: str) -> None:
    """All of them; what TensorFlow refuses is written down."""
    for number in range(int(count)):
        graph = Path(folder) / f"{number}.pb"
        try:
            run(graph)
        except Exception as error:
            graph.with_suffix(".error").write_text(" ".join(str(error).split())[:300])


if __name__ == "__main__":
    main(*sys.argv[1:])
