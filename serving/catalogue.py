"""The profiles in force: published whole, swapped at once, found by name.

A request takes the profile that it finds and keeps it to its end. A swap therefore needs no lock
and waits for nobody: what is in work goes on with the old models, and the last request to let go
of them frees them.
"""

from serving.errors import NotReady
from serving.profiles import Profile, Profiles

__all__ = ["Catalogue"]


class Catalogue:
    """What the services answer from; empty until the first profiles are published."""

    def __init__(self) -> None:
        self._profiles: Profiles | None = None
        self._reason = "the models are not loaded yet"
        self._draining = False

    @property
    def ready(self) -> bool:
        """Whether anything is published, and callers may keep coming."""
        return self._profiles is not None and not self._draining

    def drain(self) -> None:
        """Be ready no more, so that callers go elsewhere; those who come are still answered."""
        self._draining = True

    def find(self, name: str) -> Profile:
        """Return the profile of this name; empty = the default one.

        Raises:
            NotReady: nothing is published.
            UnknownProfile: there is no such profile.
        """
        return self._current.find(name)

    def all(self) -> tuple[Profile, ...]:
        """Return every profile, sorted by name.

        Raises:
            NotReady: nothing is published.
        """
        return self._current.all()

    def publish(self, profiles: Profiles) -> None:
        """Answer from these profiles from now on."""
        self._profiles = profiles

    def retire(self, reason: str) -> None:
        """Answer from nothing any more; requests that have their profile go on."""
        self._profiles = None
        self._reason = reason

    @property
    def _current(self) -> Profiles:
        if self._profiles is None:
            raise NotReady(self._reason)
        return self._profiles
