"""The two nets of a Caffe2 model: which is which, and the other one found beside the one that is given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError
from .kinds import is_net
from .reader import Net, read_net

_INIT, _PREDICT = re.compile("init", re.IGNORECASE), re.compile("predict|run|pred", re.IGNORECASE)
_SUFFIXES = (".pb", ".pbtxt")


@dataclass(frozen=True)
class Source:
    """A net and where it was read."""

    path: Path
    net: Net

    @property
    def only_fills(self) -> bool:
        """Whether it only makes blobs out of nothing, as an init_net does."""
        return all(operator.type.endswith("Fill") and not operator.inputs for operator in self.net.operators)


def find_pair(path: Path, companion: Path | None) -> tuple[Source, Source]:
    """(predict_net, init_net) for the file given and, maybe, its companion.

    Raises InputError when both are of the same kind or the other one cannot be found.
    """
    first = Source(path, read_net(path))
    if companion is not None and not companion.is_file():
        raise InputError(f"--companion names no file: {companion}")
    second = _beside(first) if companion is None else Source(companion, read_net(companion))
    if first.only_fills == second.only_fills:
        kind = "init_nets (weights)" if first.only_fills else "predict_nets (operators)"
        raise InputError(f"expected one predict_net and one init_net, found two {kind}: {path}, {companion}")
    return (second, first) if first.only_fills else (first, second)


def _beside(source: Source) -> Source:
    """The net called like this one but for the words that say what it is; else the only other of the kind."""
    path = source.path
    nets = [entry for entry in sorted(path.parent.iterdir()) if entry != path and _may_be_net(entry)]
    named = [entry for entry in nets if _kin(entry) == _kin(path)] or nets
    found = [Source(entry, read_net(entry)) for entry in named]
    fitting = [entry for entry in found if entry.only_fills != source.only_fills]
    binary = [entry for entry in fitting if entry.path.suffix.lower() == ".pb"] or fitting
    if len(binary) == 1:
        return binary[0]
    what = "predict_net with the operators" if source.only_fills else "init_net with the weights"
    names = ", ".join(entry.path.name for entry in binary)
    seen = f"several lie beside it: {names}" if binary else "none lies beside it"
    raise InputError(f"{path}: expected a Caffe2 {what}, but {seen}; name it with --companion")


def _may_be_net(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file() and is_net(path)


def _kin(path: Path) -> str:
    """What is left of a name without the words that tell the two files apart."""
    return re.sub("[_-]+", "_", _PREDICT.sub("", _INIT.sub("", path.stem))).replace("_net", "").strip("_").lower()
