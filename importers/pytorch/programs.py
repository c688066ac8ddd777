"""What the programs inside TorchScript and torch.export files call, read as text: the second wall is the sandbox.

TorchScript cannot call Python, but a few of torch's own operators touch files. The loader of exported programs looks up
operators by name in torch and hands size expressions to SymPy, which evaluates them as Python.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import InputError

# Operators that open files by name.
_FILE_OPERATORS = re.compile(r"\b(?:torch|aten)(?:\.|::)(save|from_file|load)\b")
_SCRIPT_IMPORTS = re.compile(
    r"__torch__\..+|torch\.jit\._pickle\.\w+|torch\._utils\._rebuild_\w+|torch\.\w+Storage|torch\.(device|Size|Tensor)|"
    r"collections\.OrderedDict"
)
_OPERATORS = re.compile(
    r"torch\.ops\.(?!aten\.(?:save|from_file)\b)\w+\.\w+(\.\w+)?|_operator\.\w+|math\.\w+|torch\._?sym_\w+"
)
_EXPRESSION_NAMES = re.compile(
    r"[suz]\d+|Integer|Float|Rational|Symbol|Max|Min|Mod|PythonMod|FloorDiv|CleanDiv|CeilDiv|Pow|PowByNatural|Identity|"
    r"oo|int_oo|true|false|True|False|And|Or|Not|Eq|Ne|Lt|Le|Gt|Ge|ModularIndexing|Where|TruncToInt|FloorToInt|CeilToInt|"
    r"IntTrueDiv|FloatTrueDiv|ToFloat|RoundToInt|Abs|ceiling|floor|Mul|Add|positive|integer"
)
_WORD = re.compile(r"[^\W\d]\w*")


def code_in_script(imports: Iterable[str], text: str) -> tuple[str, ...]:
    """Of a TorchScript archive: pickled names that are no TorchScript classes, operators that open files."""
    strange = [name for name in imports if not _SCRIPT_IMPORTS.fullmatch(name)]
    return (*strange, *dict.fromkeys(f"torch.{name}" for name in _FILE_OPERATORS.findall(text)))


def code_in_program(text: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of one of an exported program's JSON files: calls of what is no operator and expressions that are no arithmetic;
    and the names of the entries that it says are pickles.

    Raises InputError when it is no JSON.
    """
    try:
        found = list(_findings(json.loads(text)))
    except (ValueError, RecursionError):
        raise InputError("its program is damaged JSON") from None
    strange = dict.fromkeys(name for name, is_pickle in found if not is_pickle)
    return tuple(strange), tuple(name for name, is_pickle in found if is_pickle)


def _findings(value: Any) -> Iterator[tuple[str, bool]]:
    """(what, whether it is the name of a pickle)."""
    if isinstance(value, list):
        for entry in value:
            yield from _findings(entry)
    elif isinstance(value, dict):
        target, expression, path = value.get("target"), value.get("expr_str"), str(value.get("path_name", ""))
        if isinstance(target, str) and not _OPERATORS.fullmatch(target):
            yield target, False
        if isinstance(expression, str) and not _is_arithmetic(expression):
            yield f"the expression {expression[:60]!r}", False
        if "/" in path or path.startswith("custom_obj"):
            yield f"the object {path}", False
        if value.get("use_pickle") or path.startswith("opaque"):
            yield path, True
        for entry in value.values():
            yield from _findings(entry)


def _is_arithmetic(expression: str) -> bool:
    words = _WORD.findall(expression)
    return all(map(_EXPRESSION_NAMES.fullmatch, words)) and not set(expression) & set("'\"[]{}@:;\\")
