"""The gate: what is looked at, what is drawn anew, and when that is given up."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from serving import drawing
from serving.bundle import Gate
from serving.drawing import (
    ATTEMPTS,
    CHANGED_ROWS,
    SPAN_ROWS,
    TRIES,
    Points,
    draw,
    is_sure,
    spans,
)
from serving.errors import CannotDraw
from serving.model import OTHER, Model, Posterior
from serving.noise import generator
from serving.plans import Along, Around, Between, InStyle, Plan, Prior
from serving.profiles import load_profile
from serving.steering import Target
from tests import bundles

SIZE = bundles.LATENT_SIZE
FIRST = SPAN_ROWS // 8
LEANING = {"slant": Target(5, 15, is_change=True)}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model that draws no digit where the second latent value is positive, and doubts it all."""
    return load_profile(bundles.build(tmp_path_factory.mktemp("gated"), gated=True)).model


@pytest.fixture(scope="module")
def knowing(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The same, but only where it draws no digit it is in doubt."""
    root = tmp_path_factory.mktemp("knowing")
    return load_profile(bundles.build(root, gated=True, gate=Gate(0.5, bundles.EVEN))).model


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


def passes(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say where both models draw the digit."""
    return points[:, 1] <= 0


def nowhere(points: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say where the first model is not in doubt."""
    return np.zeros(len(points), bool)


def everything(
    _model: Model, images: NDArray[np.uint8], _doubt: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Let all pictures through, in the place of ``passing``."""
    return np.ones(len(images), bool)


def sampled(
    plan: Plan,
    rows: Sequence[int],
    attempt: int = 0,
    sure: Callable[[NDArray[np.float32]], NDArray[np.bool_]] = passes,
) -> NDArray[np.float32]:
    """Return the points of an attempt: those that are sure, or else of the last that were tried."""
    random = generator(plan.seed, rows[0], attempt)
    points = np.empty((0, SIZE), np.float32)
    for _ in range(TRIES):
        missing = len(rows) - len(points)
        noise = random.standard_normal((missing + missing // 8 + 8, SIZE), np.float32)
        candidates = plan.latents(rows, noise)
        points = np.concatenate([points, candidates[sure(candidates)][:missing]])
        if len(points) == len(rows):
            return points
    doubted = candidates[~sure(candidates)]
    return np.concatenate([points, doubted[: len(rows) - len(points)]])


def by_span(stop: int, points: Callable[[range], NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the points of all rows before ``stop``, which ends a span."""
    return np.concatenate([points(span) for span in spans(range(stop))])


def at(second: float) -> Posterior:
    """Return a posterior around a point with this second value."""
    mean = np.array([[0.3, second, -0.2, 0.1]], np.float32)
    return Posterior(mean, np.ones((1, SIZE), np.float32), mean)


def ends(first: float, last: float) -> Posterior:
    """Return posteriors around two points with these second values."""
    means = np.concatenate([at(first).mean, at(last).mean])
    return Posterior(means, np.ones_like(means), means)


def test_points_in_doubt_are_passed_over(knowing: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows have the first points that are not in doubt; nothing else is drawn, none looked at."""
    plan = Around(at(-0.5), 1.0, seed=2)
    decoded = sizes_of_calls(knowing, "decode", monkeypatch)
    screened = sizes_of_calls(knowing, "doubt", monkeypatch)
    monkeypatch.setattr(knowing, "classify", None)

    drawn = draw(knowing, plan, range(40))

    expected = by_span(64, lambda span: sampled(plan, span))[:40]
    np.testing.assert_array_equal(drawn.latents, expected)
    assert drawn.redrawn == 0
    assert decoded == [FIRST, 16]
    assert screened[0] == FIRST + FIRST // 8 + 8  # some to spare, so that once is mostly enough
    assert len(decoded) < len(screened) <= 2 * len(decoded)


def test_points_still_in_doubt_are_looked_at(
    knowing: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the tries are spent pictures are drawn at points in doubt, and the classifier asked."""
    plan = Around(at(2.0), 1.0, seed=4)
    first = by_span(64, lambda span: sampled(plan, span))
    in_doubt = ~passes(first)
    looked_at = sizes_of_calls(knowing, "classify", monkeypatch)

    drawn = draw(knowing, plan, range(64))

    assert drawn.redrawn == in_doubt.sum() > 5
    assert looked_at[0] == in_doubt[:FIRST].sum()  # together, and with nobody else
    np.testing.assert_array_equal(drawn.latents[~in_doubt], first[~in_doubt])
    assert (~in_doubt).sum() > 5
    assert passes(drawn.latents).all()


def test_refused_pictures_are_drawn_anew(model: Model, looked_at: list[int]) -> None:
    """Each picture that is given out passes, and those that were refused alone were replaced."""
    plan = Prior(1.0, seed=1)
    first = by_span(64, lambda span: sampled(plan, span, sure=nowhere))
    refused = ~passes(first)

    drawn = draw(model, plan, range(64))

    assert drawn.redrawn == refused.sum()
    assert 20 < drawn.redrawn < 44
    assert np.array_equal(drawn.latents[~refused], first[~refused])
    assert passes(drawn.latents).all()
    assert looked_at[:2] == [FIRST, refused[:FIRST].sum()]  # together, and with nobody else
    assert (model.classify(drawn.images).probabilities.argmax(axis=1) != OTHER).all()


def test_the_first_attempt_that_passes_is_taken(model: Model) -> None:
    """What is drawn anew is what the plan has for the first later attempt that passes."""
    plan = Prior(1.0, seed=1)

    def taken(span: range) -> NDArray[np.float32]:
        points = sampled(plan, span, sure=nowhere)
        for attempt in range(1, ATTEMPTS + 1):
            refused = np.flatnonzero(~passes(points))
            if refused.size:
                again = [span[place] for place in refused]
                points[refused] = sampled(plan, again, attempt, nowhere)
        return points

    drawn = draw(model, plan, range(64))

    np.testing.assert_array_equal(drawn.latents, by_span(64, taken))


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

    once = by_span(64, lambda span: sampled(plan, span, sure=lambda points: ~nowhere(points)))
    assert not np.array_equal(whole.latents, once[:60])
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


def test_frames_are_all_looked_at(knowing: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is added to a frame is not of its point, so the screen cannot tell for it."""
    looked_at = sizes_of_calls(knowing, "classify", monkeypatch)
    way = Between.straight(ends(-1, -2), 20)

    draw(knowing, way, range(20))

    points = way.latents(range(20), np.zeros((20, SIZE), np.float32))
    assert (knowing.doubt(points) < knowing.gate.doubt).all()
    assert sum(looked_at) >= 20


def test_attributes_of_a_frame_are_those_of_the_whole(model: Model) -> None:
    """What is added to what is drawn makes the stroke as thick as it looks."""
    undrawn = np.zeros((2, 28, 28), np.float32)
    undrawn[:, 12:17, 8:20] = 0.5
    way = replace(Between.straight(ends(-1, -2), 3), undrawn=undrawn)

    drawn = draw(model, way, range(3))

    measured = bundles.measured_by_numpy(drawn.images / 255)
    np.testing.assert_allclose(drawn.attributes[:, [0, 1, 3, 4]], measured, atol=0.2)
    plain = draw(model, Between.straight(ends(-1, -2), 3), range(3))
    assert (np.abs(plain.attributes - drawn.attributes)[0] > 0.3).any()


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
            Between.straight(ends(-1.2, 1), 5),
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
    ) as refusal:
        draw(model, Around(at(50.0), 1.0, seed=1), range(4, 7))

    assert refusal.value.row == 4
    assert looked_at == [FIRST] * (1 + ATTEMPTS)


def test_the_gate_is_stricter_than_the_decision(tmp_path: Path) -> None:
    """A picture that the classifier calls the digit, but not surely enough, is drawn anew too."""
    gate = Gate(doubt=0.0, other=0.01)
    strict = load_profile(bundles.build(tmp_path, gated=True, gate=gate)).model
    plan = Prior(1.0, seed=1)
    no_digit = ~passes(by_span(64, lambda span: sampled(plan, span, sure=nowhere)))

    drawn = draw(strict, plan, range(64))

    assert drawn.redrawn > no_digit.sum()
    assert (strict.classify(drawn.images).probabilities[:, OTHER] <= gate.other).all()


def test_what_nobody_waits_for_is_not_drawn_anew(model: Model, looked_at: list[int]) -> None:
    """Refused pictures beside those that were asked for cost no further attempt."""
    plan = Prior(1.0, seed=1)
    passing = int(np.flatnonzero(passes(sampled(plan, range(FIRST), sure=nowhere)))[0])

    drawn = draw(model, plan, range(passing, passing + 1))

    assert drawn.redrawn == 0
    assert len(looked_at) == 1


@pytest.mark.parametrize(
    ("plan", "most"),
    [
        (Prior(1.0, seed=1), SPAN_ROWS),
        (Along(Prior(1.0, seed=1), LEANING, 3 * SPAN_ROWS), CHANGED_ROWS),
        (Between.straight(ends(-1, -2), 3 * SPAN_ROWS), CHANGED_ROWS),
    ],
    ids=lambda value: getattr(value, "field", value),
)
def test_steps_are_bounded(
    model: Model, monkeypatch: pytest.MonkeyPatch, plan: Plan, most: int
) -> None:
    """However many rows are drawn, no more than so many are decoded at once."""
    sizes = sizes_of_calls(model, "decode", monkeypatch)
    monkeypatch.setattr(drawing, "_passing", everything)

    draw(model, plan, range(3 * SPAN_ROWS))

    assert max(sizes) == most
    assert sizes[0] == most // 8


@pytest.mark.parametrize("stop", [1, 5, 64, 65, 200, 300])
def test_little_more_is_drawn_than_asked_for(
    model: Model, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """What is drawn beside what is asked for is bounded by that, or by the largest span."""
    decoded = sizes_of_calls(model, "decode", monkeypatch)
    monkeypatch.setattr(drawing, "_passing", everything)

    draw(model, Prior(1.0, seed=1), range(stop))

    assert stop <= sum(decoded) <= min(max(FIRST, 2 * stop), stop + SPAN_ROWS)


@pytest.mark.parametrize("stop", [1, 16, 17, 200, 300, 1000])
def test_pictures_not_in_doubt_are_drawn_by_sixteens(
    knowing: Model, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    """Where the classifier is not asked at most fifteen rows are drawn that nobody asked for."""
    decoded = sizes_of_calls(knowing, "decode", monkeypatch)

    draw(knowing, Prior(1.0, seed=1), range(stop))

    assert sum(decoded) == -(-stop // 16) * 16


def test_points_are_sure_where_none_is_in_doubt(knowing: Model) -> None:
    """Of pictures that are changed afterwards, points say nothing."""
    points = Points(np.zeros((3, SIZE), np.float32), np.full(3, knowing.gate.doubt, np.float32))
    doubt = points.doubt.copy()
    doubt[1] += 0.1

    assert is_sure(knowing, Prior(1, 1), points)
    assert not is_sure(knowing, Prior(1, 1), points._replace(doubt=doubt))
    assert not is_sure(knowing, Along(Prior(1, 1), LEANING, 3), points)


def test_parts_are_the_whole(model: Model) -> None:
    """Pictures by so many are the same pictures, and those drawn anew are counted once."""
    drawn = draw(model, Prior(1.0, seed=1), range(20))

    parts = list(drawn.parts(8))

    assert [len(part.images) for part in parts] == [8, 8, 4]
    assert sum(part.redrawn for part in parts) == drawn.redrawn > 0
    for field in ("images", "latents", "attributes"):
        together = np.concatenate([getattr(part, field) for part in parts])
        assert np.array_equal(together, getattr(drawn, field))


def test_pictures_do_not_depend_on_the_spans(knowing: Model) -> None:
    """Points are taken and pictures drawn by the span, and asked for as one likes."""
    plan = Around(at(0.2), 1.0, seed=3)
    whole = draw(knowing, plan, range(600))

    for rows in (range(300), range(70, 130), range(255, 257), range(500, 600)):
        part = draw(knowing, plan, rows)
        for field in ("images", "latents", "attributes"):
            expected = getattr(whole, field)[rows.start : rows.stop]
            assert np.array_equal(getattr(part, field), expected)
