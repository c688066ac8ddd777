"""Class names from the files people keep them in."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from .errors import InputError

_SYNSET = re.compile(r"n\d{8}$")
_JSON = re.compile(r"\s*[\[{]\s*[\"\[{\]}]")  # [" or {" …; a name may begin with a bracket: [PAD]
_LARGEST = 1 << 24  # bytes: a list of names is no model


def read_labels(path: Path) -> tuple[str, ...]:
    """Class names in output order: a line each, or JSON.

    A leading index that counts the lines and a WordNet id are dropped: `7 n01514668 cock` is "cock".
    Raises InputError when the file is no text or names nothing.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError("too large for a list of names")
        text = path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(f"--labels expects a text file with a class name a line: {path} ({error})") from None
    if _JSON.match(text):
        labels = _from_json(path, text)
    else:
        labels = _from_lines([line.strip() for line in text.splitlines() if line.strip()])
    if not labels:
        raise InputError(f"--labels expects a text file with a class name a line: {path} is empty")
    return labels


def _from_lines(lines: list[str]) -> tuple[str, ...]:
    rows = [_columns(line) for line in lines]
    for first in (0, 1):
        if all(len(row) > 1 and row[0].rstrip(":,.)") == str(first + at) for at, row in enumerate(rows)):
            rows = [row[1:] for row in rows]
            break
    rows = [row[1:] if len(row) > 1 and _SYNSET.match(row[0]) else row for row in rows]
    return tuple(" ".join(row) for row in rows)


def _columns(line: str) -> list[str]:
    """The line cut at its first spaces as far as what stands there can be an index or a WordNet id."""
    if "\t" in line:
        return [cell.strip() for cell in line.split("\t") if cell.strip()]
    index = re.match(r"(\d+[:,.)]?)[\s]+(.*)", line) or re.match(r"(\d+[:,.)])(.+)", line)
    head, rest = ([index[1]], index[2].strip()) if index else ([], line)
    synset, _, name = rest.partition(" ")
    if _SYNSET.match(synset) and name.strip():
        return [*head, synset, name.strip()]
    return [*head, rest]


def _from_json(path: Path, text: str) -> tuple[str, ...]:
    """A list of names, or {"0": name, …}; a name may be [WordNet id, name] as in Keras' imagenet_class_index.json."""
    try:
        stored = json.loads(text)
        if isinstance(stored, dict):
            stored = [stored[str(index)] for index in range(len(stored))]
        return tuple(str(entry[-1] if isinstance(entry, list) else entry) for entry in stored)
    except (ValueError, KeyError, IndexError, RecursionError):
        raise InputError(f'--labels expects JSON as a list of names or {{"0": name, "1": …}}: {path}') from None


def as_labels(names: Sequence[str] | Path | str) -> tuple[str, ...]:
    """Labels given as names, or as the path of a file of names."""
    return read_labels(Path(names)) if isinstance(names, (str, Path)) else tuple(str(name) for name in names)
