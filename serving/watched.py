"""Files that may be replaced while the server runs: what was last good stays in force.

Content is compared, not time stamps: the files are small, and replacing one through a symbolic
link, as Kubernetes does with secrets, is seen like any other change.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import structlog

from serving.errors import OnehandError

__all__ = ["FileRefused", "Watched", "keep_watching", "read"]

T = TypeVar("T")

log = structlog.get_logger(__name__)


class FileRefused(OnehandError):
    """A file that the server was pointed at and cannot use; the message names it."""


class Watched(Generic[T]):
    """A value that is made from files, and made anew when they change.

    Attributes:
        value: made from the last good content.
    """

    def __init__(
        self,
        name: str,
        paths: Sequence[Path],
        load: Callable[[], T],
        note: Callable[[str, T], None],
    ) -> None:
        """Load the files for the first time.

        Args:
            name: of the value, for the log.
            paths: the files that ``load`` reads.
            load: makes the value; raises ``FileRefused``.
            note: told after each change of the files whether it was ``loaded`` or ``refused``,
                and the value in force.

        Raises:
            FileRefused: the files cannot be used.
        """
        self._name = name
        self._paths = tuple(paths)
        self._load = load
        self._note = note
        self._problem = ""
        self._contents = self._read()
        self.value = self._load_unchanged(self._contents)

    def refresh(self) -> None:
        """Use the files as they are now; a refusal is logged and noted once.

        Refused files are tried again each time: a certificate may become valid by waiting.
        """
        try:
            contents = self._read()
            if contents == self._contents:
                self._problem = ""
                return
            value = self._load_unchanged(contents)
        except FileRefused as error:
            self._refuse(str(error))
            return
        self.value, self._contents, self._problem = value, contents, ""
        self._note("loaded", value)
        log.info("file loaded again", file=self._name)

    def _refuse(self, problem: str) -> None:
        if problem == self._problem:
            return
        self._problem = problem
        self._note("refused", self.value)
        log.warning("file refused, the last good one stays", file=self._name, problem=problem)

    def _load_unchanged(self, contents: tuple[bytes, ...]) -> T:
        """Make the value, and make sure that it is of these contents and no half of others."""
        value = self._load()
        if self._read() != contents:
            raise FileRefused(f"{self._name}: changed while being read")
        return value

    def _read(self) -> tuple[bytes, ...]:
        return tuple(map(read, self._paths))


async def keep_watching(files: Sequence[Watched[Any]], seconds: float = 1.0) -> None:
    """Refresh the files for ever, off the event loop, every so many seconds."""
    while files:
        await asyncio.sleep(seconds)
        for watched in files:
            try:
                await asyncio.to_thread(watched.refresh)
            except Exception:  # a fault of ours must not keep what is revoked in force for good
                log.exception("watching files failed")


def read(path: Path) -> bytes:
    """Return what is in a file.

    Raises:
        FileRefused: it cannot be read; names it.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror}") from error
