"""Files that change under a running server."""

from pathlib import Path

import pytest

from serving.watched import FileRefused, Watched


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
