"""`onnxray view`: the file in Netron, with our numbers beside the nodes."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.model import Model
from ...importers.errors import InputError
from ..options import ModelFile, takes_model_file

if TYPE_CHECKING:
    from ..viewer.netron_server import NetronServer

_LARGEST = 1 << 30  # bytes: a browser cannot hold much more, and protobuf ends at 2 GiB


@takes_model_file
def view(
    file: ModelFile,
    port: Annotated[int, typer.Option(help="On 127.0.0.1; 0 picks a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Do not show: write the numbers for Model Explorer (x.json) or Netron (x.netron.json)."),
    ] = None,
) -> None:
    """Open the file in Netron, on this machine only, with our numbers beside the nodes where we can read it."""
    if overlay is not None:
        from ...engine.structure.drawing.overlay import write_overlay

        for written in write_overlay(file.load(), overlay):
            print(written)
        return
    server = serve(file, port)
    with server.serving() as url:
        print(f"{file.path.name} at {url} (Ctrl-C stops)", flush=True)
        if browser:
            import webbrowser

            webbrowser.open(url)
        _wait()


def _wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


def serve(file: ModelFile, port: int) -> NetronServer:
    """A server, not yet started, that shows the file; with our numbers where we can read it."""
    from ..viewer.netron_server import NetronServer

    path, content = file.path, _with_numbers(file)
    name = f"{path.stem}.onnx" if content is not None else path.name
    try:
        return NetronServer(path, name=name, content=content, port=port)
    except OSError as error:
        raise InputError(f"--port expects a free port, found {port} ({error.strerror})") from None


def _with_numbers(file: ModelFile) -> bytes | None:
    """The model as ONNX with our numbers in it; None, and a word why, where we cannot read the file."""
    path = file.path
    if path.is_dir():  # Netron shows files only
        return _annotated_bytes(file.load())
    if not path.is_file():
        raise InputError(f"expected a model file, found none: {path}")
    try:
        return _annotated_bytes(file.load())
    except InputError as error:
        reason = str(error).removeprefix(f"{path}: ").partition(";")[0]
        print(f"shown as it is, without our numbers: {reason}", file=sys.stderr)
        return None


def _annotated_bytes(model: Model) -> bytes:
    from ...engine.structure.drawing.overlay import annotated

    if model.proto.ByteSize() > _LARGEST:
        raise InputError(f"the model has more than {_LARGEST >> 30} GiB of weights in it")
    return annotated(model).SerializeToString()
