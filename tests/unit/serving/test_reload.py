"""What the reloader makes of what it finds on the disk."""

import asyncio
import gc
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from serving import bundle, files, loader
from serving.bundle import CLASSIFIER, CURRENT, GOLDEN, MANIFEST
from serving.catalogue import Catalogue
from serving.errors import BundleError
from serving.loader import Loader
from serving.metrics import Metrics
from serving.profiles import Profile
from serving.reload import Reloader, glance
from tests import bundles


def point(home: Path, version: str) -> None:
    """Make a profile ask for a version."""
    files.replace_file(home / CURRENT, f"{version}\n".encode())


def spoil(folder: Path, name: str = CLASSIFIER) -> None:
    """Change one byte of a file."""
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)


class Watched:
    """A reloader over a folder with the tiny profile in force, asked to look by hand."""

    def __init__(self, root: Path, default: str = "") -> None:
        self.root = root
        self.first = bundles.build(root, seed=0)
        self.default = default
        self.catalogue = Catalogue()
        self.metrics = Metrics(CollectorRegistry())
        self.loader = Loader()
        self.reloader = Reloader(root, default, self.loader, self.catalogue, self.metrics)

    async def begin(self) -> "Watched":
        """Put into force what is in the folder now."""
        self.catalogue.publish(await self.loader.load_all(self.root, self.default))
        self.metrics.show_profiles(self.catalogue.all())
        return self

    def in_force(self) -> dict[str, str]:
        """Return the versions in force, by name."""
        return {p.manifest.profile: p.manifest.version for p in self.catalogue.all()}

    def counted(self) -> tuple[float, ...]:
        """Return how many were loaded, refused and removed, and how many refusals stand."""
        value = self.metrics.registry.get_sample_value
        outcomes = ("loaded", "refused", "removed")
        counts = [value("onehand_reloads_total", {"outcome": outcome}) for outcome in outcomes]
        return tuple(count or 0 for count in [*counts, value("onehand_reload_refused")])


@pytest.fixture
async def watched(tmp_path: Path) -> Watched:
    """A reloader whose folder holds one profile, in force."""
    return await Watched(tmp_path).begin()


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions that are read and proven, in order."""
    seen: list[str] = []
    load_profile = loader.load_profile

    def note(folder: Path) -> Profile:
        seen.append(folder.name)
        return load_profile(folder)

    monkeypatch.setattr(loader, "load_profile", note)
    return seen


async def test_nothing_is_read_while_nothing_changes(watched: Watched, loads: list[str]) -> None:
    """Look after look, a folder that asks for what is in force costs no load."""
    before = watched.catalogue.all()

    for _ in range(3):
        await watched.reloader.look()

    assert loads == []
    assert watched.catalogue.all() == before
    assert watched.counted() == (0, 0, 0, 0)


async def test_another_version_comes_into_force(watched: Watched) -> None:
    """A new version is served, and the metrics name it in place of the old one."""
    second = bundles.build(watched.root, seed=1)

    await watched.reloader.look()

    assert watched.in_force() == {"tiny": second.name}
    assert watched.counted() == (1, 0, 0, 0)
    (info,) = [f for f in watched.metrics.registry.collect() if f.name == "onehand_model_info"]
    assert [sample.labels["version"] for sample in info.samples] == [second.name]


async def test_pointing_back_is_rolling_back(watched: Watched) -> None:
    """The version before is in force again once CURRENT names it."""
    bundles.build(watched.root, seed=1)
    await watched.reloader.look()

    point(watched.first.parent, watched.first.name)
    await watched.reloader.look()

    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (2, 0, 0, 0)


async def test_profiles_come_and_go(watched: Watched) -> None:
    """A new profile is served beside the others until its folder is gone."""
    second = bundles.build(watched.root, "second")
    await watched.reloader.look()
    both = watched.in_force()
    shutil.rmtree(second.parent)
    await watched.reloader.look()

    assert both == {"second": second.name, "tiny": watched.first.name}
    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (1, 0, 1, 0)


async def test_bad_version_is_refused_once(watched: Watched, loads: list[str]) -> None:
    """A changed byte keeps the old version in force; it is tried once, not at each look."""
    spoil(bundles.build(watched.root, seed=1))

    for _ in range(3):
        await watched.reloader.look()

    assert len(loads) == 1
    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (0, 1, 0, 1)


async def test_bad_version_is_tried_again_when_its_files_change(watched: Watched) -> None:
    """Put right in place, the version comes into force and the refusal no longer stands."""
    second = bundles.build(watched.root, seed=1)
    spoil(second)
    await watched.reloader.look()
    spoil(second)  # the same bit, back again
    await watched.reloader.look()

    assert watched.in_force() == {"tiny": second.name}
    assert watched.counted() == (1, 1, 0, 0)


async def test_rolling_back_ends_a_refusal(watched: Watched) -> None:
    """Pointed back to what is in force, the folder asks for nothing bad any more."""
    spoil(bundles.build(watched.root, seed=1))
    await watched.reloader.look()
    point(watched.first.parent, watched.first.name)
    await watched.reloader.look()

    assert watched.counted() == (0, 1, 0, 0)


async def test_bad_version_does_not_hold_up_a_good_one(watched: Watched) -> None:
    """Each profile is judged by itself."""
    spoil(bundles.build(watched.root, seed=1))
    second = bundles.build(watched.root, "second")

    await watched.reloader.look()

    assert watched.in_force() == {"second": second.name, "tiny": watched.first.name}
    assert watched.counted() == (1, 1, 0, 1)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"08d9", b"\xff" * 12, b"../../../etc", b"0" * 65, b"000000000000\n"]
)
async def test_unusable_current_is_refused(watched: Watched, content: bytes) -> None:
    """Whatever CURRENT holds, the old version serves on; it is refused once."""
    (watched.first.parent / CURRENT).write_bytes(content)

    for _ in range(2):
        await watched.reloader.look()

    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (0, 1, 0, 1)


def nan(arrays: dict[str, Any]) -> None:
    arrays["llr"][:] = float("nan")


@pytest.mark.parametrize(
    "changes",
    [
        {"change_golden": nan},
        {"schema_version": 1},
        {"contents": {CLASSIFIER: b"not a graph"}},
        {"contents": {GOLDEN: b"PK\x03\x04" + bytes(64)}},
    ],
    ids=["golden", "schema", "graph", "archive"],
)
async def test_what_cannot_be_proven_is_refused(watched: Watched, changes: dict[str, Any]) -> None:
    """True hashes do not help a version that breaks its contract."""
    bundles.build(watched.root, seed=1, **changes)

    await watched.reloader.look()

    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (0, 1, 0, 1)


async def test_unforeseen_error_is_a_refusal(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a library raises on foreign bytes, reloading goes on."""

    def fail(folder: Path) -> Profile:
        raise MemoryError(folder.name)

    bundles.build(watched.root, seed=1)
    monkeypatch.setattr(loader, "load_profile", fail)

    await watched.reloader.look()

    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (0, 1, 0, 1)


async def test_half_a_copy_is_refused_until_it_is_whole(
    watched: Watched, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A version that is copied file by file is served when the last byte is there, not before."""
    source = bundles.build(tmp_path_factory.mktemp("elsewhere"), seed=1)
    target = watched.first.parent / source.name
    point(target.parent, source.name)
    await watched.reloader.look()
    target.mkdir()
    for name in (MANIFEST, *bundle.FILES):
        data = (source / name).read_bytes()
        (target / name).write_bytes(data[: len(data) // 2])
        await watched.reloader.look()
        assert watched.in_force()["tiny"] == watched.first.name
        (target / name).write_bytes(data)
    await watched.reloader.look()

    assert watched.in_force()["tiny"] == source.name
    assert watched.counted()[3] == 0


async def test_last_profile_is_not_given_up(watched: Watched) -> None:
    """A service with nothing to serve is a mistake: what is gone is served on, refused once."""
    shutil.rmtree(watched.first.parent)
    for _ in range(2):
        await watched.reloader.look()
    emptied = watched.in_force(), watched.counted()
    watched.root.rmdir()
    for _ in range(2):
        await watched.reloader.look()

    assert emptied == ({"tiny": watched.first.name}, (0, 1, 0, 1))
    assert watched.in_force() == {"tiny": watched.first.name}
    assert watched.counted() == (0, 2, 0, 1)


async def test_default_profile_is_not_given_up(tmp_path: Path) -> None:
    """Without the default profile the server could not start; others change meanwhile."""
    watched = await Watched(tmp_path, default="tiny").begin()
    shutil.rmtree(watched.first.parent)
    second = bundles.build(tmp_path, "second")

    await watched.reloader.look()

    assert watched.in_force() == {"second": second.name, "tiny": watched.first.name}
    assert watched.counted() == (1, 1, 0, 1)


async def test_old_model_is_freed_when_the_last_request_lets_go(watched: Watched) -> None:
    """A request keeps the model that it found; nothing else does."""
    (held,) = watched.catalogue.all()
    model = weakref.ref(held.model)
    bundles.build(watched.root, seed=1)
    await watched.reloader.look()
    gc.collect()
    during = model()
    assert during is held.model

    del held, during
    gc.collect()

    assert model() is None


async def test_asking_tries_again(watched: Watched, loads: list[str]) -> None:
    """Asked to look, the reloader tries what it has refused although nothing has changed."""
    bad = bundles.build(watched.root, seed=1)
    spoil(bad)
    watched.reloader.start(seconds=0)
    for attempt in (1, 2):
        watched.reloader.ask()
        await until(lambda attempt=attempt: watched.counted()[1] == attempt)
    watched.reloader.stop()

    assert loads == [bad.name] * 2


async def test_looks_by_itself(watched: Watched) -> None:
    """Started with a time, the reloader finds a new version unasked."""
    watched.reloader.start(seconds=0.01)
    second = bundles.build(watched.root, seed=1)
    await until(lambda: watched.in_force() == {"tiny": second.name})
    watched.reloader.stop()


async def test_nothing_is_published_after_the_stop(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that is under way at the stop ends unseen."""
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()
    load_profile = loader.load_profile

    def slow(folder: Path) -> Profile:
        begun.set()
        gate.wait(60)
        profile = load_profile(folder)
        ended.set()
        return profile

    monkeypatch.setattr(loader, "load_profile", slow)
    bundles.build(watched.root, seed=1)
    watched.reloader.start(seconds=0.01)
    await until(begun.is_set)
    watched.reloader.stop()
    gate.set()
    await until(ended.is_set)
    await asyncio.sleep(0.05)  # in which a reloader that goes on would publish

    assert watched.in_force() == {"tiny": watched.first.name}


def test_glance_sees_only_profiles(tmp_path: Path) -> None:
    """Hidden folders and files are no profiles; an unreadable name is one with a problem."""
    folder = bundles.build(tmp_path)
    (tmp_path / ".partial-x").mkdir()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "Bad Name").mkdir()

    seen = glance(tmp_path, {})

    assert sorted(seen) == ["Bad Name", "tiny"]
    assert "found 'Bad Name'" in seen["Bad Name"].problem
    assert len(seen["tiny"].files) == 1 + len(bundle.FILES)
    assert glance(tmp_path, {"tiny": folder.name})["tiny"].files == ()


def test_glance_needs_a_folder(tmp_path: Path) -> None:
    """A folder of profiles that is not there is an error, not an empty folder."""
    with pytest.raises(BundleError, match="expected a folder of profiles"):
        glance(tmp_path / "none", {})


async def until(condition: Callable[[], bool]) -> None:
    """Return once the condition holds."""

    async def wait() -> None:
        while not condition():
            await asyncio.sleep(0.005)

    await asyncio.wait_for(wait(), 60)
