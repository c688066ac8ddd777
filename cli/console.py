"""Tables on stdout: one console for all verbs, on which names out of files are only ever text."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console


def table_console(piped_width: int = 140) -> Console:
    """A console without markup, `piped_width` columns wide where stdout is no terminal and nobody says how wide."""
    from rich.console import Console

    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = piped_width
    return console


def end_of(text: str, room: int) -> Text:
    """The last part of a name that is too long says more than the first."""
    return Text(text if len(text) <= room else "…" + text[len(text) - room + 1 :])
