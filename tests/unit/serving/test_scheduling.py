"""The kernel's policy is asked for, and done without where it is not to be had."""

import os
import threading
from types import SimpleNamespace

import pytest

from serving import scheduling
from serving.scheduling import run_in_batches

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="needs Linux")


def test_threads_inherit_the_policy() -> None:
    """The thread that asks, and those that it starts, run under SCHED_BATCH."""
    policies: list[int] = []

    def inner() -> None:
        policies.append(os.sched_getscheduler(0))

    def outer() -> None:
        run_in_batches()
        inner()
        thread = threading.Thread(target=inner)
        thread.start()
        thread.join()

    thread = threading.Thread(target=outer)
    thread.start()
    thread.join()

    assert policies == [os.SCHED_BATCH] * 2


def test_a_refusal_is_a_line_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system does not allow it, the server goes on and says so."""

    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)

    lines: list[str] = []
    log = SimpleNamespace(warning=lambda _event, problem: lines.append(problem))
    monkeypatch.setattr(scheduling, "log", log)

    run_in_batches()

    assert lines == ["SCHED_BATCH is not allowed: Operation not permitted"]
