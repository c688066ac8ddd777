"""Runs one function of ours in a child process that holds as little as it needs.

For what only a framework's own code can read. The child has limits on processor time, memory, the size of each file it
writes and the time on the clock, few of the caller's variables, a fresh folder to work in and, on Linux, `confinement`:
no network, no other programs, no files but those it is given. What it leaves in its folder is untrusted data.
SECURITY.md says what this protects from and what not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from .confinement import confine
from .errors import InputError

_REFUSED, _RAISED, _UNCONFINED = 3, 4, 5  # exit codes of the child
_MESSAGE = "message.txt"
_LONGEST_MESSAGE = 4096  # bytes
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "SYSTEMROOT", "LANG")
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime", "/sys/devices/system/cpu", "/sys/fs/cgroup")
_SYSTEM_STATE = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/dev/urandom", "/dev/zero")


@dataclass(frozen=True)
class Limits:
    """What the child may use."""

    processor: int = 900  # seconds, all threads together
    clock: float = 600.0  # seconds
    memory: int = 16 << 30  # bytes of address space: torch alone maps some GiB
    file_size: int = 4 << 30  # bytes of each file written


@contextmanager
def run(
    function: str,  # "module:name", called as name(folder, **arguments)
    arguments: Mapping[str, Any],  # what JSON can hold
    *,
    readable: Sequence[Path] = (),  # files and folders beside Python's own and the system's
    limits: Limits | None = None,
    confined: bool = True,  # refuse to run where this system cannot take network, files and programs away
) -> Iterator[Path]:
    """Call the function in a child; the body finds what it wrote in a folder that is gone afterwards.

    Raises InputError with what the function raised, or which limit ended it.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="onnxray-") as name:
        folder = Path(name).resolve()
        work = folder / "work"
        work.mkdir()
        job = {
            "function": function,
            "arguments": dict(arguments),
            "folder": str(work),
            "readable": [str(path.resolve()) for path in readable],
            "limits": asdict(limits),
            "confined": confined,
        }
        code = _spawn(json.dumps(job), work, folder / "stderr", limits)
        if code != 0:
            raise InputError(_reason(code, work, folder / "stderr", limits))
        yield work


def result_file(folder: Path, name: str) -> Path:
    """A file that the child should have written: a plain file, not a link to one of the caller's."""
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise InputError(f"the converter in the sandbox wrote no {name}")
    return path


def _spawn(job: str, folder: Path, errors: Path, limits: Limits) -> int | None:
    """The child's exit code, minus the signal that ended it; None: the clock ended it."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {"HOME": str(folder), "TMPDIR": str(folder), "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-P", "-m", __name__]
    with errors.open("wb") as stderr:
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=folder,
            env=kept | own,
            start_new_session=True,
        )
        try:
            child.communicate(job.encode(), timeout=limits.clock)
            return child.returncode
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it and whatever it started, also when the caller is interrupted."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)
    else:
        child.kill()
    child.wait()


def _reason(code: int | None, folder: Path, errors: Path, limits: Limits) -> str:
    if code is None:
        return f"reading it took longer than {limits.clock:g} s"
    if code in (_REFUSED, _RAISED, _UNCONFINED):
        with suppress(InputError):
            return _head(result_file(folder, _MESSAGE))
    if code == -getattr(signal, "SIGXCPU", 0):
        return f"reading it took more than {limits.processor} s of processor time"
    last = _head(errors).strip().rpartition("\n")[2]
    if code < 0:
        return f"its reader crashed with signal {-code} (a damaged file, or too little memory)"
    return f"its reader ended with exit code {code}: {last[:200]}"


def _head(path: Path) -> str:
    with path.open("rb") as file:
        return file.read(_LONGEST_MESSAGE).decode("utf-8", "replace")


def main() -> int:
    """The child: the job comes on stdin."""
    job = json.loads(sys.stdin.read())
    folder = Path(job["folder"])
    _limit(Limits(**job["limits"]))
    missing = confine([*_own_files(), *map(Path, job["readable"])], folder)
    if missing and job["confined"]:
        kept = " and ".join(missing)
        return _say(
            folder, _UNCONFINED, f"reading it runs what the file says, and this system cannot take {kept} from it"
        )
    module, _, name = job["function"].partition(":")
    try:
        function = getattr(import_module(module), name)
        function(folder, **job["arguments"])
    except InputError as error:
        return _say(folder, _REFUSED, str(error))
    except MemoryError:
        return _say(folder, _RAISED, f"reading it needs more than {job['limits']['memory'] >> 30} GiB of memory")
    except RecursionError:
        return _say(folder, _RAISED, "it is nested too deeply")
    except Exception as error:
        first = (str(error).strip() or "no message").splitlines()[0]
        return _say(folder, _RAISED, f"{type(error).__name__}: {first}")
    return 0


def _say(folder: Path, code: int, message: str) -> int:
    (folder / _MESSAGE).write_text(str(InputError(message)), "utf-8")
    return code


def _limit(limits: Limits) -> None:
    try:
        import resource
    except ImportError:  # Windows: only the clock
        return
    wanted = (
        (resource.RLIMIT_CPU, limits.processor),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file_size),
        (resource.RLIMIT_CORE, 0),
    )
    for kind, value in wanted:
        _, most = resource.getrlimit(kind)
        bound = value if most == resource.RLIM_INFINITY else min(value, most)
        with suppress(ValueError, OSError):  # macOS has no limit on addresses
            resource.setrlimit(
                kind, (bound, bound + (kind == resource.RLIMIT_CPU))
            )  # a second to tell the two signals apart


def _own_files() -> Iterator[Path]:
    """Python, what is installed, the system's libraries: what imports need."""
    yield from map(Path, (*_SYSTEM, *_SYSTEM_STATE, sys.prefix, sys.base_prefix, *sysconfig.get_paths().values()))
    yield from (Path(entry) for entry in (*sys.path, *os.environ.get("LD_LIBRARY_PATH", "").split(":")) if entry)
    yield Path(__file__).resolve().parent.parent


if __name__ == "__main__":
    sys.exit(main())
