"""Runs many small TensorFlow Lite files in Google's interpreter, in a process that is started again where it crashes.

Started by path: python litert_batch.py FOLDER FIRST; reads N.tflite and N.npz (an array an input, in order), writes
N.out.npz or N.error.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np


def run_batch(folder: Path, count: int) -> list[list[np.ndarray] | str]:
    """The outputs of each file, or why there are none."""
    for _ in range(count + 1):
        waiting = [number for number in range(count) if not _answered(folder, number)]
        if not waiting:
            break
        command = [sys.executable, __file__, str(folder), str(waiting[0]), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        left = [number for number in range(count) if not _answered(folder, number)]
        if left:
            reason = f"crashed, exit code {done.returncode}: {done.stderr[-200:]}"
            (folder / f"{left[0]}.error").write_text(reason)
    return [_answer(folder, number) for number in range(count)]


def _answered(folder: Path, number: int) -> bool:
    return (folder / f"{number}.out.npz").exists() or (folder / f"{number}.error").exists()


def _answer(folder: Path, number: int) -> list[np.ndarray] | str:
    failed = folder / f"{number}.error"
    if failed.exists():
        return failed.read_text()
    with np.load(folder / f"{number}.out.npz") as found:
        return [found[f"arr_{index}"] for index in range(len(found.files))]


def main(folder: str, first: str, count: str) -> None:
    """Answer one file after another; what is refused is no error here."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    for number in range(int(first), int(count)):
        place = Path(folder) / str(number)
        try:
            interpreter = Interpreter(
                f"{place}.tflite",
                num_threads=1,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            interpreter.allocate_tensors()
            with np.load(f"{place}.npz") as feeds:
                for index, details in enumerate(interpreter.get_input_details()):
                    interpreter.set_tensor(details["index"], feeds[f"arr_{index}"])
            interpreter.invoke()
            outputs = [interpreter.get_tensor(details["index"]) for details in interpreter.get_output_details()]
            np.savez(f"{place}.partial.npz", *outputs)
            Path(f"{place}.partial.npz").rename(f"{place}.out.npz")
        except (ValueError, RuntimeError) as error:
            Path(f"{place}.error").write_text(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
