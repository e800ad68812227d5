"""Numbers in memory that processes share, one region for each process that counts.

A region outlives its process. The successor of a worker that died goes on in the same cells, so
what has been counted is never lost and never grows older than the worker: counters do not go
back, and reading costs the same after a thousand restarts.

A region describes itself. Its directory lists, in the order in which they were claimed, the name,
the labels and the number of cells of every metric in it; the reader needs no other knowledge of
what the writer has defined, and a successor finds its predecessor's cells by it.

A cell is a 64-bit float, aligned, stored whole: a reader sees the old value or the new one, and a
process killed at any moment leaves one of both.
"""

import json
import mmap
import os
import struct
import threading
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from serving.errors import OnehandError

__all__ = ["Key", "NoSharedMemory", "Region", "Slots", "private_region"]

Key: TypeAlias = tuple[str, tuple[str, ...], int]
"""Name, values of the labels, and number of cells of a metric."""

_CELLS = 8192
_CELL_BYTES = 8 * _CELLS
_DIRECTORY_BYTES = 192 * 1024
_NOTICE_BYTES = 768 * 1024
_REGION_BYTES = _CELL_BYTES + _DIRECTORY_BYTES + _NOTICE_BYTES
# Cell 0 of a region holds the length of its directory.
_FIRST = 1
_HEADER = struct.Struct("<II")  # length and CRC-32 of the notice
_READ_ATTEMPTS = 5


class NoSharedMemory(OnehandError):
    """This system gives no memory without a file that processes could share."""


class Region:
    """The cells of one process, which alone writes to them while it lives.

    Attributes:
        cells: to be read and written at places that ``claim`` has returned.
    """

    def __init__(self, memory: memoryview) -> None:
        self.cells: memoryview[float] = memory[:_CELL_BYTES].cast("d")
        self._directory = memory[_CELL_BYTES : _CELL_BYTES + _DIRECTORY_BYTES]
        self._notice = memory[_CELL_BYTES + _DIRECTORY_BYTES :]
        self._lock = threading.Lock()
        self._places: dict[Key, int] = {}
        self._read = 0
        self._next = _FIRST
        self._last_notice = b""

    def claim(self, key: Key) -> int:
        """Return the place of the first cell of a metric, the same one for ever.

        Raises:
            MemoryError: there is no room for another metric.
        """
        with self._lock:
            self._learn()
            if key not in self._places:
                self._append(key)
                self._learn()
            return self._places[key]

    def places(self) -> Mapping[Key, int]:
        """Return the place of every metric that has been claimed by now."""
        with self._lock:
            self._learn()
            return dict(self._places)

    def post(self, lines: Sequence[str]) -> None:
        """Put up a notice in place of the one before; of lines that do not fit, the last fall.

        Args:
            lines: without line ends.
        """
        room = _NOTICE_BYTES - _HEADER.size
        text = "\n".join(lines).encode()
        if len(text) > room:
            text = text[: text.rfind(b"\n", 0, room + 1)]
        self._notice[_HEADER.size : _HEADER.size + len(text)] = text
        _HEADER.pack_into(self._notice, 0, len(text), zlib.crc32(text))

    def posted(self) -> list[str]:
        """Return the lines of the notice; the one before while another is being put up."""
        for _ in range(_READ_ATTEMPTS):
            length, checksum = _HEADER.unpack_from(self._notice)
            text = bytes(self._notice[_HEADER.size : _HEADER.size + length])
            if zlib.crc32(text) == checksum:
                self._last_notice = text
                break
            time.sleep(0.001)
        return self._last_notice.decode().splitlines()

    def _append(self, key: Key) -> None:
        line = json.dumps(key).encode() + b"\n"
        end = self._read + len(line)
        if end > _DIRECTORY_BYTES or self._next + key[2] > _CELLS:
            raise MemoryError(f"expected room for the metric {key[0]}, found none")
        self._directory[self._read : end] = line
        self.cells[0] = float(end)  # last, so that nobody reads half a line

    def _learn(self) -> None:
        """Take in the part of the directory that is new."""
        end = int(self.cells[0])
        for line in bytes(self._directory[self._read : end]).splitlines():
            name, labels, width = json.loads(line)
            self._places[name, tuple(labels), width] = self._next
            self._next += width
        self._read = end


def private_region() -> Region:
    """Return a region for a process that shares its metrics with no other."""
    return Region(memoryview(mmap.mmap(-1, _REGION_BYTES)))


@dataclass(frozen=True)
class Slots:
    """Regions in memory that can be handed to other processes.

    Attributes:
        descriptor: of the memory; ends with the last process that holds it.
        regions: in order.
    """

    descriptor: int
    regions: tuple[Region, ...]

    @classmethod
    def create(cls, count: int) -> "Slots":
        """Make regions of which all cells are 0.

        Raises:
            NoSharedMemory: this is not Linux, or it has no such memory to give.
        """
        if not hasattr(os, "memfd_create"):
            raise NoSharedMemory("several workers need Linux: memory to count in, and one port")
        try:
            descriptor = os.memfd_create("onehand-metrics")
            os.ftruncate(descriptor, count * _REGION_BYTES)
            return cls.attach(descriptor)
        except OSError as error:
            raise NoSharedMemory(f"memory for metrics: cannot be had: {error.strerror}") from error

    @classmethod
    def attach(cls, descriptor: int) -> "Slots":
        """Open regions that another process has made."""
        memory = memoryview(mmap.mmap(descriptor, 0))
        starts = range(0, len(memory), _REGION_BYTES)
        regions = tuple(Region(memory[start : start + _REGION_BYTES]) for start in starts)
        return cls(descriptor, regions)
