"""Coroutines side by side, of which none outlives the others' failure."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

__all__ = ["all_of"]

T = TypeVar("T")


async def all_of(jobs: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return what the jobs return; once one has failed, those that wait are dropped."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        # None is kept here: the error of one holds this frame. See ``Pool._do``.
        while tasks:
            tasks.pop().cancel()
