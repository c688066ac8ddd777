"""What every verb that takes images shares: the IMAGES argument, the progress bar, and the word on broken ones."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

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


def warn_skipped(skipped: Sequence[tuple[object, str]], total: int) -> None:
    """One line on stderr: how many images were left out, why the first, and which others. A reason names its image."""
    if not skipped:
        return
    others = ", ".join(Path(str(path)).name for path, _ in skipped[1:_NAMED])
    rest = f"; also {others}{', …' if len(skipped) > _NAMED else ''}" if others else ""
    print(f"warning: skipped {len(skipped)} of {total} images: {skipped[0][1]}{rest}", file=sys.stderr)


@contextlib.contextmanager
def progress_bar(task: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, while there is a person to see it; gives the function to call with (done, in all)."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        number = progress.add_task(task, total=None)
        yield lambda done, total: progress.update(number, completed=done, total=total)
