"""What every fuzz target does: a file of given bytes is opened as a user opens it, and only InputError may come of it.

    python tests/fuzz/fuzz_keras.py -max_total_time=600

starts libFuzzer on the seeds, which the tests' own writers make. What it finds lies in build/fuzz/NAME (or --folder):
in corpus/ the inputs that reached something new, beside it findings as crash-…, timeout-… and oom-…; given as a path,
one of these is run alone. A finding is any other exception or a warning, ten seconds without an end, 2 GiB of memory, a
file opened outside the model's folder, and whatever starts a program, a connection or an unpickler.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from types import FunctionType
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(REPOSITORY / "tests")]  # of the tests' writers; a script's own folder is there already

from mutations import ZIP, mutate  # noqa: E402

_TIMEOUT = 10  # seconds
_MEMORY = 2048  # MiB
_ADDRESSES = 8 << 30  # bytes: who reserves more has believed a claim, whether or not it is ever written to
_LONGEST_INPUT = 1 << 18  # bytes
_NEVER = ("os.system", "os.exec", "os.posix_spawn", "os.fork", "subprocess.", "socket.", "pickle.", "shutil.")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Finding(Exception):
    """What no file may make a reader do."""


@dataclass(frozen=True)
class Target:
    """One reader. An input is a file's bytes or, where a model has several, a zip archive of some `parts`.

    `seeds` and `words` import what they need when they are called: torch for one, which other targets can do without.
    """

    name: str
    file: str  # what an input that is one file is called
    seeds: Callable[[], Iterator[bytes]]
    words: Callable[[], Sequence[str]]  # that mean something to the reader
    parts: Sequence[str] = ()
    opened: str = ""  # the part that is opened; "": the folder that they are in
    companion: str = ""  # the part that is said to go with it, where there is such a part
    options: Callable[[bytes], Mapping[str, Any]] = lambda data: {}  # of `load`, for this input

    def check(self, data: bytes) -> str | None:
        """Open the model: the refusal, or None where it is read. Raises Finding, or whatever the reader raised."""
        with tempfile.TemporaryDirectory(prefix="onnxray-fuzz-") as name:
            folder = Path(name).resolve()
            parts = _unpacked(data, self.parts)
            for part, content in (parts or {self.file: data}).items():
                (folder / part).parent.mkdir(exist_ok=True)
                (folder / part).write_bytes(content)
            written = set(folder.rglob("*"))
            options = {**self.options(data), "companion": folder / self.companion if self.companion in parts else None}
            with _WATCH.over(folder):
                refusal = self._refusal(folder / (self.opened if parts else self.file), options)
            if set(folder.rglob("*")) != written:
                raise Finding("files have come or gone in the model's folder")
        return refusal

    def _refusal(self, path: Path, options: Mapping[str, Any]) -> str | None:
        import onnxray

        try:
            onnxray.load(path, **options)
        except onnxray.InputError as error:  # one line by its own making
            return str(error)
        return None


def _unpacked(data: bytes, parts: Sequence[str]) -> dict[str, bytes]:
    """The parts in an archive of some; empty where the input is something else."""
    if not data.startswith(ZIP) or not parts:
        return {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            held = {name: archive.read(name)[:_LONGEST_INPUT] for name in parts if name in archive.namelist()}
    except Exception:  # the archive is the fuzzer's own: a damaged one is a model's file
        return {}
    return held


class _Watch:
    """Python tells its audit hooks what it is about to do, whichever code asks for it. A hook cannot be removed."""

    def __init__(self) -> None:
        self._folder: str | None = None  # None: nothing is watched
        self._seen: list[str] = []
        self._allowed: tuple[str, ...] = ()

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Raises Finding for what was done meanwhile, also where the reader went on after it was stopped."""
        if not self._allowed:
            places = (*filter(None, sys.path), sys.prefix, REPOSITORY)
            self._allowed = tuple(str(Path(place).resolve()) for place in places)
            sys.addaudithook(self._hook)
        self._folder = str(folder)
        self._seen.clear()
        try:
            yield
        finally:
            self._folder = None
            if self._seen:
                raise Finding("; ".join(self._seen))

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._folder is None or not (event == "open" or event.startswith(_NEVER)) or self._is_harmless(arguments):
            return
        self._seen.append(f"{event} {arguments}")
        raise Finding(self._seen[-1])

    def _is_harmless(self, arguments: tuple[Any, ...]) -> bool:
        """Whether it is a file opened, in the model's folder or among Python's own, to read."""
        if len(arguments) != 3 or not isinstance(arguments[0], (str, bytes)):
            return False
        path, writes = os.path.realpath(os.fsdecode(arguments[0])), bool(arguments[2] & _WRITING)
        return not writes and path.startswith((f"{self._folder}/", *self._allowed))


_WATCH = _Watch()


def main(target: Target) -> None:
    """Fuzz until libFuzzer's options say that it is enough; ends the process."""
    import resource  # not on Windows

    import atheris

    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESSES, _ADDRESSES))
    sys.dont_write_bytecode = True  # imports that come late would write it
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--folder", type=Path, default=REPOSITORY / "build" / "fuzz" / target.name)
    given, options = parser.parse_known_args()
    if all(option.startswith("-") for option in options):
        options.append(str(given.folder / "corpus"))
    limits = (f"-timeout={_TIMEOUT}", f"-rss_limit_mb={_MEMORY}", f"-max_len={_LONGEST_INPUT}")

    def change(data: bytes, longest: int, seed: int) -> bytes:
        return mutate(data, Random(seed), words)[:longest]

    words = target.words()
    _sow(target, given.folder / "corpus")
    for function in [each for each in gc.get_objects() if isinstance(each, FunctionType)]:
        if (function.__module__ or "").startswith("onnxray.importers"):
            atheris.instrument_func(function)
    warnings.simplefilter("error")
    artifacts = f"-artifact_prefix={given.folder}/"
    atheris.Setup([sys.argv[0], *limits, artifacts, *options], target.check, custom_mutator=change)
    atheris.Fuzz()


def _sow(target: Target, corpus: Path) -> None:
    """Write the seeds beside what earlier runs found. Each is read once: what it imports can be instrumented then."""
    corpus.mkdir(parents=True, exist_ok=True)
    seeds = list(target.seeds())
    refusals = [target.check(seed) for seed in seeds]
    for seed in seeds:
        (corpus / sha256(seed).hexdigest()[:16]).write_bytes(seed)
    print(f"{refusals.count(None)} of {len(seeds)} seeds are read", flush=True)
