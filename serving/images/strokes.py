"""Which marks on the page belong to the character.

Marks closer together than about a pen's width are one group: a stroke that the pen broke is
still one stroke. A second group at least half as large as the first is a second character, and
smaller ones near the first belong to it, the rest is dirt. numpy only, so connected
components are found here: runs of ink, row by row, joined where they touch.
"""

import numpy as np
from numpy.typing import NDArray

from serving.errors import BadImage
from serving.images.morphology import dilate

Mask = NDArray[np.bool_]

CROP = (
    "expected one character on paper, found that more than the paper is to be seen; crop the "
    "picture to the paper"
)
"""What is said of a picture that shows its surroundings."""

# Gap, in pen widths, across which two marks still count as one broken stroke.
_BRIDGED_PEN_WIDTHS = 1.5
# A group whose longer side is this share of the largest group's is a character of its own.
_SECOND_CHARACTER = 0.5
# A mark that fills so much of its box, which is no narrower than this, is a sheet of paper.
_SHEET_FILLED, _SHEET_NARROWEST = 0.8, 0.5
# What runs along a whole side of the picture is its surroundings, if anything else is as large as
# this share of them.
_BESIDE_SURROUNDINGS = 0.05
# A smaller group further away than this share of the largest group's side is dirt.
_NEAR = 0.25


def select_character(ink: Mask) -> Mask:
    """Return the part of ``ink`` that forms the one character on the page.

    Args:
        ink: shape (h, w), True where there is ink; some is True.

    Raises:
        BadImage: there are two characters, or more is to be seen than a page.
    """
    labels = label_components(_bridge_gaps(ink))
    labels = np.where(ink, labels, 0)
    groups = _bounding_boxes(labels)
    areas, sides = np.bincount(labels.ravel())[1:], _longer_sides(groups)
    first = int(np.argmax(areas * sides))
    side = sides[first]
    _check_edges(labels == first + 1, np.delete(sides, first) / side)
    keep = np.zeros(len(areas) + 1, dtype=np.bool_)
    for group, box in enumerate(groups):
        if group != first and sides[group] >= _SECOND_CHARACTER * side:
            raise BadImage(
                "expected one character, found two: the second is at least half as large as the "
                "first; crop the picture to one of them"
            )
        keep[group + 1] = _gap(box, groups[first]) <= _NEAR * side
    return keep[labels]


def _check_edges(mark: Mask, others: NDArray[np.float64]) -> None:
    """Refuse a mark that runs along a whole side of the picture and has something beside it.

    Args:
        mark: the largest group, on the page.
        others: longer sides of all other groups, as shares of the mark's.
    """
    edges = (mark[0], mark[-1], mark[:, 0], mark[:, -1])
    if (others >= _BESIDE_SURROUNDINGS).any() and any(edge.all() for edge in edges):
        raise BadImage(CROP)


def bounding_box(mark: Mask) -> tuple[slice, slice]:
    """Return the rows and columns that hold a mark, shape (h, w), of which some is True."""
    rows, columns = (np.flatnonzero(mark.any(axis=axis)) for axis in (1, 0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def longer_side(box: tuple[slice, slice]) -> int:
    """Return the longer of a box's height and width."""
    return max(int(span.stop - span.start) for span in box)


def is_sheet(mark: Mask) -> bool:
    """Say whether a mark, shape (h, w), is no stroke but a sheet that lies straight.

    Of the 60,000 digits of MNIST's training set one is that broad.
    """
    box = mark[bounding_box(mark)]
    is_wide = min(box.shape) >= _SHEET_NARROWEST * max(box.shape)
    return is_wide and int(np.count_nonzero(box)) >= _SHEET_FILLED * box.size


def pen_width(ink: Mask) -> float:
    """Return the mean width of the strokes in pixels: twice the area over the outline's length."""
    area = np.count_nonzero(ink)
    padded = np.pad(ink, 1)
    outline = np.count_nonzero(padded[1:] != padded[:-1]) + np.count_nonzero(
        padded[:, 1:] != padded[:, :-1]
    )
    # The outline of pixels is 4 / pi times as long as that of the smooth shape, averaged over
    # directions.
    return float(2 * area / max(outline * np.pi / 4, 1))


def label_components(ink: Mask) -> NDArray[np.int64]:
    """Return labels 1..k of the 8-connected components, 0 for paper; shape as ``ink``.

    Runs of ink in neighbouring rows that touch get the smaller of their two labels until nothing
    changes; every round halves the chains of labels, so there are few rounds.
    """
    padded = np.pad(ink, ((0, 0), (1, 1))).astype(np.int8)
    rows, starts = np.nonzero(np.diff(padded, axis=1) == 1)
    ends = np.nonzero(np.diff(padded, axis=1) == -1)[1]
    upper, lower = _touching_runs(rows, starts, ends)
    label = np.arange(len(rows))
    while True:
        smaller = np.minimum(label[upper], label[lower])
        joined = label.copy()
        np.minimum.at(joined, label[upper], smaller)
        np.minimum.at(joined, label[lower], smaller)
        joined = joined[joined[label]]
        if np.array_equal(joined, label):
            break
        label = joined
    labels = np.zeros(ink.shape, dtype=np.int64)
    labels[ink] = np.repeat(np.unique(label, return_inverse=True)[1] + 1, ends - starts)
    return labels


def _touching_runs(
    rows: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the index pairs of runs in neighbouring rows that touch, corners included."""
    stride = int(ends.max(initial=0)) + 2
    # Runs are sorted by row and column, so those of the next row that touch run i are contiguous.
    first = np.searchsorted(rows * stride + ends, (rows + 1) * stride + starts, side="left")
    last = np.searchsorted(rows * stride + starts, (rows + 1) * stride + ends, side="right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(rows)), counts)
    offsets = np.arange(len(upper)) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, np.repeat(first, counts) + offsets


def _bridge_gaps(ink: Mask) -> Mask:
    radius = max(1, round(_BRIDGED_PEN_WIDTHS / 2 * pen_width(ink)))
    return dilate(ink, radius)


def _bounding_boxes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (top, left, bottom, right) of each label from 1 up, ends exclusive; shape (k, 4)."""
    count = int(labels.max())
    rows, columns = np.nonzero(labels)
    group = labels[rows, columns] - 1
    boxes = np.empty((count, 4), dtype=np.int64)
    for position, values, extreme in (
        (0, rows, np.minimum),
        (1, columns, np.minimum),
        (2, rows + 1, np.maximum),
        (3, columns + 1, np.maximum),
    ):
        boxes[:, position] = max(labels.shape) if extreme is np.minimum else 0
        extreme.at(boxes[:, position], group, values)
    return boxes


def _longer_sides(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    sides: NDArray[np.int64] = np.max(boxes[:, 2:] - boxes[:, :2], axis=1)
    return sides


def _gap(box: NDArray[np.int64], other: NDArray[np.int64]) -> int:
    """Return the larger of the horizontal and vertical gaps between two boxes, 0 if none."""
    return int(max(*(other[:2] - box[2:]), *(box[:2] - other[2:]), 0))
