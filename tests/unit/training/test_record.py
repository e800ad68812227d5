"""The record of an enrolment: what is remembered comes back, and damage is named."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.bundle import LABELS, REPORT
from tests.archives import packed_otherwise
from training import record_file
from training.latent.findings import Latent, Layout, Strip
from training.record import Record, Tests, thumbnail
from training.record_file import RecordError


def make_record(seed: int = 0) -> Record:
    """Return a record of every stage, with noise for pictures."""
    draw = np.random.default_rng(seed)

    def images(count: int, height: int = 28, width: int = 28) -> np.ndarray:
        return draw.integers(0, 256, (count, height, width), dtype=np.uint8)

    def floats(*shape: int) -> np.ndarray:
        return draw.random(shape, dtype=np.float32)

    def strips(*names: str) -> tuple[Strip, ...]:
        return tuple(Strip(name, images(7), floats(7), 0.5 + i) for i, name in enumerate(names))

    latent = Latent(
        counts=(1, 12, 5),
        means=floats(18, 4),
        layouts=(
            Layout("PCA", floats(18, 2), 0.8, 0.9, 0.4),
            Layout("t-SNE, perplexity 5", floats(18, 2), 0.9, 0.95, 0.6),
        ),
        chosen=1,
        neighbours=5,
        clusters=np.arange(18, dtype=np.int64) % 3,
        silhouettes=(0.1, 0.3, 0.2),
        variances=np.array([1.5, 0.02, 0.001, 0.3], np.float32),
        traversals=strips("unit 1", "unit 4"),
        directions=strips("thickness", "slant", "width", "height"),
        interpolations=strips("form 1 to sample 3"),
        coverage=0.75,
        coverage_neighbours=5,
        spread=1.5,
    )
    forms = images(1)
    tests = images(6)
    tests[0] = forms[0]
    return Record(
        pictures=(images(1, 40, 31)[0],),
        forms=forms,
        augmented=images(12),
        augmentations=tuple({"rotation": float(turn), "blur": 0.5} for turn in range(12)),
        reconstructed_from=images(3),
        reconstructions=images(3),
        samples=images(5),
        vae_history={"loss": (300.0, 210.5), "divergence": (0.0, 21.0)},
        cnn_history={"loss": (0.5, 0.1), "accuracy": (0.8, 0.99)},
        latent=latent,
        feature_maps=(floats(6, 26, 26), floats(6, 3, 3)),
        tests=Tests(tests, LABELS * 2, floats(6, 3), floats(6)),
        seconds={"augment": 0.25, "VAE": 4.0},
        config={"name": "tiny", "vae": {"hidden": [8, 4]}},
    )


def save(kept: Record, folder: Path) -> None:
    """Write a record where that of the bundle in ``folder`` is looked for."""
    home = folder / REPORT
    home.mkdir()
    for name, data in record_file.encode(kept).items():
        (home / name).write_bytes(data)


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    """Every array, number and word survives the way to disk and back."""
    saved = make_record()

    save(saved, tmp_path)
    loaded = record_file.load(tmp_path)

    assert dict(record_file._arrays(loaded)).keys() == dict(record_file._arrays(saved)).keys()
    for name, array in record_file._arrays(saved):
        found = dict(record_file._arrays(loaded))[name]
        np.testing.assert_array_equal(found, array)
        assert found.dtype == array.dtype
    assert record_file._values(loaded) == record_file._values(saved)


def test_a_record_of_a_recipe_that_skips_stages_comes_back(tmp_path: Path) -> None:
    """What was empty stays empty, and no latent space stays None."""
    full = make_record()

    save(Record(pictures=full.pictures, forms=full.forms), tmp_path)
    loaded = record_file.load(tmp_path)

    assert loaded.latent is None
    assert loaded.samples.shape == (0, 28, 28)
    assert loaded.feature_maps == ()
    assert loaded.tests.truth == ()


def test_equal_records_give_equal_bytes() -> None:
    """Nothing of the time or the place gets into the files."""
    first, second = record_file.encode(make_record()), record_file.encode(make_record())

    assert first == second
    assert set(first) == {"record.npz", "record.json"}


@pytest.mark.parametrize("name", [record_file.ARRAYS, record_file.VALUES])
def test_a_missing_file_is_named_with_what_to_run(tmp_path: Path, name: str) -> None:
    """Whoever copied a bundle without its report learns which file to make and how."""
    save(make_record(), tmp_path)
    (tmp_path / "report" / name).unlink()

    with pytest.raises(RecordError) as refusal:
        record_file.load(tmp_path)

    assert str(refusal.value) == (
        f"{tmp_path / 'report' / name}: expected the record of an enrolment, found none; make it "
        "anew with `python -m training enroll IMAGE --profile NAME`"
    )


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (record_file.ARRAYS, b""),
        (record_file.ARRAYS, b"not a zip"),
        (record_file.ARRAYS, b"PK\x03\x04" + bytes(60)),
        (record_file.VALUES, b"{"),
        (record_file.VALUES, b"\xff"),
        (record_file.VALUES, b"[]"),
        (record_file.VALUES, b"{}"),
        (record_file.VALUES, json.dumps({"format": 99}).encode()),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    """Garbage in either file is an error with a remedy, not a trace."""
    save(make_record(), tmp_path)
    (tmp_path / "report" / name).write_bytes(content)

    with pytest.raises(RecordError, match=r"damaged.*python -m training enroll"):
        record_file.load(tmp_path)


def test_a_pickled_array_is_refused(tmp_path: Path) -> None:
    """Nothing is ever unpickled."""
    save(make_record(), tmp_path)
    arrays = dict(record_file._arrays(make_record()))
    arrays["samples"] = np.array([{}], dtype=object)
    np.savez(tmp_path / "report" / record_file.ARRAYS, allow_pickle=True, **arrays)

    with pytest.raises(RecordError, match="pickle"):
        record_file.load(tmp_path)


def test_arrays_packed_in_a_way_that_is_not_known(tmp_path: Path) -> None:
    """One changed byte may say so, and is damage like any other."""
    save(make_record(), tmp_path)
    path = tmp_path / "report" / record_file.ARRAYS
    path.write_bytes(packed_otherwise(path))

    with pytest.raises(RecordError, match=r"damaged.*compression method.*training enroll"):
        record_file.load(tmp_path)


def test_a_record_that_does_not_fit_together_is_refused() -> None:
    """The message names the array, what was expected and what was found."""
    full = make_record()

    with pytest.raises(ValueError, match=r"augmented: expected uint8 \(0, 28, 28\), found"):
        Record(pictures=full.pictures, forms=full.forms, augmented=full.augmented)
    with pytest.raises(ValueError, match=r"forms: expected uint8"):
        Record(pictures=full.pictures, forms=full.forms.astype(np.float32))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'mine'"):
        Tests(full.forms, ("mine",), np.zeros((1, 3), np.float32), np.zeros(1, np.float32))


def test_a_latent_space_that_does_not_fit_is_refused() -> None:
    """Neither points without an image nor a choice among layouts that are not there get by."""
    full = make_record()
    assert full.latent is not None

    with pytest.raises(ValueError, match=r"latent.counts: expected at most \(1, 12, 2\)"):
        replace(full, samples=full.samples[:2])
    with pytest.raises(ValueError, match=r"latent.means: expected float32 \(19, 4\)"):
        replace(full.latent, counts=(1, 12, 6))
    with pytest.raises(ValueError, match=r"PCA: expected float32 \(18, 2\)"):
        replace(full.latent, layouts=(Layout("PCA", full.latent.means, 1, 1, 1),), chosen=0)
    for chosen in (-1, 2):
        with pytest.raises(ValueError, match="expected one of 2 layouts"):
            replace(full.latent, chosen=chosen)
    with pytest.raises(ValueError, match=r"strip.values: expected float32 \(7\)"):
        replace(full.latent.directions[0], values=full.latent.variances)


def test_what_was_measured_of_the_latent_space_can_be_asked() -> None:
    """Trust is that of the chosen layout; a unit is active above a variance of 0.01."""
    latent = make_record().latent
    assert latent is not None

    assert latent.trustworthiness == 0.9
    assert latent.active == 3


def test_a_record_of_the_release_before_is_refused(tmp_path: Path) -> None:
    """The formats, expected and found, are named, and what to run."""
    save(make_record(), tmp_path)
    path = tmp_path / "report" / record_file.VALUES
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))

    with pytest.raises(
        RecordError, match=r"of another release: format: expected 2, found 1.*enroll"
    ):
        record_file.load(tmp_path)


def test_a_loss_that_is_no_number_is_not_saved() -> None:
    """JSON has no NaN, so nothing is written that other readers could not read."""
    full = make_record()
    broken = Record(full.pictures, full.forms, vae_history={"loss": (float("nan"),)})

    with pytest.raises(ValueError, match="not JSON compliant"):
        record_file.encode(broken)


@pytest.mark.parametrize(("shape", "expected"), [((1000, 500), (480, 240)), ((300, 40), (300, 40))])
def test_a_thumbnail_keeps_its_proportions(
    shape: tuple[int, int], expected: tuple[int, int]
) -> None:
    """Large pictures shrink until both sides fit; small ones stay."""
    assert thumbnail(np.full(shape, 200, np.uint8)).shape == expected
