"""How many heaps the C library may keep for the threads of a serving process."""

import ctypes
from collections.abc import Mapping

import structlog

__all__ = ["share_heaps"]

_M_ARENA_MAX = -8  # glibc's malloc.h
# One that every process has, and one more.
_HEAPS = 2

log = structlog.get_logger(__name__)


def share_heaps(environment: Mapping[str, str]) -> None:
    """Let all threads of this process share two heaps, instead of eight for each core.

    To be called before threads have more; see mallopt(3). Nothing happens under a C library that
    does not know how, or where the environment says how many there shall be.

    Args:
        environment: where ``MALLOC_ARENA_MAX`` and ``GLIBC_TUNABLES`` may be.
    """
    # A heap grows by what its thread has ever needed at once and hardly shrinks, and gRPC's threads
    # come and go: over half an hour one after another grew, 2.7 MiB each, long after the start.
    # Python's lock lets one thread run at a time, so hardly two ever wait for the same heap.
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt") or _is_told(environment):
        return
    if not library.mallopt(_M_ARENA_MAX, _HEAPS):
        log.warning("heaps", problem=f"expected mallopt to take {_HEAPS} heaps, it refused")


def _is_told(environment: Mapping[str, str]) -> bool:
    tunables = environment.get("GLIBC_TUNABLES", "")
    return "MALLOC_ARENA_MAX" in environment or "glibc.malloc.arena_max" in tunables
