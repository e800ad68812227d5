"""What is asked of an attribute, as a word of the command line.

``3.2`` is a value, ``+0.5`` and ``-0.5`` are changes, ``=-10`` is a value with a sign, and
``A..B`` goes from one to the other.
"""

import argparse
import re

from serving.client.connection import By, To

__all__ = ["asked"]

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_WORD = re.compile(rf"(?P<exact>=?)(?P<first>{_NUMBER})(?:\.\.(?P<last>{_NUMBER}))?")


def asked(word: str) -> To | By:
    """Return what the word asks for.

    Raises:
        ArgumentTypeError: it is no such word.
    """
    parts = _WORD.fullmatch(word)
    if parts is None:
        raise argparse.ArgumentTypeError(
            f"expected a value (3.2, =-10), a change (+0.5, -0.5) or a range (2..5), found {word!r}"
        )
    first = float(parts["first"])
    last = float(parts["last"]) if parts["last"] else None
    is_change = parts["first"][0] in "+-" and not parts["exact"]
    return By(first, last) if is_change else To(first, last)
