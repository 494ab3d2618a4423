"""The one error that means "what you gave us is wrong", shown to the user as one line."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Raised for bad input: names the source, the field, the value and what would be right.

    The command line prints its message as one line and exits with code 2.
    """


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """``"did you mean 'x'? "`` for the nearest known word, or nothing if none is near.

    ``cutoff`` is how alike they must be, 0 to 1, as `difflib.get_close_matches` counts.
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"did you mean {close[0]!r}? " if close else ""
