"""Where profiles are loaded."""

import asyncio
import threading
from pathlib import Path

import pytest

from serving import loader
from serving.loader import Loader
from serving.profiles import Profile
from tests import bundles


async def test_all_loads_share_one_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks and when, one thread loads: each that ever did keeps its memory."""
    threads = set()
    load_profile = loader.load_profile

    def note(folder: Path) -> Profile:
        threads.add(threading.current_thread())
        return load_profile(folder)

    monkeypatch.setattr(loader, "load_profile", note)
    loads = Loader()
    folders = [bundles.build(tmp_path, name) for name in ("one", "two")]

    first = await loads.load_all(tmp_path, "one")
    others = await asyncio.gather(*(loads.load(folder) for folder in folders))

    assert [p.manifest.profile for p in (*first.all(), *others)] == ["one", "two"] * 2
    assert len(threads) == 1
    assert threading.main_thread() not in threads
