"""The profiles that the server answers for: all of a folder, or none.

A server that starts with some of its profiles would look healthy and answer NOT_FOUND, so one
bad bundle stops the start and is named. Once loaded, finding a profile is one dictionary lookup,
however many there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog

from serving.bundle import Manifest, load
from serving.errors import BundleError, UnknownProfile
from serving.model import Model

__all__ = ["Profile", "Profiles", "load_profile"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Profile:
    """One enrolled hand, ready to answer.

    Attributes:
        manifest: the bundle's manifest.
        digest: SHA-256 of the manifest's bytes, lower-case hex.
        created: seconds since 1970 at which the bundle was written to this disk.
        model: the graphs, proven and warm.
    """

    manifest: Manifest
    digest: str
    created: float
    model: Model


class Profiles:
    """The loaded profiles by name, and the one for requests that name none."""

    def __init__(self, profiles: Mapping[str, Profile], default: str = "") -> None:
        """Keep the profiles in order of their names.

        Args:
            profiles: by name.
            default: name of the default profile; empty = the only one, if it is the only one.

        Raises:
            BundleError: there is no profile, or none of the default's name.
        """
        if not profiles:
            raise BundleError("models: expected at least one profile, found none; enrol one first")
        if default and default not in profiles:
            raise BundleError(
                f"default profile: expected one of {sorted(profiles)}, found {default!r}"
            )
        self._by_name = {name: profiles[name] for name in sorted(profiles)}
        self._default = default or (next(iter(profiles)) if len(profiles) == 1 else "")

    def find(self, name: str) -> Profile:
        """Return the profile of this name; empty = the default one.

        Raises:
            UnknownProfile: there is none.
        """
        profile = self._by_name.get(name or self._default)
        if profile is None:
            raise UnknownProfile(name, tuple(self._by_name))
        return profile

    def all(self) -> tuple[Profile, ...]:
        """Return every profile, sorted by name."""
        return tuple(self._by_name.values())


def load_profile(folder: Path) -> Profile:
    """Verify, load, prove and warm the bundle in ``folder``.

    Raises:
        BundleError: the bundle breaks its contract.
        ModelFault: one of its graphs does.
    """
    bundle = load(folder)
    model = Model(bundle)
    log.info(
        "profile loaded",
        profile=bundle.manifest.profile,
        version=bundle.manifest.version,
        digest=bundle.digest,
        golden_difference=model.golden_difference,
    )
    return Profile(bundle.manifest, bundle.digest, bundle.created, model)
