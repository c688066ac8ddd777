"""The network that weights belong to: what `--arch package.module:factory(arguments)` names, and how they enter it.

Importing that module is the user's word, not the file's; it happens in the sandbox like everything here.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import OrderedDict
from collections.abc import Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from pathlib import Path
from typing import Any

import torch

from ..errors import InputError, nearest_names
from .families import WRAPPERS

_SHOWN = 4  # names in a message
_ARCHITECTURE = re.compile(r"(?P<module>[\w.]+|.+\.py):(?P<name>[A-Za-z_][\w.]*)(?P<call>\(.*\))?", re.DOTALL)


def find_architecture(text: str, folder: str) -> Any:
    """The module (file.py or a name) that --arch names. Raises InputError when it cannot be imported."""
    match = _ARCHITECTURE.fullmatch(text)
    if match is None:
        raise InputError(f"--arch expects package.module:factory or file.py:factory(arguments), found {text!r}")
    where = match["module"]
    places = [folder, str((Path(folder) / where).parent)] if where.endswith(".py") else [folder]
    sys.path.extend(place for place in places if place not in sys.path)
    try:
        if not where.endswith(".py"):
            return import_module(where)
        spec = spec_from_file_location(Path(where).stem, Path(folder) / where)
        if spec is None or spec.loader is None:
            raise InputError(f"--arch {text}: {where} is no Python file")
        module = module_from_spec(spec)
        sys.modules.setdefault(Path(where).stem, module)
        spec.loader.exec_module(module)
        return module
    except InputError:
        raise
    except Exception as error:  # whatever the user's own code raises
        raise InputError(f"--arch {text}: {where} cannot be imported ({type(error).__name__}: {error})") from None


def build(text: str, where: Any) -> torch.nn.Module:
    """What the factory returns for its arguments, which are plain Python values."""
    match = _ARCHITECTURE.fullmatch(text)
    assert match is not None  # found before
    try:
        factory = attrgetter(match["name"])(where)
    except AttributeError:
        public = [name for name in vars(where) if not name.startswith("_")]
        raise InputError(
            f"--arch {text}: there is no {match['name']}; {nearest_names(match['name'], public)}"
        ) from None
    arguments, keywords = _arguments(text, match["call"] or "()")
    try:
        module = factory(*arguments, **keywords) if callable(factory) else factory
    except Exception as error:  # likewise
        raise InputError(f"--arch {text}: the call failed ({type(error).__name__}: {error})") from None
    if not isinstance(module, torch.nn.Module):
        raise InputError(f"--arch {text}: expected a torch.nn.Module, found {type(module).__name__}")
    return module


def _arguments(text: str, call: str) -> tuple[list[Any], dict[str, Any]]:
    try:
        parsed = ast.parse(f"f{call}", mode="eval").body
        assert isinstance(parsed, ast.Call)
        arguments = [ast.literal_eval(value) for value in parsed.args]
        keywords = {str(word.arg): ast.literal_eval(word.value) for word in parsed.keywords}
    except (SyntaxError, ValueError, AssertionError):
        raise InputError(f"--arch {text}: expected numbers, texts, lists or True and False in {call}") from None
    return arguments, keywords


def with_weights(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], strip: str | None) -> torch.nn.Module:
    """The module with all of these weights and no others. Raises InputError naming what does not fit."""
    named = stripped(tensors, strip)
    wanted = module.state_dict()
    missing = [name for name in wanted if name not in named and not name.endswith("num_batches_tracked")]
    unknown = [name for name in named if name not in wanted]
    other = [
        f"{name} {_shape(named[name])} for {_shape(wanted[name])}"
        for name in wanted
        if name in named and named[name].shape != wanted[name].shape
    ]
    if missing or unknown or other:
        parts = (("missing", missing), ("unknown", unknown), ("of another shape", other))
        found = "; ".join(f"{len(names)} {what} ({_some(names)})" for what, names in parts if names)
        raise InputError(f"the weights are not those of --arch: {found}{_advice(missing, unknown)}")
    fitting = OrderedDict(named)
    # Having its names they are of its modules' versions, which safetensors and prefixed names do not say.
    fitting._metadata = getattr(wanted, "_metadata", None)  # type: ignore[attr-defined]
    module.load_state_dict(fitting, strict=False)
    return module


def stripped(tensors: Mapping[str, torch.Tensor], strip: str | None) -> dict[str, torch.Tensor]:
    """Names without the prefix; without any given, those of wrappers that all names have."""
    if strip is not None:
        if not any(name.startswith(strip) for name in tensors):
            raise InputError(f"--strip {strip}: no name starts so; {nearest_names(strip, tensors)}")
        return {name.removeprefix(strip): value for name, value in tensors.items() if name.startswith(strip)}
    named = dict(tensors)
    for wrapper in (*WRAPPERS, *WRAPPERS):
        if all(name.startswith(wrapper) for name in named):
            named = {name.removeprefix(wrapper): value for name, value in named.items()}
    return named


def _advice(missing: list[str], unknown: list[str]) -> str:
    """Whether a prefix explains it."""
    for name in unknown:
        for wanted in missing:
            if name.endswith(f".{wanted}"):
                return f"; perhaps --strip {name.removesuffix(wanted)}"
    return ""


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _shape(tensor: torch.Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
