"""Source: an MXNet model opened: the symbol with its parameters, and the two files it came from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from .params import MAGIC, read_params
from .symbol import VARIABLE, Symbol, read_symbol

_SYMBOL_END = "-symbol.json"
_SYMBOL = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{[^{]*"nodes"\s*:')
_HEAD = 1 << 12  # bytes
_EPOCH = re.compile(r"(.+)-(\d{4,})\.params$")


@dataclass(frozen=True)
class Source:
    """What an import starts from."""

    symbol_file: Path
    params_file: Path
    symbol: Symbol


def open_source(path: Path, companion: Path | None) -> Source:
    """Find, read and join the two files of an MXNet model. Raises InputError when that is not possible."""
    symbol_file, params_file = find_pair(path, companion)
    symbol = read_symbol(symbol_file)
    symbol.parameters = _by_variable(read_params(params_file))
    names = {node.name for node in symbol.nodes if node.op == VARIABLE}
    if symbol.parameters and not names & symbol.parameters.keys():
        listed = ", ".join(list(symbol.parameters)[:3])
        raise InputError(
            f"{params_file} holds parameters of none of the nodes of {symbol_file.name}; it has {listed} …: another "
            "network, or what Gluon's save_parameters wrote, where its export writes both files"
        )
    return Source(symbol_file, params_file, symbol)


def _by_variable(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Without "arg:" and "aux:"; all floats as float32. Of a name that is there both ways, the argument's."""
    found: dict[str, np.ndarray] = {}
    for name, array in stored.items():
        kind, colon, rest = name.partition(":")
        plain = rest if colon and kind in ("arg", "aux") else name
        if plain not in found or kind == "arg":
            found[plain] = _as_float32(array) if array.dtype.kind == "f" else array
    return found


def _as_float32(array: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # doubles beyond its range become infinite
        return array.astype(np.float32, copy=False)


def find_pair(path: Path, companion: Path | None) -> tuple[Path, Path]:
    """(symbol, parameters) for the file given and, maybe, its companion.

    Raises InputError when both are of the same kind or the other one cannot be found.
    """
    if companion is not None:
        if not companion.is_file():
            raise InputError(f"--companion names no file: {companion}")
        if is_params(path) == is_params(companion):
            kind = "parameters (binary)" if is_params(path) else "symbols (JSON)"
            raise InputError(f"expected one symbol and one file of parameters, found two {kind}: {path}, {companion}")
        return (companion, path) if is_params(path) else (path, companion)
    return (_symbol_beside(path), path) if is_params(path) else (path, _params_beside(path))


def is_params(path: Path) -> bool:
    """Whether the file starts as MXNet's lists of arrays do."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def is_symbol(path: Path) -> bool:
    """Whether the file is JSON that starts with nodes, as MXNet writes it."""
    with path.open("rb") as file:
        return _SYMBOL.match(file.read(_HEAD)) is not None


def _params_beside(symbol: Path) -> Path:
    """PREFIX-0012.params of the highest epoch; else the only file of parameters."""
    found = sorted(symbol.parent.glob("*.params"))
    prefix = symbol.name.removesuffix(_SYMBOL_END) if symbol.name.endswith(_SYMBOL_END) else symbol.stem
    epochs = {
        int(matched[2]): other for other in found if (matched := _EPOCH.match(other.name)) and matched[1] == prefix
    }
    same = symbol.with_name(f"{prefix}.params")
    if epochs:
        return epochs[max(epochs)]
    if same in found:
        return same
    return _only(found, symbol, "parameters (.params)")


def _symbol_beside(params: Path) -> Path:
    """PREFIX-symbol.json; else the only symbol."""
    matched = _EPOCH.match(params.name)
    prefix = matched[1] if matched else params.stem
    for name in (f"{prefix}{_SYMBOL_END}", f"{prefix}.json"):
        if params.with_name(name).is_file():
            return params.with_name(name)
    return _only(sorted(params.parent.glob(f"*{_SYMBOL_END}")), params, f"symbol (PREFIX{_SYMBOL_END})")


def _only(found: list[Path], path: Path, what: str) -> Path:
    if len(found) == 1:
        return found[0]
    seen = f"several lie beside it: {', '.join(other.name for other in found)}" if found else "none lies beside it"
    raise InputError(f"{path}: expected a second file, its {what}, but {seen}; name it with --companion")
