"""Blocks of pictures, drawn here or by other processes, and always handed over in order.

A process of its own is started afresh, loads the models itself and ends with the one that started
it, whatever ends that. Only so many blocks are under way that memory does not grow with the set.
"""

import multiprocessing
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serving.errors import OnehandError
from training.dataset.errors import DatasetError
from training.dataset.formats import FORMATS
from training.dataset.order import Order
from training.dataset.parts import Artist, Drawer, Drawing, Part, Written
from training.dataset.split import TRAIN, VALIDATION, is_validation
from training.side_by_side import serve_parent

_AHEAD = 2  # blocks under way for each process


@dataclass(frozen=True)
class Task:
    """What every block of a set has in common.

    Attributes:
        order: what is asked for.
        artist: who draws.
        folder: where the set's files go.
    """

    order: Order
    artist: Artist
    folder: Path


def draw_block(task: Task, drawer: Drawer, block: int) -> Written:
    """Draw the pictures of a block and write what stands alone."""
    rows = task.order.rows(block)
    drawing = drawer(rows)
    parts = _divide(drawing, task.order, block)
    writer = FORMATS[task.order.format]
    pieces = tuple(writer.write(part, task.order, task.folder) for part in parts)
    return Written(pieces, len(rows), int(drawing.redrawn))


def in_order(task: Task, blocks: range, processes: int) -> Generator[Written, None, None]:
    """Yield each block once it is written; close it to stop.

    Raises:
        DatasetError: a process was ended from outside, or failed.
        serving.errors.OnehandError: the model failed, here.
    """
    if processes == 1:
        drawer = task.artist.open(task.order)
        for block in blocks:
            yield draw_block(task, drawer, block)
        return
    with ProcessPoolExecutor(
        min(processes, max(len(blocks), 1)),
        multiprocessing.get_context("spawn"),
        _start,
        (task,),
    ) as pool:
        under_way: deque[Future[Written]] = deque()
        try:
            for block in blocks:
                under_way.append(pool.submit(_draw, block))
                if len(under_way) == _AHEAD * processes:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        except BrokenProcessPool as error:
            raise DatasetError(
                "a drawing process was ended, perhaps for want of memory; the same command goes "
                "on where this one stopped, fewer --workers need less"
            ) from error
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _divide(drawing: Drawing, order: Order, block: int) -> Iterator[Part]:
    """Yield the pictures of each split that has any in this block."""
    rows = np.asarray(order.rows(block), dtype=np.int64)
    kept_apart = is_validation(rows, order.validation)
    for name, mask in ((TRAIN, ~kept_apart), (VALIDATION, kept_apart)):
        if mask.any():
            yield Part(
                name,
                block,
                rows[mask],
                drawing.images[mask],
                drawing.latents[mask],
                drawing.attributes[mask],
            )


class _Worker:
    """What a process of its own keeps between blocks."""

    task: Task
    drawer: Drawer | None = None


def _start(task: Task) -> None:
    serve_parent()
    _Worker.task = task


def _draw(block: int) -> Written:
    task = _Worker.task
    try:
        if _Worker.drawer is None:
            _Worker.drawer = task.artist.open(task.order)
        return draw_block(task, _Worker.drawer, block)
    except OnehandError as error:  # some of them cannot be sent to another process
        raise DatasetError(str(error)) from error
