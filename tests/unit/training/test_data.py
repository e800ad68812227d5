"""Official files, read strictly."""

import contextlib
import errno
import gzip
import importlib.resources
import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.archives import packed_otherwise
from training.data import (
    Characters,
    Digits,
    load_bundled,
    load_mnist,
    load_omniglot,
    load_writers,
    read_idx,
)
from training.errors import DataError

IMAGES = np.arange(3 * 784, dtype=np.uint8).reshape(3, 28, 28)
LABELS = np.array([2, 0, 9], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}i", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def qmnist(labels: np.ndarray, writers: list[int]) -> bytes:
    rows = np.zeros((len(labels), 8), dtype=">i4")
    rows[:, 0], rows[:, 2] = labels, writers
    return struct.pack(">3i", 3074, len(labels), 8) + rows.tobytes()


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(IMAGES)))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(LABELS))
    return tmp_path


def test_official_files(mnist: Path) -> None:
    """Images, labels and writers come out as they went in, gzipped or not."""
    digits = load_mnist(mnist)
    (mnist / "qmnist-train-labels-idx2-int.gz").write_bytes(
        gzip.compress(qmnist(LABELS, [7, 8, 7]))
    )

    assert np.array_equal(digits.images, IMAGES)
    assert np.array_equal(digits.labels, LABELS)
    assert load_writers(mnist, digits).tolist() == [7, 8, 7]


@pytest.mark.parametrize(("name", "found"), [("", "neither"), ("nowhere", "no folder")])
def test_missing_file(tmp_path: Path, name: str, found: str) -> None:
    """A folder without the files, or none, is refused by the name of the file that is missing."""
    with pytest.raises(DataError) as refusal:
        load_mnist(tmp_path / name)

    assert str(refusal.value) == (
        f"{tmp_path / name}: expected the file train-images-idx3-ubyte.gz or "
        f"train-images-idx3-ubyte, found {found}; name the folder that holds the official files"
    )


@pytest.mark.parametrize(
    ("function", "where"), [("is_file", ""), ("read_bytes", "train-images-idx3-ubyte.gz")]
)
def test_what_may_not_be_read(
    mnist: Path, monkeypatch: pytest.MonkeyPatch, function: str, where: str
) -> None:
    """A folder or a file of somebody else's is named once, in words."""

    def refuse(path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, function, refuse)

    with pytest.raises(DataError) as refusal:
        load_mnist(mnist)

    assert str(refusal.value) == f"{mnist / where}: cannot be read: Permission denied"


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"\0\0\x0d\x01" + bytes(8), "IDX file of bytes.*; get the file anew"),
        (idx(IMAGES)[:-1], "found 2351 bytes after it; get the file anew"),
        (b"\0\0\x08\x03", "header says"),
    ],
)
def test_damaged_idx(tmp_path: Path, data: bytes, problem: str) -> None:
    """Another type, a missing byte and a missing header are each named."""
    path = tmp_path / "file"
    path.write_bytes(data)

    with pytest.raises(DataError, match=problem):
        read_idx(path)


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_damaged_gzip(mnist: Path, damage: str) -> None:
    """A gzip file that was cut short or changed is refused by name."""
    path = mnist / "train-images-idx3-ubyte.gz"
    data = bytearray(path.read_bytes())
    data[12] ^= 0xFF
    path.write_bytes(path.read_bytes()[:-20] if damage == "cut" else data)

    with pytest.raises(DataError, match=f"{path.name}: cannot be read: .*; get the file anew"):
        load_mnist(mnist)


def test_writers_of_other_images(mnist: Path) -> None:
    """Writer labels that describe other digits are refused."""
    (mnist / "qmnist-train-labels-idx2-int").write_bytes(qmnist(LABELS[::-1], [1, 2, 3]))

    with pytest.raises(DataError, match="not those of the MNIST training set"):
        load_writers(mnist, Digits(IMAGES, LABELS))


def test_bundled() -> None:
    """The bundled background holds 500 images of each digit in MNIST form."""
    digits = load_bundled()

    assert np.bincount(digits.labels).tolist() == [500] * 10
    assert digits.images.shape == (5000, 28, 28)
    assert digits.images.max() == 255


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"none", "cannot be read: .*; get the file anew"),
        (gzip.compress(b"1,2")[:-3], "cannot be read: .*; get the file anew"),
        (gzip.compress(b"label,pixel"), "expected a table of grey values"),
    ],
)
def test_a_damaged_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str
) -> None:
    """The file of another package is named as well, and what is wrong with it."""
    monkeypatch.setattr(importlib.resources, "files", lambda _: tmp_path)
    path = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    with pytest.raises(DataError, match=rf"mnist_5k\.csv\.gz: {message}"):
        load_bundled()


def omniglot(path: Path, pictures: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in pictures.items():
            archive.writestr(name, data)
    return path


def png(side: int) -> bytes:
    picture = Image.new("1", (side, side), 1)
    picture.putpixel((3, 5), 0)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_omniglot(tmp_path: Path) -> None:
    """Black ink comes out True, in the order of the names, without a Mac's resource files."""
    pictures = {
        "set/B/x/2.png": png(105), "set/A/y/1.png": png(105), "__MACOSX/a/1.png": b"", "a/": b"",
    }  # fmt: skip

    characters = load_omniglot(omniglot(tmp_path / "small.zip", pictures))

    assert characters.names == ("A/y", "B/x")
    assert characters.images.shape == (2, 105, 105)
    assert np.argwhere(characters.images[0]).tolist() == [[5, 3]]


def test_alphabets_that_were_learned_are_left_out() -> None:
    """All of them, other drawings and other characters too; the sets share alphabets."""
    images = np.arange(4 * 105 * 105).reshape(4, 105, 105) % 2 == 0
    learned = Characters(images[:1], ("Greek/character01",))
    more = Characters(images, ("Greek/character01", "Greek/character02", "Gr/x", "Tagalog/x"))

    unseen = more.besides(learned)

    assert unseen.names == ("Gr/x", "Tagalog/x")
    np.testing.assert_array_equal(unseen.images, images[2:])


@pytest.mark.parametrize(
    ("pictures", "problem"),
    [
        ({"a.png": b"no picture"}, "a.png: not a PNG, or a damaged one; get the file anew"),
        ({"a.png": png(28)}, r"expected 105 x 105 pixels, found \(28, 28\)"),
        ({"a.txt": b""}, "expected PNG files, found none"),
    ],
)
def test_other_pictures(tmp_path: Path, pictures: dict[str, bytes], problem: str) -> None:
    """A zip file without characters, or with others, is refused by name."""
    with pytest.raises(DataError, match=problem):
        load_omniglot(omniglot(tmp_path / "small.zip", pictures))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: b"PK", "File is not a zip file"),
        (lambda path: path.read_bytes()[:-40], "File is not a zip file"),
        (packed_otherwise, "That compression method is not supported"),
    ],
)
def test_damaged_zip(tmp_path: Path, damage: Callable[[Path], bytes], reason: str) -> None:
    """What is no zip file, or a damaged one, is refused by name, with what to do."""
    path = omniglot(tmp_path / "small.zip", {"set/A/y/1.png": png(105)})
    path.write_bytes(damage(path))

    with pytest.raises(DataError) as refusal:
        load_omniglot(path)

    assert str(refusal.value) == f"{path}: cannot be read: {reason}; get the file anew"


def test_missing_zip(tmp_path: Path) -> None:
    """What is not there is said in words, and named once; so is a folder in its place."""
    for path, reason in (
        (tmp_path / "small.zip", "No such file or directory"),
        (tmp_path, "Is a directory"),
    ):
        with pytest.raises(DataError) as refusal:
            load_omniglot(path)
        assert str(refusal.value) == f"{path}: cannot be read: {reason}"


@given(st.binary(max_size=64) | st.binary(max_size=40).map(b"\0\0\x08".__add__))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever a file holds, it is an array of no more bytes or a clear error."""
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(data)

    with contextlib.suppress(DataError):
        assert read_idx(path).size <= len(data)
