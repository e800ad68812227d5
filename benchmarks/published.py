"""A command line as it may stand in a results file."""

from collections.abc import Sequence

__all__ = ["published"]


def published(words: Sequence[str], folders: Sequence[str]) -> list[str]:
    """Return the words with folders of data by their kind alone.

    Args:
        words: of the command line, without the program.
        folders: names of the flags whose values are folders of data, without dashes.
    """
    shown = list(words)
    for name in folders:
        flag, kind = f"--{name}", name.upper()
        if flag in shown:
            shown[shown.index(flag) + 1] = kind
        shown = [f"{flag}={kind}" if word.startswith(f"{flag}=") else word for word in shown]
    return shown
