"""The committed base, and what its reader refuses."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.archives import packed_otherwise
from tests.enrolments import background
from training import base
from training.base.calibration import read_calibration
from training.base.network import Base, NetworkConfig, embed, read_weights, write_weights
from training.errors import WeightsError
from training.fit import initialise

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network on disk."""
    network = Base(NetworkConfig(stem=4, middle=4, wide=4, embedding=8, hidden=4, crowd=2))
    initialise(network, torch.Generator().manual_seed(0), glorot=False)
    path = tmp_path_factory.mktemp("base") / base.WEIGHTS
    write_weights(network, path)
    return path


def changed(weights: Path, tmp_path: Path, change: Callable[[Arrays], object]) -> Path:
    with np.load(weights, allow_pickle=False) as file:
        arrays = dict(file)
    change(arrays)
    path = tmp_path / base.WEIGHTS
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def test_the_committed_base_names_digits() -> None:
    """Loaded from the package it names nearly all of the bundled digits, in unit embeddings."""
    digits = background()
    embeddings, logits = embed(base.load().network, digits.images)

    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
    assert logits.shape == (200, 11)
    assert (logits.argmax(axis=1) == digits.labels).mean() > 0.95


def test_folding_changes_nothing_but_the_layers() -> None:
    """With batch normalisation folded in, once or twice, the answers are the same."""
    network = base.load().network
    pixels = torch.from_numpy(background().images[::20]).float() / 255

    with torch.inference_mode():
        for expected, found in zip(network(pixels), network.folded().folded()(pixels), strict=True):
            torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert not any("BatchNorm" in type(part).__name__ for part in network.folded().modules())
    assert any("BatchNorm" in type(part).__name__ for part in network.modules())


def test_feature_maps() -> None:
    """There is one map for each of the four convolutions."""
    maps = base.load().network.feature_maps(torch.zeros(2, 28, 28))

    assert [tuple(one.shape) for one in maps] == [
        (2, 32, 14, 14),
        (2, 32, 14, 14),
        (2, 64, 7, 7),
        (2, 64, 7, 7),
    ]


def test_weights_come_back(weights: Path, tmp_path: Path) -> None:
    """What is read and written again is the same in every bit."""
    write_weights(read_weights(weights), tmp_path / "again.npz")

    first, second = read_weights(weights), read_weights(tmp_path / "again.npz")
    for one, two in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: a.pop("writer.weight"), r"missing: \['writer.weight'\]"),
        (lambda a: a.update(more=np.zeros(1)), r"not known: \['more'\]"),
        (lambda a: a.pop("config"), "config: missing"),
        (lambda a: a.update(config=np.frombuffer(b'{"stem": 4}', np.uint8)), "expected sizes"),
        (lambda a: a.update(config=np.frombuffer(b"[]", np.uint8)), "expected sizes"),
        (lambda a: a.update({"writer.bias": np.zeros(7, np.float32)}), r"writer.bias: expected"),
        (lambda a: a.update({"writer.bias": np.zeros(8)}), r"found float64 \(8,\)"),
        (lambda a: a["writer.weight"].fill(np.nan), "writer.weight: expected finite"),
        (lambda a: a.update(temperature=np.array([{}], dtype=object)), "allow_pickle"),
    ],
)
def test_other_weights_are_refused(
    weights: Path, tmp_path: Path, change: Callable[[Arrays], object], problem: str
) -> None:
    """A missing, additional, misshapen, infinite or pickled array is named."""
    with pytest.raises(WeightsError, match=problem):
        read_weights(changed(weights, tmp_path, change))


def test_a_flipped_byte_is_noticed(weights: Path, tmp_path: Path) -> None:
    """Every array carries a checksum."""
    data = bytearray(weights.read_bytes())
    data[len(data) // 2] ^= 0xFF
    damaged = tmp_path / base.WEIGHTS
    damaged.write_bytes(bytes(data))

    with pytest.raises(WeightsError, match="cannot be read"):
        read_weights(damaged)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    """An empty folder is no base; what to do is said."""
    with pytest.raises(WeightsError) as refusal:
        base.load(tmp_path)

    assert str(refusal.value) == (
        f"{tmp_path / base.WEIGHTS}: cannot be read: No such file or directory; put the package's "
        "own file there again, or learn it anew with `python -m training pretrain`"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "expected an archive of arrays, found other bytes"),
        (b"<html>no such page</html>", "expected an archive of arrays, found other bytes"),
        (b"\x93NUMPY\1\0", "expected an archive of arrays, found other bytes"),
        (b"PK\3\4", "File is not a zip file"),
    ],
)
def test_what_are_no_weights_is_said_in_words(tmp_path: Path, content: bytes, reason: str) -> None:
    """Whatever lies there; nobody is told how to trust it."""
    path = tmp_path / base.WEIGHTS
    path.write_bytes(content)

    with pytest.raises(WeightsError) as refusal:
        read_weights(path)

    assert str(refusal.value).startswith(f"{path}: cannot be read: {reason}; put the package's own")


def test_weights_packed_in_a_way_that_is_not_known(weights: Path, tmp_path: Path) -> None:
    """One changed byte may say so, and is damage like any other."""
    damaged = tmp_path / base.WEIGHTS
    damaged.write_bytes(packed_otherwise(weights))

    with pytest.raises(WeightsError, match="cannot be read: That compression method"):
        read_weights(damaged)


def test_the_line_of_the_next_smaller_number_of_pictures() -> None:
    """Four pictures are read as three, and any large number as the largest known."""
    calibration = base.load().calibration

    assert calibration.pictures == (1, 2, 3, 5)
    assert calibration.line(2, 4) == calibration.line(2, 3)
    assert calibration.line(2, 99) == calibration.line(2, 5) != calibration.line(7, 5)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"pictures": [2, 3, 4, 5]}, "pictures: expected"),
        ({"pictures": [1, 1, 2, 3]}, "pictures: expected"),
        ({"slope": [[1.0] * 4] * 9}, "slope: expected 10 rows of 4"),
        ({"offset": [[float("inf")] * 4] * 10}, "offset: expected 10 rows of 4 finite"),
        ({"slope": [[-1.0] * 4] * 10}, "slope: expected positive"),
        ({"more": 1}, "expected the keys"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, change: dict[str, object], problem: str) -> None:
    """Tables of another shape, or with a slope that turns evidence around, are named."""
    values = json.loads(base.load().calibration.to_json()) | change
    path = tmp_path / base.CALIBRATION
    path.write_text(json.dumps(values))

    with pytest.raises(WeightsError, match=problem):
        read_calibration(path)


def test_tables_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file, a folder and other texts are told apart, each with what to do."""
    path = tmp_path / base.CALIBRATION
    reasons = ["cannot be read: Is a directory", "cannot be read: No such file or directory"]
    found = [tmp_path, path]
    for place, reason in zip(found, reasons, strict=True):
        with pytest.raises(WeightsError) as refusal:
            read_calibration(place)
        assert str(refusal.value).startswith(f"{place}: {reason}; put the package's own file")
    for content in (b"", b"{", b"\xff", b"[" * 100_000):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"expected JSON, found other text: .*; put the"):
            read_calibration(path)
