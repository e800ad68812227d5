"""Files that change under a running server."""

import asyncio
from pathlib import Path

import pytest

from serving.watched import FileRefused, Watched, keep_watching


def watch(path: Path, seen: list[tuple[str, int]]) -> Watched[int]:
    """Return a watched number; what it notes goes to ``seen``."""

    def load() -> int:
        text = path.read_text()
        if not text.isdigit():
            raise FileRefused(f"{path}: expected a number, found {text!r}")
        return int(text)

    return Watched("number", [path], load, lambda outcome, value: seen.append((outcome, value)))


def test_change_is_taken(tmp_path: Path) -> None:
    """New content is in force after a refresh, and noted once."""
    path = tmp_path / "number"
    path.write_text("1")
    seen: list[tuple[str, int]] = []
    watched = watch(path, seen)

    watched.refresh()
    path.write_text("2")
    watched.refresh()
    watched.refresh()

    assert watched.value == 2
    assert seen == [("loaded", 2)]


def test_last_good_content_stays(tmp_path: Path) -> None:
    """Unusable or missing content changes nothing and is noted once for each problem."""
    path = tmp_path / "number"
    path.write_text("1")
    seen: list[tuple[str, int]] = []
    watched = watch(path, seen)

    path.write_text("half")
    watched.refresh()
    watched.refresh()
    path.unlink()
    watched.refresh()
    watched.refresh()
    path.write_text("1")
    watched.refresh()
    path.write_text("3")
    watched.refresh()

    assert watched.value == 3
    assert seen == [("refused", 1), ("refused", 1), ("loaded", 3)]


def test_content_that_changes_while_read_is_refused(tmp_path: Path) -> None:
    """A value is never made from parts of two versions of its files."""
    path = tmp_path / "number"
    path.write_text("1")

    def load() -> int:
        value = int(path.read_text())
        path.write_text(str(value + 1))
        return value

    with pytest.raises(FileRefused, match="changed while being read"):
        Watched("number", [path], load, lambda outcome, value: None)


def test_missing_at_the_start(tmp_path: Path) -> None:
    """There is nothing to fall back to at the start; the file is named."""
    with pytest.raises(FileRefused, match="none: No such file"):
        watch(tmp_path / "none", [])


def test_watching_outlives_a_fault(tmp_path: Path) -> None:
    """Something unforeseen in one file ends the watch over neither that one nor the next."""
    paths = [tmp_path / "first", tmp_path / "second"]
    for path in paths:
        path.write_text("1")
    faults = iter([OSError("unforeseen"), ValueError("unforeseen")])

    def load_first() -> int:
        if paths[0].read_text() != "1" and (fault := next(faults, None)):
            raise fault
        return int(paths[0].read_text())

    def ignore(_outcome: str, _value: int) -> None:
        """Note nothing."""

    first = Watched("first", paths[:1], load_first, ignore)
    second = Watched("second", paths[1:], lambda: int(paths[1].read_text()), ignore)

    async def watch() -> None:
        watching = asyncio.create_task(keep_watching([first, second], seconds=0))
        for path in paths:
            path.write_text("2")
        while (first.value, second.value) != (2, 2):
            assert not watching.done()
            await asyncio.sleep(0.001)
        watching.cancel()

    asyncio.run(asyncio.wait_for(watch(), 60))
