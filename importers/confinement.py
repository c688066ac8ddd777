"""What a process of ours may still do. Nothing that runs in the process afterwards can undo it.

Three independent ones, each used where the kernel has it: a network namespace without a way out; Landlock (files may be
read in some folders and written in one, no signal leaves); seccomp (no sockets, no other program, no other process is
touched). All of them hold for the calling thread and its children: call before any other thread starts.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER, _DIE_WITH_PARENT, _KILL = 38, 22, 2, 1, 9

_CAPABILITY_VERSION, _READ_ANY_FILE = 0x20080522, 1 << 2

# Landlock: the calls have the same numbers everywhere; rights as bits, and in which version they came.
_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_PATH_RULE = 1
_READ_FILE, _READ_FOLDER = 1 << 2, 1 << 3
_OF_FILES = 1 << 0 | 1 << 1 | _READ_FILE | 1 << 14  # execute, write, read, truncate
_ALL_FILES = ((1, 1 << 13), (2, 1 << 14), (3, 1 << 15), (5, 1 << 16))  # (version, number above all its bits)
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6

# seccomp: (audit architecture, numbers of the calls that are refused)
_CALLS = {  # socket, execve, execveat, ptrace, process_vm_*, io_uring_setup, kill and its like, …
    "x86_64": (
        0xC000003E,
        (41, 59, 322, 101, 310, 311, 425, 62, 129, 424, 165, 272, 308, 321, 248, 249, 250, 304, 200, 234),
    ),
    "aarch64": (
        0xC00000B7,
        (198, 221, 281, 117, 270, 271, 425, 129, 138, 424, 40, 97, 268, 280, 217, 218, 219, 265, 130, 131),
    ),
}


def confine(readable: Iterable[Path], writable: Path) -> list[str]:
    """Give up network, other programs and all files but these; returns what this system could not take away."""
    if sys.platform != "linux":
        return ["network", "files", "other programs"]
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_DIE_WITH_PARENT, _KILL, 0, 0, 0)
    no_network = _leave_network(libc)
    libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    no_files = _landlock(libc, readable, writable)
    _drop_capabilities(libc)
    no_calls = _filter_calls(libc)
    kept = {"network": no_network or no_calls, "files": no_files, "other programs": no_calls}
    return [name for name, gone in kept.items() if not gone]


def _leave_network(libc: ctypes.CDLL) -> bool:
    """A namespace with no network device; others than root need a user namespace around it."""
    if libc.unshare(_NEW_NETWORK) == 0:
        return True
    user, group = os.getuid(), os.getgid()
    if libc.unshare(_NEW_USER | _NEW_NETWORK) != 0:
        return False
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return True  # files then belong to nobody, which whoever writes the first one will say
    return True


def _landlock(libc: ctypes.CDLL, readable: Iterable[Path], writable: Path) -> bool:
    version = libc.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    if version < 1:
        return False
    everything = max(above for since, above in _ALL_FILES if since <= version) - 1
    rules = struct.pack("<Q", everything)
    rules += struct.pack("<Q", 3) if version >= _NETWORK_SINCE else b""  # bind and connect
    rules += struct.pack("<Q", 3) if version >= _SCOPES_SINCE else b""  # abstract sockets and signals
    ruleset = libc.syscall(_CREATE, rules, ctypes.c_size_t(len(rules)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        for path in readable:
            _allow(libc, ruleset, path, _READ_FILE | _READ_FOLDER)
        _allow(libc, ruleset, Path("/dev/null"), everything)
        _allow(libc, ruleset, writable, everything & ~1)  # all but execute
        return bool(libc.syscall(_RESTRICT, ruleset, ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what does not exist needs no right
    try:
        rule = struct.pack("<Qi", rights if path.is_dir() else rights & _OF_FILES, place)
        libc.syscall(_ADD_RULE, ruleset, ctypes.c_int(_PATH_RULE), rule, ctypes.c_uint32(0))
    finally:
        os.close(place)


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Root keeps nothing but reading files of other users."""
    header = struct.pack("<Ii", _CAPABILITY_VERSION, 0)
    held = ctypes.create_string_buffer(24)  # effective, permitted, inheritable, each in two halves of 32 bits
    if libc.capget(header, held) == 0:
        permitted = struct.unpack("<6I", held.raw)[1] & _READ_ANY_FILE
        libc.capset(header, struct.pack("<6I", permitted, permitted, 0, 0, 0, 0))


def _filter_calls(libc: ctypes.CDLL) -> bool:
    """The calls of `_CALLS` fail with "not permitted", as do all those of a foreign architecture."""
    if platform.machine() not in _CALLS:
        return False
    architecture, refused = _CALLS[platform.machine()]
    load, equal, at_least, give = 0x20, 0x15, 0x35, 0x06
    program = [(load, 0, 0, 4), (equal, 0, len(refused) + 3, architecture), (load, 0, 0, 0)]
    program.append((at_least, len(refused) + 1, 0, 0x40000000))  # the 32-bit variant of every call
    program += [(equal, len(refused) - index, 0, call) for index, call in enumerate(refused)]
    program += [(give, 0, 0, 0x7FFF0000), (give, 0, 0, 0x00050000 | 1)]  # allow; fail with EPERM
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    packed = struct.pack("@HP", len(program), ctypes.addressof(code))
    return bool(libc.prctl(_SECCOMP, _FILTER, ctypes.c_char_p(packed), 0, 0) == 0)
