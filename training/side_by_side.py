"""Jobs that do not know of each other, on as many processes as there are cores."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any

from tqdm import tqdm

from serving.cpu import cpu_budget
from training.errors import TrainingError


def serve_parent() -> None:
    """Begin a process for another's jobs: Ctrl-C is for that one to see to, and it is its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


@contextmanager
def sparing_children() -> Iterator[None]:
    """Start processes here: Ctrl-C stays away from them while they are too young to ignore it.

    They inherit what this thread blocks. What makes a queue or a lock for them has to come before:
    it starts a helper of Python's own, which blocks and unblocks the same.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end(processes: Iterable[BaseProcess]) -> None:
    """End processes whatever they do, a job may take minutes, and return when they are gone."""
    started = [process for process in processes if process.pid is not None]
    for process in started:
        process.terminate()
    for process in started:
        process.join()


def run_all(
    work: Callable[..., object], jobs: Sequence[tuple[Any, ...]], *, of: int, title: str, unit: str
) -> None:
    """Call ``work(*job)`` for each job, and show how far it is; the first failure ends all.

    Args:
        work: a function of a module, called in processes that are started afresh.
        jobs: arguments; what they leave behind is theirs to keep.
        of: jobs in all, with those that were done before.
        title: of the progress bar.
        unit: of the progress bar.

    Raises:
        TrainingError: a process was ended from outside.
    """
    if not jobs:
        return
    os.environ["TQDM_DISABLE"] = "1"  # read by the processes: one bar is enough
    processes = min(len(jobs), cpu_budget().cores)
    context = multiprocessing.get_context("spawn")
    bar = tqdm(total=of, initial=of - len(jobs), desc=title, unit=unit)
    with bar, ProcessPoolExecutor(processes, context, serve_parent) as pool:
        try:
            with sparing_children():
                futures = [pool.submit(work, *job) for job in jobs]
            for future in as_completed(futures):
                future.result()
                bar.update()
        except BrokenProcessPool as error:
            raise TrainingError(
                f"{title}: a process was ended, perhaps for want of memory; what is finished is "
                "kept, and the same command goes on there"
            ) from error
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            end(multiprocessing.active_children())
            raise


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
