"""Runs a program in PaddlePaddle, in a process of its own.

Started by path, so that it imports nothing but PaddlePaddle and NumPy, in whichever Python has them:
python paddle_process.py PROGRAM WEIGHTS FEEDS.npz WANTED.json RESULTS.npz
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

os.environ.update(CUDA_VISIBLE_DEVICES="", GLOG_minloglevel="3")  # a GPU is less exact than the bar

REFUSED = 3  # exit code when PaddlePaddle raises


def main(program: str, weights: str, feeds: str, wanted: str, results: str) -> int:
    """RESULTS holds the variables of WANTED, by their number there, and PaddlePaddle's version."""
    is_pir = program.endswith(".json")
    os.environ.update(FLAGS_enable_pir_api=str(int(is_pir)))
    import paddle

    paddle.enable_static()
    run = _run_pir if is_pir else _run
    try:
        with np.load(feeds) as stored:
            values = run(Path(program), Path(weights).name or None, dict(stored), json.loads(Path(wanted).read_text()))
    except Exception as error:  # PaddlePaddle raises whatever its kernels do
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return REFUSED
    found = {str(number): np.asarray(value) for number, value in enumerate(values)}
    np.savez(results, version=np.array(paddle.__version__), **found)  # type: ignore[arg-type]
    return 0


def _run(program: Path, weights: str | None, feeds: dict[str, np.ndarray], names: list[str]) -> Any:
    """Variables by name."""
    import paddle

    executor = paddle.static.Executor(paddle.CPUPlace())
    network, _, _ = paddle.static.load_inference_model(
        str(program.parent), executor, model_filename=program.name, params_filename=weights
    )
    for variable in network.list_vars():
        variable.persistable = variable.persistable or variable.name in names  # or its memory is used again
    return executor.run(network, feed=feeds, fetch_list=names)


def _run_pir(program: Path, weights: str | None, feeds: dict[str, np.ndarray], names: list[str]) -> Any:
    """What is fetched, in its order; weights lie beside the program under its name."""
    import paddle

    executor = paddle.static.Executor(paddle.CPUPlace())
    network, _, targets = paddle.static.load_inference_model(str(program.with_suffix("")), executor)
    return executor.run(network, feed=feeds, fetch_list=targets)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
