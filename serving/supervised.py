"""A worker process from its own side: what it is told to do, and its line to the supervisor.

Run by the supervisor as ``python -m serving.supervised ASSIGNMENT FLAGS``.
"""

import contextlib
import dataclasses
import json
import os
import socket
import sys
import threading
from typing import Any

from serving import command, logs
from serving.slots import Slots

__all__ = ["Assignment", "Line", "main"]


@dataclasses.dataclass(frozen=True)
class Assignment:
    """What a worker is told beside the settings that all share.

    Attributes:
        worker: its number, from 1; also that of its region.
        workers: how many there are.
        port: where gRPC is to be answered.
        health_port: where health alone is to be answered; -1 = nowhere.
        replaces: whether there was another in its place before it.
        slots: file descriptor of the memory to count in.
        line: file descriptor of the socket to the supervisor.
    """

    worker: int
    workers: int
    port: int
    health_port: int
    replaces: bool
    slots: int
    line: int

    def to_json(self) -> str:
        """Return a text for ``from_json``."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Assignment":
        """Return the assignment that ``to_json`` has written."""
        return cls(**json.loads(text))


class Line:
    """The worker's end of the line: it tells, and it dies with the supervisor."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        threading.Thread(target=self._watch, daemon=True).start()

    def tell(self, event: str, **facts: Any) -> None:
        """Tell the supervisor what has happened."""
        with contextlib.suppress(BrokenPipeError):  # whoever cannot be told has gone; see _watch
            self._socket.sendall(json.dumps({"event": event, **facts}).encode() + b"\n")

    def _watch(self) -> None:
        """End the process when the supervisor has: nobody else would ever stop it."""
        with contextlib.suppress(ConnectionError):
            self._socket.recv(1)  # it never says anything
        os._exit(1)


def main() -> int:
    """Serve as one of several; return the exit code."""
    assignment = Assignment.from_json(sys.argv[1])
    line = Line(assignment.line)
    chosen = dataclasses.replace(
        command.parse(sys.argv[2:]),
        workers=assignment.workers,
        port=assignment.port,
        health_port=assignment.health_port,
    )
    logs.configure(chosen.log_level, chosen.log_format, worker=assignment.worker)
    region = Slots.attach(assignment.slots).regions[assignment.worker]

    from serving import lifecycle  # noqa: PLC0415 - the supervisor imports this module, not gRPC

    return lifecycle.run(chosen, region, line.tell, load_first=assignment.replaces)


if __name__ == "__main__":
    sys.exit(main())
