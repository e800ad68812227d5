"""From a picture to a bundle, and what happens when it is stopped on the way."""

import errno
import os
from pathlib import Path

import numpy as np
import onnx
import pytest

from serving import bundle, files
from serving.images import BadImage
from serving.runtime import open_session
from tests import bundles
from tests.enrolments import SAMPLES, TINY, TINY_DEFAULT, background
from training import export, pipeline, record_file, report
from training.config import DEFAULT, RECIPES, SEED, Recipe
from training.errors import NotSaved, ParityError


def enrol(
    root: Path, *names: str, profile: str = "sample", seed: int = 0, recipe: Recipe = TINY
) -> Path:
    return pipeline.enrol(
        [SAMPLES / name for name in names],
        profile=profile,
        digit=2,
        recipe=recipe,
        background=background(),
        root=root,
        seed=seed,
    )


@pytest.fixture(scope="module")
def enrolled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small enrolment of both samples."""
    return enrol(tmp_path_factory.mktemp("exported"), "two.jpg", "two-again.jpg")


def test_the_bundle_is_whole(enrolled: Path) -> None:
    """What enrolment writes is a verified bundle that says how it was made."""
    loaded = bundle.load(enrolled)

    assert bundle.current(enrolled.parent) == enrolled
    assert loaded.manifest.digit == 2
    assert loaded.manifest.enrolment.images == 2
    assert loaded.manifest.enrolment.recipe == "tiny"
    assert loaded.manifest.parity.label_flips == 0
    assert loaded.manifest.parity.classifier <= 1e-5


def test_graphs_tell_nothing_of_this_machine(enrolled: Path) -> None:
    """The graphs hold no path, no stack trace, no external data and the pinned versions."""
    for name in bundle.GRAPHS:
        data = (enrolled / name).read_bytes()
        model = onnx.load_from_string(data)

        assert str(Path.cwd()).encode() not in data
        assert b".py" not in data
        assert b"site-packages" not in data
        assert not any(tensor.external_data for tensor in model.graph.initializer)
        assert not any("Random" in node.op_type for node in model.graph.node)
        assert model.ir_version == export.IR_VERSION
        assert [entry.version for entry in model.opset_import] == [export.OPSET]


def test_equal_inputs_give_equal_bytes(enrolled: Path, tmp_path: Path) -> None:
    """The same pictures and seed give the same bundle; another seed gives another."""
    again = enrol(tmp_path, "two.jpg", "two-again.jpg")
    other = enrol(tmp_path, "two.jpg", "two-again.jpg", seed=1)

    assert again.name == enrolled.name != other.name
    for name in (bundle.MANIFEST, *bundle.FILES):
        assert (again / name).read_bytes() == (enrolled / name).read_bytes()
    assert bundle.current(again.parent) == other


def test_the_report_can_be_drawn(enrolled: Path) -> None:
    """The record of a real enrolment makes a page."""
    page = report.render(enrolled)

    assert page.stat().st_size > 50_000
    assert record_file.load(enrolled).tests.truth.count("other_writer") > 0


def test_the_default_recipe_knows_what_it_was_enrolled_with(tmp_path: Path) -> None:
    """On the base the enrolled form is own, without a training set and so without its accuracy."""
    folder = enrol(tmp_path, "two.jpg", recipe=TINY_DEFAULT)

    loaded = bundle.load(folder)
    kept = record_file.load(folder)
    session = open_session(loaded.contents[bundle.CLASSIFIER])
    (probabilities,) = session.run(["probabilities"], {"images": kept.forms})
    assert probabilities[0].argmax() == 0
    assert loaded.manifest.decision.priors == (1 / 3, 1 / 3, 1 / 3)
    assert set(loaded.manifest.metrics) == {"trustworthiness", "refused", "doubted"}
    assert loaded.manifest.parity.classifier <= 1e-5
    assert len(loaded.contents[bundle.CLASSIFIER]) < 3_000_000
    assert kept.cnn_history == {}
    assert len(kept.feature_maps) == 4
    assert report.render(folder).stat().st_size > 50_000


def test_a_picture_counts_once(tmp_path: Path) -> None:
    """One given twice says no more of the hand than once, and is named with its twin."""
    with pytest.raises(BadImage, match=r"two\.jpg: expected another picture than .*two\.jpg"):
        enrol(tmp_path, "two.jpg", "two-again.jpg", "two.jpg")
    assert list(tmp_path.iterdir()) == []


def test_recipes_keep_their_names_and_hashes() -> None:
    """Measurements are kept under a recipe's hash; the seed's must not change unnoticed."""
    assert SEED.sha256().startswith("82165f44bf31bb14")
    assert {name: recipe.name for name, recipe in RECIPES.items()} == {
        name: name for name in RECIPES
    }
    assert len({recipe.sha256() for recipe in RECIPES.values()}) == len(RECIPES)
    assert DEFAULT in RECIPES


@pytest.mark.parametrize("stage", ["train_vae", "train_cnn", "export", "analyse"])
def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
    """Stopped at any stage, no bundle, no half of one and no pointer to one is left."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, stage, stop)

    with pytest.raises(KeyboardInterrupt):
        enrol(tmp_path, "two.jpg")
    assert list(tmp_path.rglob("*")) == []


def test_ctrl_c_while_writing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped between two files of the bundle, the folder is gone again."""
    written = files.write_synced

    def stop(path: Path, data: bytes) -> None:
        if path.name == bundle.GOLDEN:
            raise KeyboardInterrupt
        written(path, data)

    monkeypatch.setattr(files, "write_synced", stop)

    with pytest.raises(KeyboardInterrupt):
        enrol(tmp_path, "two.jpg")
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("name", [bundle.GOLDEN, record_file.ARRAYS, record_file.VALUES])
def test_a_full_disk_leaves_what_was_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Who is told that it failed finds nothing new in force, and no bundle without its record."""
    before = bundles.build(tmp_path, "sample")
    written = files.write_synced

    def fill(path: Path, data: bytes) -> None:
        if name in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written(path, data)

    monkeypatch.setattr(files, "write_synced", fill)

    with pytest.raises(NotSaved) as failure:
        enrol(tmp_path, "two.jpg")

    assert str(failure.value) == (
        f"{before.parent}: the bundle cannot be written: No space left on device; nothing new is "
        "in force: see to that, or choose another --out"
    )
    assert bundle.discover(tmp_path) == {"sample": before}
    assert sorted(before.parent.iterdir()) == sorted([before, before.parent / bundle.CURRENT])


def test_a_graph_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When onnxruntime answers otherwise than torch the export fails and names the graph."""
    honest = export._run_onnx

    def wrong(*arguments: object) -> export.Arrays:
        answers = honest(*arguments)
        return {name: value + np.float32(1e-3) for name, value in answers.items()}

    monkeypatch.setattr(export, "_run_onnx", wrong)

    with pytest.raises(ParityError, match=r"classifier\.onnx: expected onnxruntime within 1e-05"):
        enrol(tmp_path, "two.jpg")
    assert list(tmp_path.rglob("*")) == []


def test_a_bad_picture_is_named(tmp_path: Path) -> None:
    """Of several pictures the one that cannot be used is named."""
    bad = tmp_path / "text.png"
    bad.write_text("not a picture")

    with pytest.raises(BadImage, match=r"text\.png: expected a PNG"):
        enrol(tmp_path / "exported", "two.jpg", str(bad))


def test_another_digit_than_was_said_is_refused(tmp_path: Path) -> None:
    """It would be enrolled as the hand's 7, and all that the writer writes be called other."""
    with pytest.raises(
        BadImage, match=r"two\.jpg: expected a 7, found .* looks like a 2; say with"
    ):
        pipeline.enrol(
            [SAMPLES / "two.jpg"],
            profile="sample",
            digit=7,
            recipe=TINY_DEFAULT,
            background=background(),
            root=tmp_path / "exported",
            seed=0,
        )
    assert not (tmp_path / "exported").exists()
