"""What every verb that takes a model shares: the MODEL argument and the options that say how to read it."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ..engine.model import Model
from ..importers import IMPORTERS, FormatOption
from ..importers.errors import InputError

_PANEL = "How to read the model"


@dataclass(frozen=True)
class ModelFile:
    """A MODEL that is not read yet, and what the options say of how to."""

    path: Path
    options: Mapping[str, Any]  # keywords of `load`

    def load(self, weights_alone: bool = False) -> Model:
        """Raises InputError when it cannot be used; `weights_alone`: as of `engine.model.load`."""
        from ..engine.model import load

        return load(self.path, weights_alone=weights_alone, **self.options)


def _model_options(
    path: Annotated[Path, typer.Argument(metavar="MODEL", help="A model file.")],
    companion: Annotated[
        Path | None,
        typer.Option(help="The other half of a two-file format (a prototxt, say).", rich_help_panel=_PANEL),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="Fix an input's shape: input=1x3x224x224.", rich_help_panel=_PANEL),
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="Image size, HEIGHTxWIDTH or one number.", rich_help_panel=_PANEL)
    ] = None,
    mean: Annotated[
        str | None, typer.Option(help="Subtracted from pixels 0..255: one or a channel each.", rich_help_panel=_PANEL)
    ] = None,
    scale: Annotated[
        str | None, typer.Option(help="Multiplied after the mean: 1/255, or a channel each.", rich_help_panel=_PANEL)
    ] = None,
    bgr: Annotated[
        bool | None, typer.Option("--bgr/--rgb", help="Channel order of the input.", rich_help_panel=_PANEL)
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Text file with a class name a line, or JSON.", rich_help_panel=_PANEL)
    ] = None,
    resize: Annotated[
        str | None, typer.Option(help="crop (the centre) or stretch (the whole image).", rich_help_panel=_PANEL)
    ] = None,
    layout: Annotated[str | None, typer.Option(help="NCHW or NHWC.", rich_help_panel=_PANEL)] = None,
    **format_options: str | bool | list[str] | None,
) -> ModelFile:
    """The file that these options describe. Raises InputError for one that says nothing."""
    common = {
        "companion": companion,
        "shapes": dict(_parse_shape(text) for text in shape or ()),
        "size": None if size is None else _parse_size(size),
        "mean": None if mean is None else _parse_numbers("--mean", mean),
        "scale": None if scale is None else _parse_numbers("--scale", scale),
        "channel_order": {None: None, True: "BGR", False: "RGB"}[bgr],
        "labels": labels,
        "resize": resize,
        "layout": None if layout is None else layout.upper(),
    }
    own = {
        name: _parse_pairs(name, value) if isinstance(value, list) else value for name, value in format_options.items()
    }
    return ModelFile(path, {**common, **own})


def _format_options() -> dict[str, inspect.Parameter]:
    """The options that only some formats have, as the rows of IMPORTERS say them."""
    rows = {name: option for importer in IMPORTERS.values() for name, option in importer.options.items()}
    return {name: _parameter(name, option) for name, option in rows.items()}


def _parameter(name: str, option: FormatOption) -> inspect.Parameter:
    words = typer.Option(f"--{name.replace('_', '-')}", help=option.help, rich_help_panel=_PANEL)
    kind: Any = (list[str] if option.kind is dict else option.kind) | None  # None: not given
    annotation = Annotated[kind, words]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def takes_model(function: Callable[..., None]) -> Callable[..., None]:
    """A verb whose first parameter is a Model becomes one whose first parameters are MODEL and the reading options."""
    return _taking(function, ModelFile.load)


def takes_model_file(function: Callable[..., None]) -> Callable[..., None]:
    """Likewise one whose first parameter is a ModelFile: for verbs that have a use for what is no network to us."""
    return _taking(function, lambda file: file)


def _taking(function: Callable[..., None], first: Callable[[ModelFile], Any]) -> Callable[..., None]:
    *common, _ = inspect.signature(_model_options, eval_str=True).parameters.items()
    shared = {**dict(common), **_format_options()}
    # The annotation of the first one stays text, so that a verb need not import the engine to be listed.
    _, *rest = inspect.signature(function).parameters.values()
    own = [_evaluated(parameter, function) for parameter in rest]

    @functools.wraps(function)
    def verb(**values: Any) -> None:
        file = _model_options(**{name: values.pop(name) for name in shared})
        function(first(file), **values)

    # Typer reads the signature: MODEL first, then the verb's own parameters, then the shared options.
    path, *options = shared.values()
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (path, *own, *options)]
    verb.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    verb.__annotations__ = {p.name: p.annotation for p in parameters}
    del verb.__wrapped__
    return verb


def _evaluated(parameter: inspect.Parameter, function: Callable[..., None]) -> inspect.Parameter:
    """The parameter with its annotation as Typer needs it."""
    if not isinstance(parameter.annotation, str):
        return parameter
    return parameter.replace(annotation=eval(parameter.annotation, function.__globals__))


def _parse_pairs(option: str, texts: list[str]) -> dict[str, str] | None:
    """`name=value`, several times; None where there is none."""
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (name, _, value) in zip(texts, pairs, strict=True) if not (name and value)]
    if wrong:
        raise InputError(f"--{option} expects NAME=VALUE, found {wrong[0]!r}")
    return {name: value for name, _, value in pairs} or None


def _parse_shape(text: str) -> tuple[str, tuple[int, ...]]:
    """`input=1x3x224x224` or, for the only input, `1x3x224x224`."""
    name, _, dims = text.rpartition("=")
    try:
        shape = tuple(int(part) for part in dims.lower().split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 1:
        raise InputError(f"--shape expects input=1x3x224x224, found {text!r}")
    return name, shape


def _parse_size(text: str) -> tuple[int, int]:
    try:
        sides = [int(part) for part in text.lower().split("x")]
    except ValueError:
        sides = []
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise InputError(f"--size expects one number or HEIGHTxWIDTH in pixels, found {text!r}")
    return sides[0], sides[-1]


def _parse_numbers(option: str, text: str) -> tuple[float, ...]:
    """`1/255` or `123.7,116.3,103.5`: numbers and fractions with commas."""
    try:
        return tuple(_parse_number(part) for part in text.split(","))
    except (ValueError, ZeroDivisionError):
        raise InputError(
            f"{option} expects one number or several with commas (fractions too: 1/255), found {text!r}"
        ) from None


def _parse_number(text: str) -> float:
    above, slash, below = text.partition("/")
    return float(above) / float(below) if slash else float(above)
