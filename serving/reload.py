"""New versions without a restart: look at the folder, prove what is new, swap at once.

A look costs a directory listing and one small file for each profile; nothing is hashed and no
graph is read until a profile wants another version than the one in force. Whatever is wrong with
that version, the old one keeps serving, and the bad one is not tried again until its files
change. Files are judged by what they hold and not by how they come: half a copy fails its hashes
like any other bad version, and is tried again when the rest is there.
"""

import asyncio
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

import structlog

from serving.bundle import current, homes
from serving.catalogue import Catalogue
from serving.errors import BundleError, OnehandError
from serving.loader import Loader
from serving.metrics import Metrics
from serving.profiles import Profile, Profiles

__all__ = ["Reloader", "Wanted", "glance"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What the folder of one profile asks for; equal for as long as nothing in it changes.

    Attributes:
        version: the one to serve; empty if none can be made out.
        files: name, inode, bytes and time of change of each entry of that version; empty if it
            is in force, because nobody reads it any more.
        problem: why no version can be made out.
    """

    version: str = ""
    files: tuple[tuple[str, int, int, int], ...] = ()
    problem: str = ""


def glance(root: Path, in_force: Mapping[str, str]) -> dict[str, Wanted]:
    """Return what each profile under ``root`` asks for, by name.

    Args:
        root: folder of all profiles.
        in_force: versions by name.

    Raises:
        BundleError: ``root`` is not a folder, or cannot be read.
    """
    return {home.name: _wanted(home, in_force.get(home.name, "")) for home in homes(root)}


class Reloader:
    """Keeps the profiles in force to what the folder asks for."""

    def __init__(
        self, root: Path, default: str, loader: Loader, catalogue: Catalogue, metrics: Metrics
    ) -> None:
        """Make one that does nothing yet.

        Args:
            root: folder of all profiles.
            default: name of the default profile, or empty.
            loader: loads profiles.
            catalogue: where profiles are published.
            metrics: told of what is loaded, refused and removed.
        """
        self._root = root
        self._default = default
        self._loader = loader
        self._catalogue = catalogue
        self._metrics = metrics
        self._refused: dict[str, Wanted] = {}
        self._kept_because = ""
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self, seconds: float) -> None:
        """Look every so many seconds from now on; 0 = only when asked.

        The first profiles are published by then.
        """
        self._task = asyncio.create_task(self._run(seconds))

    def ask(self) -> None:
        """Look now, and try once more what stands refused."""
        self._asked.set()

    def stop(self) -> None:
        """Publish nothing any more."""
        if self._task:
            self._task.cancel()

    async def look(self) -> None:
        """Load what has changed, and put into force what is proven."""
        in_force = {profile.manifest.profile: profile for profile in self._catalogue.all()}
        versions = {name: profile.manifest.version for name, profile in in_force.items()}
        try:
            wanted = await asyncio.to_thread(glance, self._root, versions)
        except BundleError as error:
            self._keep(str(error))
            return
        loaded = await self._load(wanted, versions)
        self._put_in_force(in_force, loaded, gone=in_force.keys() - wanted.keys())

    async def _run(self, seconds: float) -> None:
        while True:
            await self._pause(seconds)
            try:
                await self.look()
            except Exception:  # a fault of ours must not end reloading for good
                log.exception("reload failed")

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._asked.wait(), seconds or None)
        except TimeoutError:
            return
        self._asked.clear()
        self._refused = {}

    async def _load(
        self, wanted: Mapping[str, Wanted], versions: Mapping[str, str]
    ) -> dict[str, Profile]:
        """Return each profile whose other version is proven and warm, by name."""
        loaded = {}
        self._refused = {n: want for n, want in self._refused.items() if wanted.get(n) == want}
        for name, want in wanted.items():
            if want.version == versions.get(name) or name in self._refused:
                continue
            try:
                loaded[name] = await self._prove(self._root / name, want)
            except Exception as error:  # noqa: BLE001 - whatever foreign bytes make a library raise
                self._refuse(name, want, error)
        return loaded

    async def _prove(self, home: Path, want: Wanted) -> Profile:
        if want.problem:
            raise BundleError(want.problem)
        return await self._loader.load(home / want.version)

    def _put_in_force(
        self, in_force: Mapping[str, Profile], loaded: Mapping[str, Profile], gone: Set[str]
    ) -> None:
        """Swap at once: with all that is new, and without what is gone if that can be spared."""
        proposed = {**in_force, **loaded}
        left = {name: profile for name, profile in proposed.items() if name not in gone}
        try:
            profiles = Profiles(left, self._default)
            self._keep("")
        except BundleError as error:
            profiles, gone = Profiles(proposed, self._default), frozenset()
            self._keep(str(error))
        if not loaded and not gone:
            return
        self._catalogue.publish(profiles)
        self._metrics.show_profiles(profiles.all())
        for name, profile in loaded.items():
            before = in_force[name].manifest.version if name in in_force else None
            self._metrics.reloads.labels("loaded").inc()
            log.info("profile in force", profile=name, version=profile.manifest.version, was=before)
        for name in sorted(gone):
            self._metrics.reloads.labels("removed").inc()
            log.info("profile removed", profile=name, version=in_force[name].manifest.version)

    def _refuse(self, name: str, want: Wanted, error: Exception) -> None:
        self._refused[name] = want
        self._metrics.reloads.labels("refused").inc()
        log.error(
            "profile refused",
            profile=name,
            version=want.version,
            problem=str(error),
            exc_info=None if isinstance(error, OnehandError) else error,
        )

    def _keep(self, problem: str) -> None:
        """Note why profiles that are gone stay in force; empty = they do not."""
        if problem and problem != self._kept_because:
            self._metrics.reloads.labels("refused").inc()
            log.error("removal refused", problem=problem)
        self._kept_because = problem
        self._metrics.reload_refused.set(len(self._refused) + bool(problem))


def _wanted(home: Path, in_force: str) -> Wanted:
    try:
        folder = current(home)
        files = () if folder.name == in_force else _listing(folder)
    except (BundleError, OSError) as error:
        return Wanted(problem=str(error))
    return Wanted(folder.name, files)


def _listing(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    """Return the entries; the time of change is the one that no copying tool can set."""
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.stat(follow_symlinks=False)) for entry in entries]
    return tuple(sorted((n, s.st_ino, s.st_size, s.st_ctime_ns) for n, s in found))
