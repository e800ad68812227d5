"""The benchmark on a base recipe, small."""

from pathlib import Path

import numpy as np
import pytest

from tests.enrolments import TINY, TINY_DEFAULT, background, twenty_writers
from training import base
from training.config import Recipe
from training.errors import DataError
from training.evaluate import scoring
from training.evaluate.kept import decided_by, keep_scores, read_scores
from training.evaluate.run import BenchmarkConfig, draw
from training.evaluate.summary import summarise
from training.evaluate.table import format_table
from training.trials import WriterDigits, draw_trials


@pytest.fixture(scope="module")
def corpus() -> WriterDigits:
    """Pictures with their writers."""
    return twenty_writers()


@pytest.mark.parametrize(("recipe", "has_training_set"), [(TINY_DEFAULT, False), (TINY, True)])
def test_one_enrolment(
    corpus: WriterDigits,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    recipe: Recipe,
    has_training_set: bool,
) -> None:
    """All figures come out; P1, which asks about a training set, only where there is one."""
    monkeypatch.setattr(scoring, "RECIPES", {recipe.name: recipe})
    trial = draw_trials(corpus, 2, 1, 1, 1, 0)[0]
    job = scoring.Job(recipe.name, 2, trial, 0, tmp_path / "scores.npz")

    nobody = scoring.enrol_nobody(recipe.name, 2, 0, background())
    scores = scoring.score_trial(job, corpus, background(), nobody)
    np.savez(job.path, allow_pickle=False, **scores)
    row = summarise(recipe.name, 1, [job])

    assert ("P1" in row.probes) == has_training_set
    assert {"P2", "P3", "P4", "P5", "P6"} <= set(row.probes)
    own, others = (scores[f"{group}.llr"] for group in ("genuine", "impostors"))
    higher = (own[:, None] > others).mean() + 0.5 * (own[:, None] == others).mean()
    assert row.figures["auc"].value == pytest.approx(higher)
    assert row.trials["genuine"] == len(trial.genuine) == len(own)
    assert ("| - |" in format_table([row])) != has_training_set


def test_scores_on_another_base_are_kept_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """New weights mean new scores for the recipes on the base, and for no others."""
    names = ("seed", "remedied", "default", "pixel-cosine")
    before = {name: decided_by(name) for name in names}
    for file in (base.WEIGHTS, base.CALIBRATION):
        (tmp_path / file).write_bytes(b"other")
    monkeypatch.setattr(base, "HERE", tmp_path)
    after = {name: decided_by(name) for name in names}

    assert {name for name in names if before[name] != after[name]} == {"default"}
    assert before["seed"] == "82165f44"


def test_damaged_scores_are_named(tmp_path: Path) -> None:
    """The file that is in the way is named, and what becomes of it."""
    path = tmp_path / "scores.npz"
    keep_scores(path, {"seconds": np.ones(1)})
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(DataError, match=r"scores\.npz: cannot be read: .* remove it, and it is"):
        read_scores(path)


def test_more_pictures_than_anybody_has_are_told_before_anything_is_scored(
    corpus: WriterDigits,
) -> None:
    """Nobody has a thousand; how many were expected is said."""
    nowhere = Path()
    config = BenchmarkConfig(nowhere, nowhere, (), 2, 0, 1, (1000,), "mnist", nowhere, 0)

    with pytest.raises(DataError, match=r"--pictures 1000: expected .* 1001 pictures of a 2"):
        draw(corpus, 1000, config)
