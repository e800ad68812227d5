"""Blocks of pictures, drawn here or by other processes, and always handed over in order.

A process of its own is started afresh, loads the models itself and ends with the one that started
it, whatever ends that. Only so many blocks are under way that memory does not grow with the set.
"""

import multiprocessing
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing.connection import Connection, wait
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np

from serving.errors import OnehandError
from training.dataset.errors import DatasetError
from training.dataset.formats import FORMATS
from training.dataset.order import PART, Order
from training.dataset.parts import Artist, Drawer, Drawing, Part, Written
from training.dataset.split import TRAIN, VALIDATION, is_validation
from training.side_by_side import end, serve_parent, sparing_children

Drawn = Callable[[int], object]

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


def draw_block(task: Task, drawer: Drawer, block: int, drawn: Drawn) -> Written:
    """Draw the pictures of a block and write what stands alone."""
    drawings = []
    rows = task.order.rows(block)
    for start in range(0, len(rows), PART):
        part = rows[start : start + PART]
        drawings.append(drawer(part))
        drawn(len(part))
    writer = FORMATS[task.order.format]
    parts = _divide(drawings, task.order, block)
    pieces = tuple(writer.write(part, task.order, task.folder) for part in parts)
    return Written(pieces, sum(int(drawing.redrawn) for drawing in drawings))


def in_order(
    task: Task, blocks: range, processes: int, drawn: Drawn
) -> Generator[Written, None, None]:
    """Yield each block once it is written; close it to stop.

    Args:
        task: what the blocks have in common.
        blocks: their numbers.
        processes: that draw.
        drawn: called, here, with a number of pictures whenever so many more are drawn.

    Raises:
        DatasetError: a process was ended from outside, or failed.
        serving.errors.OnehandError: the model failed, here.
    """
    if processes == 1:
        drawer = task.artist.open(task.order)
        for block in blocks:
            yield draw_block(task, drawer, block, drawn)
        return
    with _at_work(task, min(processes, max(len(blocks), 1))) as (asked, answers):
        ahead = _AHEAD * processes
        for block in blocks[:ahead]:
            asked.put(block)
        come: dict[int, Written | Exception] = {}
        for place, block in enumerate(blocks):
            while block not in come:
                come.update(_receive(answers, drawn))
            written = come.pop(block)
            if isinstance(written, Exception):
                raise written
            for further in blocks[place + ahead : place + ahead + 1]:
                asked.put(further)
            yield written


def _divide(drawings: Sequence[Drawing], order: Order, block: int) -> Iterator[Part]:
    """Yield the pictures of each split that has any in this block."""
    rows = np.asarray(order.rows(block), dtype=np.int64)
    images = np.concatenate([drawing.images for drawing in drawings])
    latents = np.concatenate([drawing.latents for drawing in drawings])
    attributes = np.concatenate([drawing.attributes for drawing in drawings])
    kept_apart = is_validation(rows, order.validation)
    for name, mask in ((TRAIN, ~kept_apart), (VALIDATION, kept_apart)):
        if mask.any():
            yield Part(name, block, rows[mask], images[mask], latents[mask], attributes[mask])


@contextmanager
def _at_work(task: Task, count: int) -> Iterator[tuple["SimpleQueue[int]", Sequence[Connection]]]:
    """Lend processes that draw the blocks asked for; when it is left, they are gone.

    They neither write anything afterwards nor are waited for. Each answers on a line of its own,
    which breaks where it is ended, however far it got with its answer.
    """
    context = multiprocessing.get_context("spawn")
    asked: SimpleQueue[int] = context.SimpleQueue()
    answers, processes = [], []
    try:
        with sparing_children():
            for _ in range(count):
                answer, far_end = context.Pipe(duplex=False)
                process = context.Process(target=_serve, args=(task, asked, far_end), daemon=True)
                answers.append(answer)
                processes.append(process)
                process.start()
                far_end.close()  # held by that process alone
        yield asked, answers
    finally:
        end(processes)


def _receive(answers: Sequence[Connection], drawn: Drawn) -> dict[int, Written | Exception]:
    """Wait for at least one message; return what came of which block, if anything did."""
    ready = wait(answers)
    try:
        messages = [answer.recv() for answer in answers if answer in ready]
    except (EOFError, OSError) as error:
        raise DatasetError(
            "a drawing process was ended, perhaps for want of memory; the same command goes "
            "on where this one stopped, fewer --workers need less"
        ) from error
    for pictures in (message for message in messages if isinstance(message, int)):
        drawn(pictures)
    return dict(message for message in messages if not isinstance(message, int))


def _serve(task: Task, asked: "SimpleQueue[int]", answer: Connection) -> None:
    """Draw what is asked for, in a process of its own, until it is ended."""
    serve_parent()
    opened = cache(partial(task.artist.open, task.order))
    with suppress(BrokenPipeError):  # nobody waits any more
        while True:
            block = asked.get()
            answer.send((block, _attempt(task, opened, block, answer.send)))


def _attempt(
    task: Task, opened: Callable[[], Drawer], block: int, drawn: Drawn
) -> Written | Exception:
    try:
        return draw_block(task, opened(), block, drawn)
    except (OnehandError, DatasetError) as error:  # some cannot be sent to another process
        return DatasetError(str(error))
    except OSError as error:
        return error
