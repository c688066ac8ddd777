"""PyTorch's files to a module that can be called. Runs in the sandbox: this is where torch reads the file."""

from __future__ import annotations

import json
import pickle
import re
import struct
import sys
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from ..errors import InputError, nearest_names
from .architecture import build, find_architecture, stripped, with_weights
from .families import guess_family

_SHOWN = 4  # names in a message
_ARCH = re.compile(r"[\w.]+:\w+")
_NESTED = ("state_dict", "model_state_dict", "model", "net", "network", "params_ema", "params", "ema", "module")
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class WithoutNetwork(InputError):
    """A file holds weights, and nobody said which network they are of."""

    def __init__(self, tensors: Mapping[str, torch.Tensor]) -> None:
        super().__init__(_what_it_is(tensors))
        self.tensors = tensors


@dataclass(frozen=True)
class Source:
    """A file, and what the user says about it."""

    path: str
    kind: str
    arch: str | None = None
    key: str | None = None
    strip: str | None = None
    allow_code: bool = False
    folder: str = "."  # where the user's own modules are looked for


def load_module(source: Source) -> tuple[torch.nn.Module, torch.export.ExportedProgram | None]:
    """The module in evaluation mode, its weights on the CPU; and the program, where the file is one.

    Raises WithoutNetwork when the file holds weights only and no `arch` says which network they are of, and InputError
    when they do not fit.
    """
    if source.kind == "torchscript":
        return _in_evaluation(torch.jit.load(source.path, map_location="cpu")), None
    if source.kind == "program":
        program = torch.export.load(source.path)
        return program.module(check_guards=False), program
    factory = find_architecture(source.arch, source.folder) if source.arch else None
    stored = _read(source, factory)
    module = stored if isinstance(stored, torch.nn.Module) else _module_within(stored, source)
    if module is not None:
        return _in_evaluation(module), None
    tensors = find_tensors(stored, source.key)
    if source.arch is None:
        raise WithoutNetwork(tensors if source.strip is None else stripped(tensors, source.strip))
    return _in_evaluation(with_weights(build(source.arch, factory), tensors, source.strip)), None


def _in_evaluation(module: torch.nn.Module) -> torch.nn.Module:
    try:
        module = module.eval()
    except AttributeError:  # frozen TorchScript is in evaluation mode for good
        return module
    odd = any(value.dtype.is_floating_point and value.dtype != torch.float32 for value in module.parameters())
    return module.float() if odd else module


def _read(source: Source, factory: Any) -> Any:
    """What the file holds: weights only first, and anything only where the user allowed code."""
    if source.kind == "safetensors":
        return _read_safetensors(Path(source.path))
    try:
        with torch.serialization.safe_globals(_plain_values()):
            return torch.load(source.path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, TypeError, AttributeError, EOFError, IndexError) as error:
        if not source.allow_code:
            first = re.split(r"\n|\. ", str(error).strip())[0]
            reason = re.search(r"Unsupported \w+[^.]*?: (GLOBAL )?([\w.]+)|legacy \.tar format", str(error))
            raise InputError(
                f"torch does not read it as plain weights ({reason.group(0) if reason else first}); "
                "--allow-code reads it all the same, running what it brings along"
            ) from None
    for name, value in vars(factory).items() if isinstance(factory, ModuleType) else ():
        if isinstance(value, type):  # a class pickled from a script lies in __main__
            setattr(sys.modules["__main__"], name, value)
    try:
        return torch.load(source.path, map_location="cpu", weights_only=False)
    except (AttributeError, ImportError) as error:
        raise InputError(f"its class cannot be found ({error}); say where it lies: --arch file.py:Class") from None


def _plain_values() -> list[Any]:
    """What training scripts put beside the weights: their arguments, and numbers and arrays of NumPy."""
    kinds = {type(np.dtype(name)) for name in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?")}
    arrays = import_module("numpy._core.multiarray")  # numpy.core before version 2, and so in older files
    scalar, rebuild = arrays.scalar, arrays._reconstruct
    old = [(scalar, "numpy.core.multiarray.scalar"), (rebuild, "numpy.core.multiarray._reconstruct")]
    return [Namespace, scalar, rebuild, *old, np.dtype, np.ndarray, *kinds]


def _module_within(stored: Any, source: Source) -> torch.nn.Module | None:
    """A checkpoint may hold the module beside other things."""
    if not isinstance(stored, Mapping):
        return None
    keys = (source.key,) if source.key else _NESTED
    return next((stored[key] for key in keys if isinstance(stored.get(key), torch.nn.Module)), None)


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The header was checked against the file's size before."""
    data = path.read_bytes()
    start = 8 + struct.unpack_from("<Q", data)[0]
    header = json.loads(data[8:start])
    return {
        name: _tensor(data[start + entry["data_offsets"][0] : start + entry["data_offsets"][1]], entry)
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _tensor(data: bytes, entry: Mapping[str, Any]) -> torch.Tensor:
    if entry["dtype"] not in _TYPES:
        raise InputError(f"safetensors: torch has no type {entry['dtype']}")
    if not data:
        return torch.empty(entry["shape"], dtype=_TYPES[entry["dtype"]])
    return torch.frombuffer(bytearray(data), dtype=_TYPES[entry["dtype"]]).reshape(entry["shape"])


def find_tensors(stored: Any, key: str | None) -> dict[str, torch.Tensor]:
    """The state dict in what a file holds, at `key` (a.b for nested ones) or where it usually is.

    Raises InputError when there is none.
    """
    for part in key.split(".") if key else ():
        if not isinstance(stored, Mapping) or part not in stored:
            known = [str(name) for name in stored] if isinstance(stored, Mapping) else []
            raise InputError(f"--key {key}: the file has no {part}; {nearest_names(part, known)}")
        stored = stored[part]
    for _ in range(3):
        if not isinstance(stored, Mapping):
            raise InputError(f"expected a mapping of names to tensors, found {type(stored).__name__}")
        tensors = {str(name): value for name, value in stored.items() if isinstance(value, torch.Tensor)}
        nested = next((stored[name] for name in _NESTED if isinstance(stored.get(name), Mapping)), None)
        if tensors or nested is None:
            break
        stored = nested
    if not tensors:
        names = ", ".join(str(name) for name in list(stored)[:_SHOWN])
        raise InputError(
            f"expected a mapping of names to tensors, found {names or 'an empty one'}; --key says which part"
        )
    return tensors


def _what_it_is(tensors: Mapping[str, torch.Tensor]) -> str:
    family = guess_family({name: tuple(value.shape) for name, value in tensors.items() if value.is_floating_point()})
    numbers = sum(value.numel() for value in tensors.values())
    hint = f", which look like {family}" if family else ""
    return (
        f"weights without a network: {len(tensors)} tensors, {numbers:,} numbers{hint}; say what they are the weights "
        f"of: --arch {family if _ARCH.fullmatch(family) else 'package.module:factory'} "
        "(`onnxray summary` and `onnxray weights` show them without)"
    )
