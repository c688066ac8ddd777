"""Runs a program in PaddlePaddle, in a process of its own.

Started by path, so that it imports nothing but PaddlePaddle and NumPy, in whichever Python has them:
python paddle_process.py PROGRAM WEIGHTS FEEDS.npz WANTED.json RESULTS.npz
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.update(
    FLAGS_enable_pir_api="0",  # these are programs of the older form
    CUDA_VISIBLE_DEVICES="",  # less exact than the bar
    GLOG_minloglevel="3",
)

REFUSED = 3  # exit code when PaddlePaddle raises


def main(program: str, weights: str, feeds: str, wanted: str, results: str) -> int:
    """RESULTS holds the variables of WANTED, by their number there, and PaddlePaddle's version."""
    import paddle

    paddle.enable_static()
    names = json.loads(Path(wanted).read_text())
    try:
        executor = paddle.static.Executor(paddle.CPUPlace())
        held = {"params_filename": Path(weights).name} if weights else {}
        network, _, _ = paddle.static.load_inference_model(
            str(Path(program).parent), executor, model_filename=Path(program).name, **held
        )
        for variable in network.list_vars():
            variable.persistable = variable.persistable or variable.name in names  # or its memory is used again
        with np.load(feeds) as stored:
            values = executor.run(network, feed={name: stored[name] for name in stored.files}, fetch_list=names)
    except Exception as error:  # PaddlePaddle raises whatever its kernels do
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    found = {str(number): np.asarray(value) for number, value in enumerate(values)}
    np.savez(results, version=np.array(paddle.__version__), **found)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
