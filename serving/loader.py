"""Profiles are loaded in one thread, always the same one.

The C library keeps apart, for each thread, the memory that the thread has used, and a proof uses
17 to 26 MiB meanwhile. In whichever thread happens to be free, that much stays behind in every
thread that ever loaded a profile.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from serving.bundle import discover
from serving.profiles import Profile, Profiles, load_profile

__all__ = ["Loader"]


class Loader:
    """Loads profiles one after another, beside the event loop."""

    def __init__(self) -> None:
        """Make one whose thread starts with the first profile."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="onehand-loading")

    async def load(self, folder: Path) -> Profile:
        """Verify, load, prove and warm the bundle in ``folder``.

        Raises:
            BundleError: the bundle breaks its contract.
            ModelFault: one of its graphs does.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, load_profile, folder)

    async def load_all(self, root: Path, default: str) -> Profiles:
        """Load every profile under ``root``; can be cancelled between two.

        Args:
            root: folder of all profiles.
            default: name of the default profile, or empty.

        Raises:
            BundleError: a bundle breaks its contract, or there is none to load.
            ModelFault: a graph does.
        """
        profiles = {name: await self.load(folder) for name, folder in discover(root).items()}
        return Profiles(profiles, default)

    def close(self) -> None:
        """Load nothing any more; what is being loaded ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)
