"""The whole story on one screen: from an order to a finished set in its place."""

from contextlib import closing
from pathlib import Path

from tqdm import tqdm

from serving.errors import OnehandError
from training.dataset.errors import DatasetError
from training.dataset.formats import FORMATS
from training.dataset.manifest import compose, describe
from training.dataset.order import Order
from training.dataset.parts import Artist
from training.dataset.room import check_room
from training.dataset.unfinished import is_begun, unfinished
from training.dataset.workers import Task, in_order


def make(order: Order, artist: Artist, out: Path, processes: int = 1) -> Path:
    """Make a data set, or go on with one that was stopped, and return its folder.

    Args:
        order: decides every byte of the set.
        artist: who draws.
        out: where the set will be; nothing, or an empty folder.
        processes: that draw; they change nothing but the time it takes.

    Raises:
        DatasetError: the place is taken, the set does not fit or cannot be written, or the
            pictures cannot be drawn.
    """
    out = out.resolve()
    try:
        _make(order, artist, out, processes)
    except OnehandError as error:
        raise DatasetError(str(error)) from error
    except OSError as error:
        advice = (
            "what is finished is kept, and the same command goes on with it"
            if is_begun(out)
            else "nothing is finished yet: see to that, or choose another --out, and start anew"
        )
        raise DatasetError(f"{error.filename or out}: {error.strerror}; {advice}") from error
    return out


def _make(order: Order, artist: Artist, out: Path, processes: int) -> None:
    opening = FORMATS[order.format].opening(order)
    with unfinished(out, describe(order), opening) as growing:
        blocks = range(growing.progress.blocks, order.blocks)
        done = order.pictures(growing.progress.blocks)
        check_room(order, order.count - done, growing.folder)
        task = Task(order, artist, growing.folder)
        with (
            tqdm(total=order.count, initial=done, desc="dataset", unit="picture") as progress,
            closing(in_order(task, blocks, processes, progress.update)) as written,
        ):
            for block in written:
                growing.keep(block)
        growing.finish(compose(order, growing.progress.redrawn))
