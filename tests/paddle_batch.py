"""Runs programs in PaddlePaddle, for tests that are told where one is installed; started by path with that Python.

python paddle_batch.py FOLDER COUNT: N.pdmodel, N.pdiparams, N.npz (feeds), N.json (variables) -> N.out.npz or N.error
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.update(FLAGS_enable_pir_api="0", GLOG_minloglevel="3")
import paddle


def run(program: Path, executor: paddle.static.Executor) -> None:
    """One program."""
    names = json.loads(program.with_suffix(".json").read_text())
    weights = program.with_suffix(".pdiparams").name if program.with_suffix(".pdiparams").exists() else None
    with paddle.static.scope_guard(paddle.static.Scope()):
        network, _, _ = paddle.static.load_inference_model(
            str(program.parent), executor, model_filename=program.name, params_filename=weights
        )
        with np.load(program.with_suffix(".npz")) as stored:
            found = executor.run(network, feed={name: stored[name] for name in stored.files}, fetch_list=names)
    np.savez(program.with_suffix(".out.npz"), *map(np.asarray, found))


def main(folder: str, count: str) -> None:
    """All of them; what PaddlePaddle refuses is written down."""
    paddle.enable_static()
    executor = paddle.static.Executor(paddle.CPUPlace())
    for number in range(int(count)):
        program = Path(folder) / f"{number}.pdmodel"
        child = os.fork()  # some programs crash it
        if not child:
            try:
                run(program, executor)
            except Exception as error:
                program.with_suffix(".error").write_text(" ".join(str(error).split())[-300:])
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            program.with_suffix(".error").write_text("it crashed")


if __name__ == "__main__":
    main(*sys.argv[1:])
