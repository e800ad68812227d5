"""Pictures that pass the gate: what a plan asks for, drawn, looked at, and drawn anew if need be.

A picture whose doubt is above the profile's gate is shown to the classifier. If that does not
call it the digit, it is drawn anew from other noise, until it passes or the attempts are spent.

``draw`` is a pure function of model, plan and row numbers. Matrix kernels round differently for
different numbers of rows, so the first attempt at a row is always made in the same chunk of the
same rows, whatever part of it was asked for; a row is looked at, and drawn anew, alone. The first
chunks are small and the later ones large, so that few pictures come soon and many come fast.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from serving.errors import CannotDraw
from serving.generate import Along, Plan
from serving.model import OTHER, Model
from serving.steering import NAMES, goals, steer

__all__ = ["ATTEMPTS", "DECODE_ROWS", "Drawn", "draw", "steps"]

DECODE_ROWS = 64
"""The most rows that are decoded at once; each multiple of it begins a chunk."""

_FIRST_ROWS = 8  # of the first chunk
_ROTATION = NAMES.index("rotation")
_MEASURED = [column for column in range(len(NAMES)) if column != _ROTATION]

ATTEMPTS = 16
"""How often a picture is drawn anew before the request is refused."""


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


class _Sketch(NamedTuple):
    """Pictures that nobody has looked at: arrays as in ``Drawn``, and what the gate needs.

    Attributes:
        upright: shape (n, 28, 28), the pictures before they were turned.
        doubt: shape (n,), 0 to 1.
    """

    images: NDArray[np.uint8]
    latents: NDArray[np.float32]
    attributes: NDArray[np.float32]
    upright: NDArray[np.uint8]
    doubt: NDArray[np.float32]

    def replace(self, place: int, other: "_Sketch") -> None:
        """Put the only picture of another sketch in this place."""
        self.images[place] = other.images[0]
        self.latents[place] = other.latents[0]
        self.attributes[place] = other.attributes[0]


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
    return next(filter(None, steps(model, plan, rows)))


def steps(model: Model, plan: Plan, rows: range) -> Iterator[Drawn | None]:
    """Do as ``draw`` does, bit by bit: yield ``None`` while there is more to do, then the pictures.

    The first attempt at all rows is one step, each later attempt at a row another: rows that take
    many attempts need not hold a thread for all of them.
    """
    drawn = _first(model, plan, rows)
    refused = [place for place in range(len(rows)) if not _passes(model, drawn, place)]
    for place in refused:
        for attempt in range(1, ATTEMPTS + 1) if plan.has_chance else ():
            yield None
            another = _sketch(model, plan, rows[place : place + 1], attempt)
            if _passes(model, another, 0):
                drawn.replace(place, another)
                break
        else:  # enough to know; to try the others would only take long
            raise CannotDraw(plan.field, _problem(plan, rows, refused, place))
    yield Drawn(drawn.images, drawn.latents, drawn.attributes, len(refused))


def _first(model: Model, plan: Plan, rows: range) -> _Sketch:
    """Return the first attempt at these rows, from whole chunks."""
    sketches = []
    for chunk in _chunks(rows):
        wanted = slice(max(rows.start - chunk.start, 0), rows.stop - chunk.start)
        whole: tuple[Any, ...] = _sketch(model, plan, chunk, 0)
        sketches.append(_Sketch(*(part[wanted] for part in whole)))
    if len(sketches) == 1:
        return sketches[0]
    return _Sketch(*(np.concatenate(parts) for parts in zip(*sketches, strict=True)))


def _chunks(rows: range) -> Iterator[range]:
    """Yield the chunks that hold these rows: of 8, 8, 16 and so on, up to ``DECODE_ROWS``."""
    at = rows.start - rows.start % DECODE_ROWS
    while at < rows.stop:
        stop = at + min(max(at, _FIRST_ROWS), DECODE_ROWS)
        if stop > rows.start:
            yield range(at, stop)
        at = stop


def _passes(model: Model, sketch: _Sketch, place: int) -> bool:
    if sketch.doubt[place] <= model.gate:
        return True
    verdict = model.classify(sketch.upright[place : place + 1])
    return int(verdict.probabilities[0].argmax()) != OTHER


def _sketch(model: Model, plan: Plan, rows: range, attempt: int) -> _Sketch:
    latents = plan.latents(rows, attempt)
    pixels, measured, doubt = model.decode(latents)
    attributes = np.zeros((len(rows), len(NAMES)), np.float32)
    attributes[:, _MEASURED] = measured
    if not isinstance(plan, Along):
        images = _turn_grey(pixels)
        return _Sketch(images, latents, attributes, images, doubt)
    wanted = goals(plan.targets, plan.shares(rows), measured)
    result = steer(model, pixels, measured, wanted)
    attributes[:, _MEASURED] = result.attributes
    attributes[:, _ROTATION] = wanted.rotation
    upright = _turn_grey(result.upright)
    images = upright if result.pixels is result.upright else _turn_grey(result.pixels)
    # The decoder's doubt is about another picture, and nothing else tells it: they are all doubted.
    return _Sketch(images, latents, attributes, upright, np.ones_like(doubt))


def _turn_grey(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return pixels as bytes; what was given is used up, for a copy takes longer than the rest."""
    np.clip(pixels, 0, 1, out=pixels)
    pixels *= 255
    return np.rint(pixels, out=pixels).astype(np.uint8)


def _problem(plan: Plan, rows: range, refused: Sequence[int], place: int) -> str:
    tried = (
        f"and number {rows[place] + 1} still after {ATTEMPTS} further attempts"
        if plan.has_chance
        else "and nothing here is left to chance, so no attempt would differ"
    )
    return (
        f"expected the profile's digit on each of the {len(rows)} pictures {rows.start + 1} to "
        f"{rows.stop}, found {len(refused)} that its classifier takes for something else, {tried}; "
        f"{plan.remedy}"
    )
