"""A set while it is being made: nobody takes it for whole, and nothing finished is lost.

It lies beside its place, in ``<out>.partial``::

    set/             what will be moved to ``<out>``, in one step, when it is whole
    progress.json    what was asked for, how many blocks are done, how far the files had grown
    lock             held by the process that works on it

The same order goes on where the last one stopped; another one is refused, and so is a place that
is taken. After each block the growing files are on the disk before the progress is, so whatever
is beyond the progress is cut off and made anew. Files that stand alone are left to the system to
write out: after a loss of power, ``sha256sum --check`` on the finished set tells.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from serving.files import replace_file
from training.dataset.errors import DatasetError
from training.dataset.growing import GrowingFile, Mark
from training.dataset.parts import Written

CHECKSUMS = "SHA256SUMS"
MANIFEST = "dataset.json"

_SET, _PROGRESS, _LOCK = "set", "progress.json", "lock"


class Progress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done.

    Attributes:
        order: what was asked for, as JSON values.
        blocks: how many are done.
        redrawn: pictures in them that were drawn more than once.
        grown: how far each growing file has come, by path in the set.
    """

    order: dict[str, Any]
    blocks: int
    redrawn: int
    grown: dict[str, Mark]


class Unfinished:
    """A set on its way.

    Attributes:
        folder: where its files go.
        progress: what is done.
    """

    def __init__(self, out: Path, progress: Progress) -> None:
        self._out = out
        self._home = _home(out)
        self.folder = self._home / _SET
        self.progress = progress
        self._grown = {
            name: GrowingFile(self.folder / name, mark) for name, mark in progress.grown.items()
        }

    @classmethod
    def begin(cls, out: Path, order: dict[str, Any], opening: Mapping[str, bytes]) -> "Unfinished":
        """Start anew, with the first bytes of each growing file."""
        shutil.rmtree(_home(out) / _SET, ignore_errors=True)
        (_home(out) / _SET).mkdir()
        unfinished = cls(out, Progress(order, 0, 0, {}))
        for name, data in {**opening, CHECKSUMS: b""}.items():
            unfinished._grown[name] = GrowingFile(unfinished.folder / name)
            unfinished._grown[name].append(data)
        unfinished._note(0, 0)
        return unfinished

    def keep(self, written: Written) -> None:
        """Enter the next block: it is done, whatever happens from now on."""
        for pieces in written.pieces:
            for name, data in pieces.appended.items():
                self._grown[name].append(data)
            self._enter(pieces.files)
        self._note(self.progress.blocks + 1, self.progress.redrawn + written.redrawn)

    def finish(self, manifest: dict[str, Any]) -> None:
        """Make the files whole, add the manifest and move the set to its place."""
        for name in sorted(self._grown.keys() - {CHECKSUMS}):
            self._grown[name].end()
            self._enter({name: _sha256(self.folder / name)})
        checksums = {"file": CHECKSUMS, "sha256": _sha256(self.folder / CHECKSUMS)}
        data = msgspec.json.format(msgspec.json.encode(manifest | {"checksums": checksums}))
        replace_file(self.folder / MANIFEST, data + b"\n")
        self.folder.rename(self._out)

    def _enter(self, files: Mapping[str, str]) -> None:
        """Add files to the list of hashes, in the form that ``sha256sum`` reads."""
        lines = "".join(f"{sha256}  {name}\n" for name, sha256 in files.items())
        if lines:
            self._grown[CHECKSUMS].append(lines.encode())

    def _note(self, blocks: int, redrawn: int) -> None:
        for file in self._grown.values():
            file.sync()
        grown = {name: file.mark for name, file in self._grown.items()}
        self.progress = Progress(self.progress.order, blocks, redrawn, grown)
        replace_file(self._home / _PROGRESS, msgspec.json.encode(self.progress))


@contextmanager
def unfinished(
    out: Path, order: dict[str, Any], opening: Mapping[str, bytes]
) -> Iterator[Unfinished]:
    """Start a set, or go on with it; nothing is left of one that is finished or never got going.

    Args:
        out: where the set will be; nothing, or an empty folder.
        order: what is asked for, as JSON values.
        opening: how each growing file begins, by path in the set.

    Raises:
        DatasetError: the place is taken, another process is at work, or what is there was
            asked for otherwise or is damaged.
    """
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise DatasetError(
            f"{out}: expected a new or an empty folder, found something there; it is left as it "
            "is: choose another --out, or remove it"
        )
    if out.is_mount():
        raise DatasetError(
            f"{out}: expected a folder that can be replaced, found one where a volume is mounted; "
            "choose a folder in it"
        )
    with _locked(_home(out)):
        found = _read_progress(_home(out))
        current = None
        try:
            if found is None:
                current = Unfinished.begin(out, order, opening)
            else:
                _check_same(found.order, order, _home(out))
                current = Unfinished(out, found)
            yield current
        finally:
            is_done = current is not None and not current.folder.exists()
            is_empty = current is not None and current.progress.blocks == 0
            if is_done or is_empty:
                _remove(_home(out))


def is_begun(out: Path) -> bool:
    """Say whether there is something to go on with, as far as we may look."""
    return os.access(_home(out) / _PROGRESS, os.F_OK)


def _home(out: Path) -> Path:
    return out.with_name(f"{out.name}.partial")


def _remove(home: Path) -> None:
    """Remove it in an order in which what is left, stopped halfway, is begun anew."""
    (home / _PROGRESS).unlink(missing_ok=True)
    shutil.rmtree(home / _SET, ignore_errors=True)
    shutil.rmtree(home)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    is_empty = home.is_dir() and not any(home.iterdir())  # stopped before there was a lock
    if home.exists() and not is_empty and not (home / _LOCK).is_file():
        raise DatasetError(f"{home}: expected an unfinished set or nothing, found something else")
    home.mkdir(parents=True, exist_ok=True)
    with (home / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DatasetError(f"{home}: another process is making this set right now") from None
        yield


def _read_progress(home: Path) -> Progress | None:
    """Return how far the set has come, or None if there is nothing to go on with."""
    path = home / _PROGRESS
    if not path.is_file() or not (home / _SET).is_dir():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Progress)
    except (ValueError, RecursionError) as error:  # msgspec's own, and what is no UTF-8
        raise DatasetError(
            f"{path}: cannot be read: {error}; remove {home.name} and start anew"
        ) from error


def _check_same(found: dict[str, Any], asked: dict[str, Any], home: Path) -> None:
    names = [name for name in asked if found.get(name) != asked[name]]
    if names:
        there = ", ".join(f"{name} {found.get(name)!r}, not {asked[name]!r}" for name in names)
        raise DatasetError(
            f"{home}: holds another unfinished set: {there}; ask for that one to go on with it, "
            "remove the folder to give it up, or choose another --out"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
