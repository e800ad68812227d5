"""Who is enrolled and who is shown."""

import numpy as np
import pytest

from training.data import Digits
from training.trials import WriterDigits, draw_trials, without_validation


@pytest.fixture(scope="module")
def corpus() -> WriterDigits:
    """40 writers, 12 images each, half of them 2s."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (480, 28, 28), dtype=np.uint8)
    labels = np.tile(np.array([2, 7], dtype=np.uint8), 240)
    return WriterDigits(Digits(images, labels), np.repeat(np.arange(40, dtype=np.int32), 12))


@pytest.mark.parametrize("pictures", [1, 3])
def test_roles_do_not_mix(corpus: WriterDigits, pictures: int) -> None:
    """Own pictures are the writer's, impostors somebody else's, and nobody is both."""
    trials = draw_trials(corpus, 2, pictures, 3, 0, 0)

    assert len(trials) == 8 * 3
    for trial in trials:
        own = np.concatenate([trial.enrolled, trial.genuine])
        assert len(trial.enrolled) == pictures
        assert len(set(own)) == 6
        assert set(corpus.writers[own]) == {trial.writer}
        assert trial.writer % 5 == 0
        for group in (trial.impostors, trial.strangers):
            assert trial.writer not in corpus.writers[group]
            assert set(corpus.digits.labels[group]) == {2}
        assert set(corpus.digits.labels[trial.others]) == {7}
        assert not any(corpus.writers[trial.impostors] % 5)


def test_a_writer_needs_another_one(corpus: WriterDigits) -> None:
    """Where only one writer has pictures enough there is nobody to hold that one against."""
    one = corpus.where(~(corpus.validation() & (corpus.writers != 5)))

    assert draw_trials(one, 2, 1, 3, 0, 0) == []


def test_trials_do_not_depend_on_how_many_are_asked_for(corpus: WriterDigits) -> None:
    """The first writers' trials are the same whether two writers are run or all."""
    few, all_ = draw_trials(corpus, 2, 1, 1, 2, 0), draw_trials(corpus, 2, 1, 3, 0, 0)

    for trial in few:
        (twin,) = [t for t in all_ if (t.writer, t.turn) == (trial.writer, trial.turn)]
        assert np.array_equal(trial.enrolled, twin.enrolled)
        assert np.array_equal(trial.impostors, twin.impostors)


def test_background_without_validation_writers(corpus: WriterDigits) -> None:
    """A background that shares images with validation writers loses exactly those."""
    kept = without_validation(corpus.digits, corpus)

    expected = corpus.digits.images[corpus.writers % 5 != 0]
    np.testing.assert_array_equal(kept.images, expected)
