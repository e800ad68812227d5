"""A library that speaks on its own, told not to.

What libtiff finds wrong with a file it writes to the standard error of the process, a line for
each row of a picture: past Python's logging, and as many megabytes as a stranger likes. It is told
all the same to its caller, who says so in an answer.
"""

import ctypes
import re
from functools import cache
from pathlib import Path

__all__ = ["silence_libtiff"]

_LOADED = Path("/proc/self/maps")
_LIBTIFF = re.compile(r"(/\S*/libtiff[^/\s]*)$", re.MULTILINE)


@cache
def silence_libtiff() -> None:
    """Take away the functions by which a libtiff that is loaded speaks; where there is none, none.

    They are the library's own, for all that use it in this process (TIFFError(3),
    TIFFWarning(3)). Where the system does not tell what is loaded, all stays as it is.
    """
    if not _LOADED.exists():
        return  # not Linux
    for path in set(_LIBTIFF.findall(_LOADED.read_text())):
        library = ctypes.CDLL(path)
        library.TIFFSetErrorHandler(None)
        library.TIFFSetWarningHandler(None)
