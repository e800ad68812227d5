"""Pictures that pass the gate: what a plan asks for, drawn, looked at, and drawn anew if need be.

Another point costs next to nothing, a picture much, a look at it by the classifier far more. So
points are sampled by rejection: those whose doubt is above the profile's gate are passed over,
before anything is drawn there. Where that does not help, because the tries are spent or nothing is
left to chance, the picture at such a point is shown to the classifier. If that is not sure enough
that it is the digit, it is drawn anew from other points, until it passes or the attempts are spent.

``draw`` is a pure function of model, plan and row numbers. Matrix kernels round differently for
different numbers of rows, so whatever is done is done to the same rows together, whatever part of
them was asked for. Points are sampled for a whole span of rows. Pictures are drawn by chunks of a
span, which is one unless they are changed afterwards, so that no step takes long: the first attempt
is made at a whole chunk, each later one at all rows of the chunk that were refused so far, and what
is in doubt in the end is looked at together. Where nothing is in doubt, so that nothing but the
decoder sees the rows, those behind the last that is wanted are left out by whole sixteens. The
first spans are small and the later ones large, so that few pictures come soon and many come fast.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import CannotDraw
from serving.model import OTHER, Model
from serving.noise import generator
from serving.plans import Plan
from serving.steering import NAMES, Changed

__all__ = [
    "ATTEMPTS", "CHANGED_ROWS", "SPAN_ROWS", "TRIES",
    "Drawn", "Points", "as_bytes", "draw", "is_sure", "otherness", "sample", "spans", "steps",
]  # fmt: skip

SPAN_ROWS = 256
"""The most rows whose points are sampled, and that are decoded, at once; a multiple begins a span.
"""

CHANGED_ROWS = 64
"""The same for pictures that are changed once they are drawn: all of them are looked at, which
takes ten times as long.
"""

_FIRST_SHARE = 8  # so many of the first piece make the largest
_ROTATION = NAMES.index("rotation")
_MEASURED = [column for column in range(len(NAMES)) if column != _ROTATION]

ATTEMPTS = 16
"""How often a picture is drawn anew before the request is refused."""

TRIES = 8
"""How often an attempt samples points for the rows that have none without doubt yet."""

# Rows are decoded alike to the bit by whole sixteens: onnxruntime's kernels work out that many
# numbers at a time at most, and only what is left over in another way, which rounds differently.
_ALIKE = 16

# One in so many more, and a few, are sampled than are missing: once is then nearly always enough.
_SPARE = 8
_SPARE_ROWS = 8


@dataclass(frozen=True)
class Drawn:
    """Pictures of a plan.

    Attributes:
        images: shape (n, 28, 28), white ink on black.
        latents: shape (n, z), the point from which each was drawn.
        attributes: shape (n, 5): thickness, slant, rotation, width and height, in pixels and
            degrees; of the picture before it was turned.
        redrawn: how many were drawn more than once.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    attributes: NDArray[np.float32]
    redrawn: int

    def parts(self, rows: int) -> "Iterator[Drawn]":
        """Yield them by so many; the first part stands for all that were drawn more than once."""
        for start in range(0, len(self.images), rows):
            part = slice(start, start + rows)
            yield Drawn(
                self.images[part],
                self.latents[part],
                self.attributes[part],
                0 if start else self.redrawn,
            )


class Points(NamedTuple):
    """Where pictures are drawn.

    Attributes:
        latents: shape (n, z).
        doubt: shape (n,), 0 to 1: how likely the classifier would hold what is drawn there for
            something else than the digit.
    """

    latents: NDArray[np.float32]
    doubt: NDArray[np.float32]

    def part(self, rows: slice) -> "Points":
        """Return those of these rows."""
        return Points(self.latents[rows], self.doubt[rows])


class _Sketch(NamedTuple):
    """An attempt at pictures: arrays as in ``Drawn``, and what came of it.

    Attributes:
        passes: shape (n,), whether each may be given out.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    attributes: NDArray[np.float32]
    passes: NDArray[np.bool_]

    def replace(self, places: NDArray[np.intp], other: "_Sketch") -> None:
        """Put the pictures of another sketch in these places."""
        self.images[places] = other.images
        self.latents[places] = other.latents
        self.attributes[places] = other.attributes
        self.passes[places] = other.passes


def draw(model: Model, plan: Plan, rows: range) -> Drawn:
    """Return these pictures of the plan.

    Args:
        model: that draws and looks at them.
        plan: where they lie.
        rows: their numbers, one after another; at least one.

    Raises:
        CannotDraw: not all of them could be had as pictures of the digit.
        ModelFault: a graph answered with something that its contract rules out.
    """
    parts = [
        part
        for span in spans(rows)
        for part in steps(model, plan, span, sample(model, plan, span))
        if part
    ]
    return parts[0] if len(parts) == 1 else _joined(parts)


def spans(rows: range) -> Iterator[range]:
    """Yield these rows by the span that they lie in: 32, 32, 64 and so on, up to ``SPAN_ROWS``."""
    for span in _cut(rows, SPAN_ROWS):
        yield _common(rows, span)


def sample(model: Model, plan: Plan, rows: range) -> Points:
    """Return the first points of the span that holds these rows."""
    [span] = _cut(rows, SPAN_ROWS)
    return _points(model, plan, span, 0)


def is_sure(model: Model, plan: Plan, points: Points) -> bool:
    """Say whether nothing that is drawn at these points can be refused."""
    return not plan.is_changed and bool((points.doubt <= model.gate.doubt).all())


def steps(model: Model, plan: Plan, rows: range, points: Points) -> Iterator[Drawn | None]:
    """Do as ``draw`` does for rows of one span, bit by bit.

    Yields each chunk's pictures, in order, and ``None`` where another attempt at one is due: rows
    that take many attempts need not hold a thread for all of them.

    Args:
        model: that draws and looks at them.
        plan: where they lie.
        rows: their numbers.
        points: what ``sample`` returned for them; used up.
    """
    [span] = _cut(rows, SPAN_ROWS)
    for chunk in _cut(rows, CHANGED_ROWS if plan.is_changed else SPAN_ROWS):
        wanted = _common(rows, chunk)
        first = points.part(slice(chunk.start - span.start, chunk.stop - span.start))
        if is_sure(model, plan, first):
            first = first.part(slice(_whole_sixteens(wanted.stop - chunk.start)))
        drawn = chunk[: len(first.doubt)]
        yield from _finish(model, plan, drawn, wanted, _sketch(model, plan, drawn, first))


def otherness(
    model: Model, images: NDArray[np.uint8], doubt: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return how likely each picture shows something else than the digit, shape (n,), 0 to 1.

    Those in doubt are looked at together; of the others it is 0.

    Args:
        model: whose gate and classifier decide.
        images: shape (n, 28, 28), n >= 1.
        doubt: shape (n,), 0 to 1.
    """
    other = np.zeros_like(doubt)
    doubted = np.flatnonzero(doubt > model.gate.doubt)
    if doubted.size:
        other[doubted] = model.classify(images[doubted]).probabilities[:, OTHER]
    return other


def as_bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return pixels as bytes; what was given is used up, for a copy takes longer than the rest."""
    np.clip(pixels, 0, 1, out=pixels)
    pixels *= 255
    return np.rint(pixels, out=pixels).astype(np.uint8)


def _finish(
    model: Model, plan: Plan, chunk: range, wanted: range, sketch: _Sketch
) -> Iterator[Drawn | None]:
    """Draw refused pictures of a chunk anew until what is wanted of it passes, and yield that.

    Args:
        model: that draws and looks at them.
        plan: where they lie.
        chunk: numbers of its rows, if nothing is in doubt at least those that are wanted.
        wanted: which of them were asked for.
        sketch: the first attempt at them; it is filled with what comes of the others.
    """
    part = slice(wanted.start - chunk.start, wanted.stop - chunk.start)
    missing = first_missing = np.flatnonzero(~sketch.passes[part])
    for attempt in range(1, ATTEMPTS + 1) if plan.has_chance else ():
        if not missing.size:
            break
        yield None
        # Those that are not wanted too: else what is would depend on what is not.
        refused = np.flatnonzero(~sketch.passes)
        again = [chunk[place] for place in refused]
        points = _points(model, plan, again, attempt)
        sketch.replace(refused, _sketch(model, plan, again, points))
        missing = np.flatnonzero(~sketch.passes[part])
    if missing.size:
        row = wanted[missing[0]]
        problem = _problem(plan, wanted, len(first_missing), row)
        raise CannotDraw(plan.field, problem, row)
    images, latents, attributes = sketch.images, sketch.latents, sketch.attributes
    yield Drawn(images[part], latents[part], attributes[part], len(first_missing))


def _whole_sixteens(rows: int) -> int:
    return -(-rows // _ALIKE) * _ALIKE


def _joined(parts: Sequence[Drawn]) -> Drawn:
    return Drawn(
        np.concatenate([part.images for part in parts]),
        np.concatenate([part.latents for part in parts]),
        np.concatenate([part.attributes for part in parts]),
        sum(part.redrawn for part in parts),
    )


def _cut(rows: range, most: int) -> Iterator[range]:
    """Yield the pieces of all rows that hold these: two small ones, then larger, up to ``most``."""
    at = rows.start - rows.start % most
    while at < rows.stop:
        stop = at + min(max(at, most // _FIRST_SHARE), most)
        if stop > rows.start:
            yield range(at, stop)
        at = stop


def _common(one: range, other: range) -> range:
    return range(max(one.start, other.start), min(one.stop, other.stop))


def _sketch(model: Model, plan: Plan, rows: Sequence[int], points: Points) -> _Sketch:
    """Draw at the points of these rows."""
    latents, doubt = points
    changed = plan.change(model, model.decode(latents), rows)
    if plan.is_changed:
        # The points' doubt is about other pictures, and nothing else tells it: all are doubted.
        doubt = np.ones_like(doubt)
    upright = as_bytes(changed.upright)
    images = upright if changed.pixels is changed.upright else as_bytes(changed.pixels)
    return _Sketch(images, latents, _attributes(changed), _passing(model, upright, doubt))


def _attributes(changed: Changed) -> NDArray[np.float32]:
    """Return all attributes (n, 5) in the order of the API."""
    attributes = np.empty((len(changed.attributes), len(NAMES)), np.float32)
    attributes[:, _MEASURED] = changed.attributes
    attributes[:, _ROTATION] = changed.rotation
    return attributes


def _passing(
    model: Model, images: NDArray[np.uint8], doubt: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Return which pictures may be given out, shape (n,); arguments as for ``otherness``."""
    return otherness(model, images, doubt) <= model.gate.other


def _points(model: Model, plan: Plan, rows: Sequence[int], attempt: int) -> Points:
    """Return the points of an attempt at these rows."""
    if plan.has_chance:
        return _sampled(model, plan, rows, attempt)
    latents = plan.latents(rows, np.zeros((len(rows), model.latent_size), np.float32))
    return Points(latents, model.doubt(latents))


def _sampled(model: Model, plan: Plan, rows: Sequence[int], attempt: int) -> Points:
    """Do so by rejection: points in doubt are passed over, until the tries are spent."""
    random = generator(plan.seed, rows[0], attempt)
    found: list[Points] = []
    missing = len(rows)
    for _ in range(TRIES):
        candidates = range(missing + missing // _SPARE + _SPARE_ROWS)
        noise = random.standard_normal((len(candidates), model.latent_size), np.float32)
        latents = plan.latents(candidates, noise)
        doubt = model.doubt(latents)
        sure = np.flatnonzero(doubt <= model.gate.doubt)[:missing]
        found.append(Points(latents[sure], doubt[sure]))
        missing -= len(sure)
        if not missing:
            break
    else:
        doubted = np.flatnonzero(doubt > model.gate.doubt)[:missing]
        found.append(Points(latents[doubted], doubt[doubted]))
    if len(found) == 1:
        return found[0]
    return Points(*map(np.concatenate, zip(*found, strict=True)))


def _problem(plan: Plan, rows: range, refused: int, row: int) -> str:
    tried = (
        f"and number {row + 1} still after {ATTEMPTS} further attempts"
        if plan.has_chance
        else "and nothing here is left to chance, so no attempt would differ"
    )
    return (
        f"expected the profile's digit on each of the {len(rows)} pictures {rows.start + 1} to "
        f"{rows.stop}, found {refused} that its classifier doubts, {tried}; {plan.remedy}"
    )
