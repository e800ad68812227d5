"""Files that grow block by block, and can be cut back to what they were at any block's end.

A file whose name ends in ``.gz`` is compressed as it grows, into a single gzip member (RFC 1952):
many readers stop at the end of the first. Each piece is deflated for itself and ends on a whole
byte, so that going on needs no more than a length and a checksum of what came before.
"""

import os
import struct
import zlib
from pathlib import Path

import msgspec

from training.dataset.errors import DatasetError

_GZIP_HEADER = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255])  # deflate, no name, no time
_LAST_BLOCK = bytes([3, 0])  # an empty one, with the bit that says that it is the last
_RAW_DEFLATE = -15


class Mark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far a file has grown.

    Attributes:
        size: bytes on disk.
        length: bytes that were appended, before compression.
        crc: CRC-32 of them.
    """

    size: int
    length: int
    crc: int


class GrowingFile:
    """A file on disk that is only ever appended to.

    Attributes:
        mark: how far it has grown.
    """

    def __init__(self, path: Path, mark: Mark | None = None) -> None:
        """Start an empty file, or cut one back to ``mark`` and go on with it.

        Raises:
            DatasetError: the file is shorter than ``mark`` says, or gone.
        """
        self._path = path
        self._is_packed = path.suffix == ".gz"
        if mark is None:
            self.mark = Mark(0, 0, 0)
            path.write_bytes(b"")
            self._put(_GZIP_HEADER if self._is_packed else b"")
        else:
            self.mark = mark
            self._cut()

    def append(self, data: bytes) -> None:
        """Add ``data`` at the end."""
        self.mark = msgspec.structs.replace(
            self.mark, length=self.mark.length + len(data), crc=zlib.crc32(data, self.mark.crc)
        )
        self._put(_deflate(data) if self._is_packed else data)

    def end(self) -> None:
        """Make the file whole; nothing may be appended any more."""
        if self._is_packed:
            length = self.mark.length % 2**32
            self._put(_LAST_BLOCK + struct.pack("<2I", self.mark.crc, length))

    def sync(self) -> None:
        """Wait until all that was appended is on the disk."""
        with self._path.open("rb") as file:
            os.fsync(file.fileno())

    def _put(self, data: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(data)
        self.mark = msgspec.structs.replace(self.mark, size=self.mark.size + len(data))

    def _cut(self) -> None:
        found = self._path.stat().st_size if self._path.is_file() else None
        if found is None or found < self.mark.size:
            raise DatasetError(
                f"{self._path}: expected at least {self.mark.size} bytes, found "
                f"{'no file' if found is None else found}; remove the unfinished set and start anew"
            )
        os.truncate(self._path, self.mark.size)


def _deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=_RAW_DEFLATE)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)
