"""`onnxray VERB …`: the table of verbs, and what every verb shares (errors, --debug, --version)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Any

# verb -> one-line help. The module is cli/verbs/VERB.py and its function has the verb's name; it is imported only
# when the verb is used, so that `onnxray --help` answers at once.
VERBS: dict[str, str] = {
    "summary": "Table of layers: shapes, parameters, MACs, memory, receptive fields.",
    "graph": "Draw the architecture as svg, png, pdf, dot or html.",
    "view": "Open the file in Netron, with our numbers beside the nodes.",
    "weights": "Filters as pictures, statistics and histograms of every weight.",
    "activations": "Feature maps of an image, with statistics and the top classes.",
    "predict": "Top classes of images.",
    "explain": "Which pixels an answer depends on: gradients, CAMs, LRP, masks …, and whether the maps hold.",
    "occlude": "Where a patch that covers the image costs the answer most.",
    "deconvnet": "What a layer's units answer to in images, run back to the pixels.",
    "checkup": "What is wrong with a trained network: dead, stuck and duplicate filters, aliasing.",
    "report": "One offline HTML page with all of it.",
    "certify": "Whether gradients can be trusted: torch's copy of the network against onnxruntime.",
    "convert": "Any supported model file to ONNX, with a parity certificate.",
    "formats": "Which files can be read: versions, layers, what is refused, who certifies.",
    "demo": "The report of a real trained network that pip can install.",
    "doctor": "What this installation can do, and why not the rest.",
}

USER_ERROR = 2
BUG = 1


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    if debug:
        words.remove("--debug")
    if words[:1] == ["--version"]:
        print(f"onnxray {version('onnxray')}")
        return 0
    try:
        _app(words)(words, prog_name="onnxray")
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else USER_ERROR
    except Exception as error:
        if debug:
            raise
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    """One line on stderr; which exit code."""
    from ..importers.errors import InputError

    message = " ".join(str(error).split())
    if isinstance(error, InputError):
        print(f"error: {message}", file=sys.stderr)
        return USER_ERROR
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename is not None else ""
        print(f"error: {place}{error.strerror or message}", file=sys.stderr)
        return USER_ERROR
    if isinstance(error, MemoryError):
        print(f"error: not enough memory here ({message})", file=sys.stderr)
        return USER_ERROR
    print(
        f"bug in onnxray: {type(error).__name__}: {message} (run again with --debug and report it)",
        file=sys.stderr,
    )
    return BUG


def _app(words: Sequence[str]) -> Any:
    """The command-line application; only the verb that `words` names is imported."""
    import typer

    app = typer.Typer(
        help="Any trained vision model file in; pictures, tables and numbers that explain it out.",
        epilog="onnxray VERB --help tells a verb's options. --version, --debug work with every verb.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    chosen = next((word for word in words if not word.startswith("-")), None)
    for verb, help_line in VERBS.items():
        app.command(verb, help=None if verb == chosen else help_line)(_function(verb) if verb == chosen else _listed)
    return app


def _function(verb: str) -> Callable[..., None]:
    return getattr(import_module(f".verbs.{verb}", __package__), verb)


def _listed() -> None:
    """Stands in for a verb that is only listed, so that its module need not be imported."""


if __name__ == "__main__":
    sys.exit(main())
