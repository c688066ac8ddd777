"""The one kind of error a user can cause: it says what was expected, what was found and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST_NAME = 200  # characters that are compared
_LONGEST = 600  # characters of a message: names inside a model file can be of any length


class InputError(ValueError):
    """Something handed in (file, option, name) cannot be used. The command line prints it as one line, exit code 2.

    Messages quote names out of untrusted files, so control characters (terminal escapes too) are replaced.
    """

    def __init__(self, message: str) -> None:
        line = "".join(letter if letter.isprintable() else "?" for letter in " ".join(message.split()))
        super().__init__(line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …")


class MissingExtra(InputError):
    """An optional package is needed; the message is the command that installs it."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f'{purpose} needs an optional package; install it with: pip install "onnxray[{extra}]"')


def nearest_names(name: str, known: Iterable[str]) -> str:
    """A clause for error messages: the known names most like `name`, or the first few.

    >>> nearest_names("conv9", ["conv1", "pool1"])
    'did you mean conv1?'
    """
    choices = [entry[:_LONGEST_NAME] for entry in known]  # comparing takes the product of the lengths
    close = difflib.get_close_matches(name[:_LONGEST_NAME], choices, n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(close)}?"
    more = ", …" if len(choices) > 5 else ""
    return f"known names: {', '.join(choices[:5])}{more}"
