"""What every verb that takes images shares: the IMAGES argument, the progress bar, and the word on broken ones."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from ..importers.errors import InputError

if TYPE_CHECKING:
    from ..importers.input_spec import InputSpec

ImagesArgument: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="IMAGES", help="Image files, folders, globs, or .npy and .npz arrays."),
]
MemoryOption: TypeAlias = Annotated[
    str | None, typer.Option(metavar="SIZE", help="What the process may hold at once: 2GB, 500MB.")
]
ProvidersOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--provider", help="onnxruntime provider (cuda, cpu …); default: the GPU if it works, else the CPU."),
]

_NAMED = 3  # broken images that the warning names
_DECISIVE = ("mean", "scale", "channel_order")
_GUESSED = ("assumed", "unknown")  # how an origin begins: nothing was stated, or what was stated is missing


def warn_skipped(skipped: Sequence[tuple[object, str]], total: int) -> None:
    """One line on stderr: how many images were left out, why the first, and which others. A reason names its image."""
    if not skipped:
        return
    others = ", ".join(Path(str(path)).name for path, _ in skipped[1:_NAMED])
    rest = f"; also {others}{', …' if len(skipped) > _NAMED else ''}" if others else ""
    print(f"warning: skipped {len(skipped)} of {total} images: {skipped[0][1]}{rest}", file=sys.stderr)


def warn_assumed(spec: InputSpec) -> None:
    """One line on stderr where nobody said how pixels become the network's input: wrong guesses give wrong classes."""
    guesses = assumptions(spec)
    if guesses:
        print(f"warning: {guesses}", file=sys.stderr)


def assumptions(spec: InputSpec) -> str:
    """What was assumed about the pixels' scale and order, and how to say better; empty when it was all stated."""
    assumed = [name for name in _DECISIVE if spec.origin.get(name, "").startswith(_GUESSED)]
    if spec.channel_order == "GREY":
        assumed = [name for name in assumed if name != "channel_order"]
    if not {"mean", "scale"} & set(assumed):
        return ""
    values = {"mean": _numbers(spec.mean), "scale": _numbers(spec.scale), "channel_order": spec.channel_order}
    told = ", ".join(f"{name.replace('_', ' ')} {values[name]}" for name in assumed)
    advice = "if that is wrong, so are the results: see --mean, --scale, --bgr"
    return f"nothing says how pixels enter the network; assumed {told}; {advice}"


def _numbers(values: Sequence[float]) -> str:
    return " ".join(f"{value:.4g}" for value in dict.fromkeys(values))


def keep_images(images: Sequence[str], outputs: Sequence[Path]) -> None:
    """Raise InputError when a file that is to be written is one of the images."""
    from ..engine.image_files import find_images, split_reference

    read = {split_reference(path)[0].resolve() for path in find_images(images)}
    for path in outputs:
        if path.resolve() in read:
            raise InputError(f"{path} is one of the images: expected another name to write to")


@contextlib.contextmanager
def progress_bar(task: str) -> Iterator[Callable[[float, int], None]]:
    """A bar on stderr, while there is a person to see it; gives the function to call with (done, in all)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        number = progress.add_task(task, total=None)
        yield lambda done, total: progress.update(number, completed=done, total=total)
