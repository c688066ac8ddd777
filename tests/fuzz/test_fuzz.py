"""Every fuzz target for a short while; and whether the harness sees what no file may do."""

from __future__ import annotations

import importlib.util
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import onnxray
import pytest
from harness import Finding, Target

SECONDS = int(os.environ.get("ONNXRAY_FUZZ_SECONDS", "20"))
RUNS = 75 * SECONDS  # at most: what a faster machine found beyond them would fail the tests of whoever has it
TARGETS = sorted(Path(__file__).parent.glob("fuzz_*.py"))
WITHOUT_ATHERIS = "atheris is not installed (its wheels are for Linux on x86-64)"


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason=WITHOUT_ATHERIS)
@pytest.mark.parametrize("path", TARGETS, ids=lambda path: path.stem)
def test_no_file_brings_more_than_a_refusal(path: Path, tmp_path: Path) -> None:
    # One seed: the same changes each time, so that nobody's tests fail over what somebody else's machine draws.
    # A shell between: libFuzzer asks for the peak of memory, and a child starts with that of the process it came from.
    words = ["sh", "-c", '"$@"; exit $?', "sh"]
    limits = [f"-max_total_time={SECONDS}", f"-runs={RUNS}"]
    words += [sys.executable, str(path), *limits, "-seed=1", "--folder", str(tmp_path)]
    done = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS + 200,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:]
    read, seeds = map(int, re.findall(r"^(\d+) of (\d+) seeds are read", done.stdout, re.MULTILINE)[0])
    assert read > 0.6 * seeds  # the others are hostile on purpose
    runs = int(re.findall(r"^Done (\d+) runs", done.stdout, re.MULTILINE)[0])
    assert runs > seeds + SECONDS
    before, after = (int(re.findall(rf"{word}\s+cov: (\d+)", done.stdout)[0]) for word in ("INITED", "DONE"))
    assert after > before > 100  # the seeds reach the reader, and the changes reach more of it


def _swallows(path: Path) -> None:
    with suppress(Exception):
        os.system(f"touch {path}.canary")


PLANTED: dict[str, Callable[[Path], object]] = {
    "a program": lambda path: subprocess.run(["touch", f"{path}.canary"]),
    "a program whose failure is swallowed": _swallows,
    "a file elsewhere": lambda path: Path("/etc/hostname").read_text(),
    "a file above": lambda path: (path.parent.parent / "secret").open(),
    "a file written": lambda path: path.with_suffix(".out").write_text(""),
    "a file that is gone": lambda path: path.unlink(),
    "an unpickler": lambda path: pickle.loads(b"cos\nsystem\n(S'exit'\ntR."),
}


def _reader(act: Callable[[Path], object]) -> Callable[..., object]:
    return lambda path, **_: act(path)


@pytest.mark.parametrize("act", PLANTED.values(), ids=PLANTED.keys())
def test_what_a_reader_must_not_do_is_found(act: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch) -> None:
    target = Target("planted", "net.bin", lambda: iter(()), lambda: ())
    monkeypatch.setattr(onnxray, "load", _reader(act))
    with pytest.raises(Finding):
        target.check(b"x")


def test_refusals_are_told_from_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise onnxray.InputError("no model")

    target = Target("planted", "net.bin", lambda: iter(()), lambda: ())
    monkeypatch.setattr(onnxray, "load", _reader(refuse))
    assert target.check(b"x") == "no model"
    monkeypatch.setattr(onnxray, "load", _reader(lambda path: path.read_bytes()))
    assert target.check(b"x") is None
    monkeypatch.setattr(onnxray, "load", _reader(lambda path: {}["key"]))
    with pytest.raises(KeyError):
        target.check(b"x")
