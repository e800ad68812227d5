"""The gate: what is looked at, what is drawn anew, and when that is given up."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import drawing
from serving.bundle import Gate
from serving.drawing import ATTEMPTS, DECODE_ROWS, SPAN_ROWS, TRIES, draw
from serving.errors import CannotDraw
from serving.generate import Along, Around, Between, InStyle, Plan, Prior
from serving.model import OTHER, Model, Posterior
from serving.noise import further_normal, standard_normal
from serving.profiles import load_profile
from serving.steering import Target
from tests import bundles

SIZE = bundles.LATENT_SIZE
LEANING = {"slant": Target(5, 15, is_change=True)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that draws no digit where the second latent value is positive, and doubts it all."""
    return load_profile(bundles.build(tmp_path_factory.mktemp("gated"), gated=True)).model


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same, but only where it draws no digit it is in doubt."""
    root = tmp_path_factory.mktemp("knowing")
    return load_profile(bundles.build(root, gated=True, gate=Gate(0.5))).model


def sizes_of_calls(model: Model, name: str, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that will hold how many rows each call of a method gets."""
    sizes: list[int] = []
    method = getattr(model, name)

    def watched(rows: NDArray[Any]) -> Any:
        sizes.append(len(rows))
        return method(rows)

    monkeypatch.setattr(model, name, watched)
    return sizes


@pytest.fixture
def looked_at(model: Model, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures each call of the classifier got."""
    return sizes_of_calls(model, "classify", monkeypatch)


def all_tries(plan: Plan, rows: Sequence[int], attempt: int = 0) -> NDArray[np.float32]:
    """Return the points of an attempt that are tried in turn, shape (TRIES, len(rows), z)."""
    first = standard_normal(plan.seed, rows, SIZE, attempt)
    further = further_normal(plan.seed, rows, TRIES - 1, SIZE, attempt)
    noise = np.concatenate([first[None], further.transpose(1, 0, 2)])
    return np.stack([plan.latents(rows, one) for one in noise])


def last_points(plan: Plan, rows: Sequence[int], attempt: int = 0) -> NDArray[np.float32]:
    """Return the points of an attempt whose tries were all in doubt."""
    return all_tries(plan, rows, attempt)[-1]


def at(second: float) -> Posterior:
    """Return a posterior around a point with this second value."""
    mean = np.array([[0.3, second, -0.2, 0.1]], np.float32)
    return Posterior(mean, np.ones((1, SIZE), np.float32), mean)


def test_points_in_doubt_are_taken_anew(knowing: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row has its first point that is not in doubt; only that is drawn, and none looked at."""
    plan = Around(at(-0.5), 1.0, seed=2)
    decoded = sizes_of_calls(knowing, "decode", monkeypatch)
    screened = sizes_of_calls(knowing, "doubt", monkeypatch)
    monkeypatch.setattr(knowing, "classify", None)

    drawn = draw(knowing, plan, range(40))

    assert drawn.redrawn == 0
    assert decoded == [8, 8, 16, 32]
    # all of the span, then all other tries of those in doubt, and so on
    assert screened[0] == 8
    assert 0 < screened[1] < 8 * (TRIES - 1)
    assert screened[1] % (TRIES - 1) == 0
    assert len(screened) <= 2 * len(decoded)
    for row in range(40):
        points = all_tries(plan, [row])[:, 0]
        np.testing.assert_array_equal(drawn.latents[row], points[points[:, 1] <= 0][0])


def test_points_still_in_doubt_are_looked_at(
    knowing: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the tries are spent the picture at the last point is drawn, and the classifier asked."""
    plan = Around(at(1.5), 1.0, seed=4)
    tries = all_tries(plan, range(40))
    in_doubt = (tries[:, :, 1] > 0).all(axis=0)
    looked_at = sizes_of_calls(knowing, "classify", monkeypatch)

    drawn = draw(knowing, plan, range(40))

    assert drawn.redrawn == in_doubt.sum() > 5
    assert looked_at[0] == in_doubt[:8].sum()  # together, and with nobody else
    first = (tries[:, :, 1] <= 0).argmax(axis=0)
    expected = tries[first, range(40)]
    np.testing.assert_array_equal(drawn.latents[~in_doubt], expected[~in_doubt])
    assert (drawn.latents[:, 1] <= 0).all()


def test_refused_pictures_are_drawn_anew(model: Model, looked_at: list[int]) -> None:
    """Each picture that is given out passes, and those that were refused alone were replaced."""
    plan = Prior(1.0, seed=1)
    first = last_points(plan, range(40))
    refused = first[:, 1] > 0

    drawn = draw(model, plan, range(40))

    assert drawn.redrawn == refused.sum()
    assert 10 < drawn.redrawn < 30
    assert np.array_equal(drawn.latents[~refused], first[~refused])
    assert (drawn.latents[:, 1] <= 0).all()
    assert looked_at[:2] == [8, refused[:8].sum()]  # together, and with nobody else
    assert (model.classify(drawn.images).probabilities.argmax(axis=1) != OTHER).all()


def test_the_first_attempt_that_passes_is_taken(model: Model) -> None:
    """What is drawn anew is what the plan has for the first later attempt that passes."""
    plan = Prior(1.0, seed=1)

    drawn = draw(model, plan, range(40))

    for row in range(40):
        tries = np.concatenate(
            [last_points(plan, [row], attempt) for attempt in range(ATTEMPTS + 1)]
        )
        passing = tries[tries[:, 1] <= 0]
        np.testing.assert_array_equal(drawn.latents[row], passing[0])


@pytest.mark.parametrize(
    "plan",
    [
        Prior(1.0, seed=3),
        Around(at(0.2), 1.0, seed=3),
        InStyle(at(0.2), 1.0, 0.7, seed=3),
        Along(Prior(1.0, seed=3), LEANING | {"rotation": Target(0, 90, True)}, 60),
    ],
    ids=lambda plan: plan.field,
)
@pytest.mark.parametrize("name", ["model", "knowing"])
def test_rows_do_not_depend_on_what_was_asked_for(
    request: pytest.FixtureRequest, name: str, plan: Plan
) -> None:
    """Any part of the rows is that part of all of them, to the bit, taken and drawn anew or not."""
    model: Model = request.getfixturevalue(name)
    whole = draw(model, plan, range(60))

    assert not np.array_equal(whole.latents, all_tries(plan, range(60))[0])
    assert whole.redrawn > 0 or name == "knowing"
    for rows in (range(1), range(59, 60), range(3, 21), range(16, 32), range(31, 60)):
        part = draw(model, plan, rows)
        for field in ("images", "latents", "attributes"):
            found, expected = getattr(part, field), getattr(whole, field)[rows.start : rows.stop]
            assert np.array_equal(found, expected), (rows, field)


def test_attributes_are_those_of_the_picture(model: Model) -> None:
    """Each row tells what its own picture measures, the redrawn ones too, and no rotation."""
    drawn = draw(model, Prior(1.0, seed=1), range(30))

    measured = bundles.measured_by_numpy(drawn.images / 255)
    np.testing.assert_allclose(drawn.attributes[:, [0, 1, 3, 4]], measured, atol=0.2)
    assert (drawn.attributes[:, 2] == 0).all()


def test_steered_pictures_are_all_looked_at(model: Model, looked_at: list[int]) -> None:
    """Nobody knows what steering did to them, so the classifier sees each, before it is turned."""
    plan = Along(Prior(1.0, seed=1), LEANING | {"rotation": Target(180, 180, False)}, 20)

    drawn = draw(model, plan, range(20))

    assert sum(looked_at) >= 20 + drawn.redrawn
    assert (drawn.attributes[:, 2] == 180).all()


def test_open_gate_lets_everything_through(hands: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a gate of 1 the classifier is not asked at all."""
    model = load_profile(next((hands / "tiny").glob("[0-9a-f]*"))).model
    monkeypatch.setattr(model, "classify", None)

    base = Prior(1.0, seed=1)

    assert draw(model, base, range(20)).redrawn == 0
    assert draw(model, Along(base, LEANING, 20), range(20)).redrawn == 0


@pytest.mark.parametrize(
    ("plan", "field", "failed"),
    [
        (Around(at(1.0), 0.0, seed=1), "around", 5),
        (InStyle(at(1.0), 1.0, 0.0, seed=1), "style", 5),
        (
            Between(np.concatenate([at(-1.2).mean, at(1).mean]), np.array([0.0, 1.0]), 5),
            "between",
            2,
        ),
        (Along(Around(at(1.0), 0.0, seed=1), LEANING, 5), "attributes", 5),
    ],
)
def test_without_chance_there_is_one_attempt(
    model: Model, looked_at: list[int], plan: Plan, field: str, failed: int
) -> None:
    """What would come out the same again is refused at once, with field, figures and advice."""
    with pytest.raises(CannotDraw) as refusal:
        draw(model, plan, range(5))

    assert refusal.value.field == field
    assert f"each of the 5 pictures 1 to 5, found {failed} that" in str(refusal.value)
    assert "nothing here is left to chance" in str(refusal.value)
    assert plan.remedy in str(refusal.value)
    assert len(looked_at) == 1


def test_attempts_have_an_end(model: Model, looked_at: list[int]) -> None:
    """Where the digit is nowhere near, a chunk's last attempt is the end of it all."""
    with pytest.raises(
        CannotDraw, match=rf"found 3 that .* and number 5 still after {ATTEMPTS} further attempts"
    ):
        draw(model, Around(at(50.0), 1.0, seed=1), range(4, 7))

    assert looked_at == [8] * (1 + ATTEMPTS)


def test_what_nobody_waits_for_is_not_drawn_anew(model: Model, looked_at: list[int]) -> None:
    """Refused pictures beside those that were asked for cost no further attempt."""
    plan = Prior(1.0, seed=1)
    passing = int(np.flatnonzero(last_points(plan, range(8))[:, 1] <= 0)[0])

    drawn = draw(model, plan, range(passing, passing + 1))

    assert drawn.redrawn == 0
    assert len(looked_at) == 1


def test_chunks_are_bounded(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are drawn, no more than a chunk is decoded at once."""
    sizes = sizes_of_calls(model, "decode", monkeypatch)

    draw(model, Prior(1.0, seed=1), range(10 * DECODE_ROWS))

    assert max(sizes) == DECODE_ROWS
    assert sizes[0] == 8


@pytest.mark.parametrize("stop", [1, 5, 64, 65, 200, 300])
def test_little_more_is_drawn_than_asked_for(
    model: Model, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """What is drawn beside what is asked for is bounded by that, or by the largest chunk."""
    first: list[range] = []
    plan = Prior(1.0, seed=1)
    decoded = sizes_of_calls(model, "decode", monkeypatch)
    monkeypatch.setattr(
        drawing, "passing", lambda _model, images, _doubt: np.ones(len(images), bool)
    )

    class Watched(Prior):  # a span's first tries are a range
        def latents(self, rows: Any, noise: NDArray[np.float32], /) -> NDArray[np.float32]:
            if isinstance(rows, range):
                first.append(rows)
            return plan.latents(rows, noise)

    draw(model, Watched(1.0, seed=1), range(stop))
    placed = [row for rows in first for row in rows]

    assert placed == list(range(len(placed)))
    assert stop <= len(placed) <= min(max(8, 2 * stop), stop + SPAN_ROWS)
    assert stop <= sum(decoded) <= min(max(8, 2 * stop), stop + DECODE_ROWS)


def test_pictures_do_not_depend_on_the_spans(knowing: Model) -> None:
    """Points are screened by the span, pictures drawn by the chunk, and asked for as one likes."""
    plan = Around(at(0.2), 1.0, seed=3)
    whole = draw(knowing, plan, range(600))

    for rows in (range(300), range(70, 130), range(255, 257), range(500, 600)):
        part = draw(knowing, plan, rows)
        for field in ("images", "latents", "attributes"):
            expected = getattr(whole, field)[rows.start : rows.stop]
            assert np.array_equal(getattr(part, field), expected)
