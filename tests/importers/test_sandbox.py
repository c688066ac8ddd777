"""The sandbox runs what it is given and takes network, other programs, other files and too much of all else from it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from onnxray.importers import sandbox
from onnxray.importers.errors import InputError
from onnxray.importers.sandbox import Limits, result_file, run

TESTS = Path(__file__).resolve().parent.parent
linux = pytest.mark.skipif(sys.platform != "linux", reason="confinement is Linux only")


@pytest.fixture(autouse=True)
def functions_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def call(name: str, limits: Limits | None = None, readable: tuple[Path, ...] = (), **arguments: Any) -> str:
    """The text that a function of `sandboxed` wrote."""
    with run(f"sandboxed:{name}", arguments, limits=limits, readable=readable) as folder:
        return result_file(folder, "result.txt").read_text()


def refused(name: str, limits: Limits | None = None, **arguments: Any) -> str:
    with pytest.raises(InputError) as caught:
        call(name, limits, **arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_result_is_there_and_gone_afterwards() -> None:
    with run("sandboxed:write", {"text": "yes"}) as folder:
        assert (folder / "result.txt").read_text() == "yes"
    assert not folder.exists()


def test_errors_come_back_as_one_line() -> None:
    assert refused("refuse") == "expected a cat, found a dog"
    assert refused("fail") == "ZeroDivisionError: first line"
    assert "exit code 7" in refused("say_nothing")


def test_a_crash_is_one_line() -> None:
    assert "crashed with signal 11" in refused("crash")


def test_a_result_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    assert "wrote no result.txt" in refused("link", target=str(secret))


@linux
def test_files_outside_are_neither_written_nor_read_nor_removed(tmp_path: Path) -> None:
    secret, canary = tmp_path / "secret", tmp_path / "canary"
    secret.write_text("secret")
    assert "Error" in refused("write_to", target=str(canary))
    assert "Error" in refused("write_to", target=str(secret))
    assert "PermissionError" in refused("read_from", target=str(secret))
    assert "Error" in refused("remove", target=str(secret))
    assert secret.read_text() == "secret" and not canary.exists()
    assert call("read_from", readable=(secret,), target=str(secret)) == "secret"


@linux
def test_the_variables_of_other_processes_are_out_of_reach() -> None:
    assert "PermissionError" in refused("read_from", target=f"/proc/{os.getpid()}/environ")


@linux
def test_there_is_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        message = refused("connect", port=server.getsockname()[1])
    assert "PermissionError" in message


@linux
@pytest.mark.parametrize("name", ["start", "start_by_system"])
def test_no_other_program_starts(name: str, tmp_path: Path) -> None:
    assert "PermissionError" in refused(name, target=str(tmp_path / "canary"))
    assert not (tmp_path / "canary").exists()


@linux
def test_other_processes_get_no_signal() -> None:
    assert "PermissionError" in refused("kill", process=os.getpid())


@linux
def test_root_keeps_no_power_but_reading() -> None:
    status = dict(line.split(":\t") for line in call("capabilities").splitlines() if ":\t" in line)
    assert int(status["CapEff"], 16) & ~(1 << 2) == 0 and status["CapPrm"] == status["CapEff"]
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_variables_of_the_caller_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    assert "SECRET_TOKEN" not in call("environment").split()


def test_time_on_the_clock() -> None:
    start = time.monotonic()
    assert "longer than 0.6 s" in refused("sleep", Limits(clock=0.6))
    assert time.monotonic() - start < 10


@linux
def test_processor_time() -> None:
    assert "1 s of processor time" in refused("spin", Limits(processor=1))


@linux
def test_memory() -> None:
    limits = Limits(memory=1 << 30)
    assert "more than 1 GiB of memory" in refused("take_memory", limits, size=1 << 31)
    assert call("take_memory", limits, size=1 << 20) == str(1 << 20)


@linux
def test_size_of_a_file() -> None:
    assert "OSError" in refused("write_much", Limits(file_size=1 << 22), size=1 << 23)


@linux
def test_nothing_outlives_it() -> None:
    process = int(call("outlive"))
    for _ in range(50):
        if not Path(f"/proc/{process}").exists() or "Z" in Path(f"/proc/{process}/stat").read_text().split()[2]:
            return
        time.sleep(0.1)
    pytest.fail("a process of the sandbox goes on")


@linux
def test_without_confinement_it_does_not_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a system that can take less away, the child says what, unless the caller does not mind."""
    (tmp_path / "sitecustomize.py").write_text("import platform\nplatform.machine = lambda: 'vax'\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{TESTS}")
    message = refused("write", text="yes")
    assert "this system cannot take other programs from it" in message
    with run("sandboxed:write", {"text": "yes"}, confined=False) as folder:
        assert (folder / "result.txt").read_text() == "yes"


def test_the_child_is_not_started_by_importing_it() -> None:
    code = f"import {sandbox.__name__}"
    assert subprocess.run([sys.executable, "-c", code], stdin=subprocess.DEVNULL, check=True).returncode == 0
