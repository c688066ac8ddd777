"""Runs Graphviz: finds its program and has it draw a finished layout, within a time limit."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from ....importers.errors import InputError

SECONDS = 45.0


def program() -> str:
    """`dot` on PATH, else the `graphviz-pure` of the pip extra [graphviz], also when its environment is not activated.

    Raises InputError where there is neither.
    """
    scripts = os.pathsep.join((str(Path(sys.executable).parent), sysconfig.get_path("scripts")))
    found = shutil.which("dot") or shutil.which("graphviz-pure") or shutil.which("graphviz-pure", path=scripts)
    if found is None:
        raise InputError(
            "drawing svg, png and pdf needs Graphviz: apt install graphviz, or pip install "
            '"onnxray[graphviz]"; .dot and .html need neither'
        )
    return found


def run(text: str, form: str, *, seconds: float = SECONDS) -> bytes:
    """DOT text in which everything has its position, drawn as "svg", "png" or "pdf".

    Raises InputError when there is no Graphviz, it cannot write `form`, or it takes longer than `seconds`.
    """
    command = [program(), "-Kneato", "-n2", f"-T{form}"]  # -n2: positions and edges are given, nothing is laid out
    name = Path(command[0]).name
    try:  # no shell; the process is killed when its time is up
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{name} did not draw the graph as {form} within {seconds:.0f} s; draw it collapsed, or as html"
        ) from None
    if done.returncode == 0 and done.stdout:
        return done.stdout
    reason = next(iter(done.stderr.decode("utf-8", "replace").strip().splitlines()), f"exit code {done.returncode}")
    if "not recognized" in reason:
        raise InputError(f"{name} cannot write {form}; apt install graphviz, or write svg, png or html")
    raise InputError(f"{name} could not draw the graph as {form}: {reason}")
