"""Files that grow, are cut back and go on."""

import gzip
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.dataset.errors import DatasetError
from training.dataset.growing import GrowingFile

PIECES = st.lists(st.binary(max_size=200), max_size=6)


@settings(deadline=None, max_examples=40)
@given(before=PIECES, lost=PIECES, after=PIECES)
@pytest.mark.parametrize("name", ["plain", "packed.gz"])
def test_going_on_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    before: list[bytes],
    lost: list[bytes],
    after: list[bytes],
) -> None:
    """A file cut back to a mark and gone on with is the file that was never interrupted."""
    folder = tmp_path_factory.mktemp("growing")
    whole, broken = GrowingFile(folder / name), GrowingFile(folder / f"other-{name}")
    for file in (whole, broken):
        for data in before:
            file.append(data)
    mark = broken.mark
    for data in lost:
        broken.append(data)
    broken.end()

    resumed = GrowingFile(folder / f"other-{name}", mark)
    for file in (whole, resumed):
        for data in after:
            file.append(data)
        file.end()

    found = (folder / name).read_bytes()
    assert (folder / f"other-{name}").read_bytes() == found
    unpacked = gzip.decompress(found) if name.endswith(".gz") else found
    assert unpacked == b"".join(before + after)


def test_one_member(tmp_path: Path) -> None:
    """A reader that stops at the end of the first gzip member has read everything."""
    file = GrowingFile(tmp_path / "packed.gz")
    for data in (b"one" * 1000, b"", b"two"):
        file.append(data)
    file.end()

    reader = zlib.decompressobj(wbits=31)

    assert reader.decompress((tmp_path / "packed.gz").read_bytes()) == b"one" * 1000 + b"two"
    assert reader.eof
    assert reader.unused_data == b""


@pytest.mark.parametrize("damage", ["shorter", "gone"])
def test_a_damaged_file(tmp_path: Path, damage: str) -> None:
    """A file that lost what had been written is not gone on with."""
    path = tmp_path / "plain"
    file = GrowingFile(path)
    file.append(b"12345")
    path.write_bytes(b"1234") if damage == "shorter" else path.unlink()

    with pytest.raises(DatasetError, match="plain: expected at least 5 bytes, found"):
        GrowingFile(path, file.mark)
