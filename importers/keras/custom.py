"""Layers that only the user knows: functions named with --custom write them, as those of our own tables do.

What a model file names is never imported; what the user names is, and runs in this process.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ..errors import InputError, nearest_names
from .layer_writer import LayerWriter
from .network import Layer, Network

LayerFunction = Callable[[LayerWriter], None]
Custom = Mapping[str, "LayerFunction | str"]  # name of a layer or of its class -> function, or module:function


def custom_functions(network: Network, given: Custom) -> dict[str, LayerFunction]:
    """Layer path -> the function that writes the layer; a layer's own name goes before its class.

    Raises InputError when a function cannot be imported, or no layer is called so.
    """
    functions = {name: _guarded(name, function) for name, function in given.items()}
    found, named = {}, set()
    for layer in network.walk():
        name = next((name for name in _names(layer) if name in functions), None)
        if name is not None:
            layer.config = layer.stated
            found[layer.path] = functions[name]
            named.add(name)
    for name in functions.keys() - named:
        known = dict.fromkeys(name for layer in network.walk() for name in _names(layer))
        raise InputError(f"--custom {name}: no layer has that name or class; {nearest_names(name, list(known))}")
    return found


def _names(layer: Layer) -> tuple[str, ...]:
    return layer.path, layer.written, layer.class_name


def _guarded(name: str, given: LayerFunction | str) -> LayerFunction:
    """The function; whatever it raises becomes one line that names it."""
    function = _imported(name, given) if isinstance(given, str) else given
    what = f"--custom {name}={given if isinstance(given, str) else getattr(given, '__name__', given)}"
    if not callable(function):
        raise InputError(f"{what}: expected a function, found {type(function).__name__}")

    def write(layer: LayerWriter) -> None:
        try:
            function(layer)
        except InputError:
            raise
        except Exception as error:  # whatever the user's own code raises
            raise layer.error(f"{what} failed ({type(error).__name__}: {error})") from error
        if not layer.results:
            raise layer.error(f"{what} wrote no result; let it end in layer.emit(…) or layer.passes()")

    return write


def _imported(name: str, text: str) -> Any:
    where, colon, function = text.rpartition(":")
    if not (colon and where and function):
        raise InputError(f"--custom expects LAYER=module:function or LAYER=file.py:function, found {name}={text}")
    sys.path.append(str(Path.cwd()))  # where the user's own modules lie; behind all that is installed
    try:
        module = _module_of_file(Path(where)) if where.endswith(".py") else import_module(where)
    except Exception as error:  # likewise
        reason = f"{type(error).__name__}: {error}"
        raise InputError(f"--custom {name}={text}: {where} cannot be imported ({reason})") from error
    finally:
        sys.path.pop()
    if not hasattr(module, function):
        public = [entry for entry in vars(module) if not entry.startswith("_")]
        raise InputError(f"--custom {name}={text}: there is no {function}; {nearest_names(function, public)}")
    return getattr(module, function)


def _module_of_file(path: Path) -> Any:
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # of a name that ends in .py
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
