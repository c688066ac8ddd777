"""What a pickle would import and how deeply it nests, found by reading its instructions: nothing is unpickled.

A pickle is a program for a small stack machine; the standard library's table of instructions says what each takes from
the stack and puts there, so that the stack can be followed with depths and texts in place of objects.
"""

from __future__ import annotations

import pickletools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

from ..errors import InputError

DEEPEST = 200  # containers in containers
LARGEST = 1 << 26  # bytes
_MOST_STEPS = 5_000_000
_MARK = object()


@dataclass(frozen=True)
class _Thing:
    depth: int = 0
    text: str | None = None


@dataclass
class _Machine:
    """The stack, the memo and what was imported."""

    stack: list[Any] = field(default_factory=list)
    memo: dict[int, _Thing] = field(default_factory=dict)
    imports: dict[str, None] = field(default_factory=dict)  # in order of appearance

    def step(self, code: pickletools.OpcodeInfo, argument: Any) -> None:
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self.memo[len(self.memo) if code.name == "MEMOIZE" else argument] = self._top()
        elif code.name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo.get(argument, _Thing()))
        else:
            taken = self._take(code)
            self._import(code.name, argument, taken)
            made = _Thing(1 + max((thing.depth for thing in taken), default=0), _text(code, argument))
            if made.depth > DEEPEST:
                raise InputError(f"expected weights, found a pickle nested more than {DEEPEST} deep")
            self.stack += [_MARK if kind is pickletools.markobject else made for kind in code.stack_after]

    def _top(self) -> _Thing:
        return self.stack[-1] if self.stack and self.stack[-1] is not _MARK else _Thing()

    def _take(self, code: pickletools.OpcodeInfo) -> list[_Thing]:
        before = code.stack_before
        if pickletools.markobject in before:
            taken = []
            while self.stack and (thing := self.stack.pop()) is not _MARK:
                taken.append(thing)
            rest = before.index(pickletools.markobject)  # what lies below the mark
        else:
            taken, rest = [], len(before)
        for _ in range(min(rest, len(self.stack))):
            thing = self.stack.pop()
            taken.append(_Thing() if thing is _MARK else thing)
        return taken

    def _import(self, name: str, argument: Any, taken: list[_Thing]) -> None:
        if name in ("GLOBAL", "INST"):
            self.imports[str(argument).replace(" ", ".")] = None
        elif name == "STACK_GLOBAL":
            parts = [thing.text if thing.text is not None else "?" for thing in reversed(taken)]
            self.imports[".".join(parts)] = None
        elif name.startswith("EXT"):
            self.imports[f"extension {argument}"] = None


def _text(code: pickletools.OpcodeInfo, argument: Any) -> str | None:
    return argument if isinstance(argument, str) and code.name not in ("GLOBAL", "INST") else None


def imports_of(data: bytes, pickles: int = 1) -> tuple[str, ...]:
    """The names "module.name" that so many pickles, one after another, would import.

    Raises InputError when they are damaged, too long or nested too deeply.
    """
    machine, stream = _Machine(), BytesIO(data)
    steps = 0
    try:
        for _ in range(pickles):
            machine.stack.clear()
            machine.memo.clear()
            for code, argument, _ in pickletools.genops(stream):
                steps += 1
                machine.step(code, argument)
                if steps > _MOST_STEPS:
                    raise InputError(f"expected weights, found a pickle of more than {_MOST_STEPS:,} instructions")
    except InputError:
        raise
    except Exception:  # genops raises whatever decoding a damaged argument raises
        raise InputError("its pickle is truncated or damaged") from None
    return tuple(machine.imports)


# What `torch.load(weights_only=True)` lets a file name. torch decides in the end; this says early what it will refuse.
_HARMLESS = {
    "collections.OrderedDict",
    "collections.Counter",
    "_codecs.encode",
    "builtins.set",
    "__builtin__.set",
    "builtins.bytearray",
    "__builtin__.bytearray",
    "builtins.complex",
    "__builtin__.complex",
    "torch.Size",
    "torch.Tensor",
    "torch.device",
    "torch.nn.parameter.Parameter",
    "torch.serialization._get_layout",
    "torch.storage.UntypedStorage",
    "torch.storage.TypedStorage",
    "torch._tensor._rebuild_from_type_v2",
    "argparse.Namespace",  # from here on those that `loading` adds
    "numpy.ndarray",
    "numpy.dtype",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
}
_PATTERN = re.compile(
    r"torch\._utils\._rebuild_\w+|torch\.(cuda\.)?\w+(Storage|Tensor)|torch\.(bool|half|float|double|long|short)|"
    r"torch\.(q?u?int\d+(x\d)?|b?float\d+\w*|complex\d+|per_(tensor|channel)_\w+)"
)


def code_in(imports: Iterable[str]) -> tuple[str, ...]:
    """Of a pickle's imports, those that are more than tensors and plain containers."""
    return tuple(name for name in imports if name not in _HARMLESS and not _PATTERN.fullmatch(name))
