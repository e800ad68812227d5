"""Threads share two heaps of the C library, unless the environment says otherwise."""

import ctypes
import os
import subprocess
import sys

import pytest

# The C library counts its heaps itself (malloc_info(3)). Each thread holds one while it lives.
_SCRIPT = """
import ctypes, os, tempfile, threading
from serving.heaps import share_heaps

library = ctypes.CDLL(None)
library.malloc.restype = library.fdopen.restype = ctypes.c_void_p
share_heaps(os.environ)
together = threading.Barrier(6)

def hold():
    assert library.malloc(ctypes.c_size_t(1000))
    together.wait()

threads = [threading.Thread(target=hold) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with tempfile.TemporaryFile() as file:
    stream = ctypes.c_void_p(library.fdopen(os.dup(file.fileno()), b"w"))
    assert library.malloc_info(0, stream) == library.fclose(stream) == 0
    file.seek(0)
    print(file.read().count(b"<heap "))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_info"), reason="needs glibc")
@pytest.mark.parametrize(
    ("variables", "heaps"),
    [
        ({}, 2),
        ({"MALLOC_ARENA_MAX": "4"}, 4),
        ({"GLIBC_TUNABLES": "glibc.malloc.arena_max=3"}, 3),
    ],
)
def test_threads_share_heaps(variables: dict[str, str], heaps: int) -> None:
    """Six threads at once have two heaps between them, or as many as somebody has set."""
    told = ("MALLOC_ARENA_MAX", "GLIBC_TUNABLES")
    clean = {name: value for name, value in os.environ.items() if name not in told}

    counted = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        env=clean | variables,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )

    assert int(counted.stdout) == heaps
