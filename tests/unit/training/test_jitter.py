"""Changes for a whole batch at once."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.enrolments import background
from training.base import jitter
from training.base.jitter import Ranges, redraw

NOTHING = Ranges(0, 0, 0, 0, 0, 0, 0)


def images() -> Tensor:
    """Return digits (n, 28, 28) in [0, 1]."""
    return torch.from_numpy(background().images[::4]).float() / 255


def test_a_little_of_everything() -> None:
    """Pictures move, but stay nearly what they were; equal generators give equal pictures."""
    first, again = (jitter.jitter(images(), torch.Generator().manual_seed(1)) for _ in range(2))

    assert torch.equal(first, again)
    assert first.shape == images().shape
    assert first.min() >= 0
    assert first.max() <= 1
    each = torch.nn.functional.cosine_similarity(first.flatten(1), images().flatten(1))
    assert 0.75 < each.mean() < 0.97
    assert each.min() > 0.3


@pytest.mark.parametrize("level", ["SCRIPT", "HAND", "PICTURE"])
def test_each_level_is_shared(monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    """Sixteen copies, four a hand and two hands a script, become 2, 4 or 16 pictures."""
    for name in ("SCRIPT", "HAND", "PICTURE"):
        drawn = replace(getattr(jitter, name), pen=0) if name == level else NOTHING
        monkeypatch.setattr(jitter, name, drawn)
    monkeypatch.setattr(jitter, "_BLURRED", 0)
    copies = images()[:1].repeat(16, 1, 1)

    changed = jitter.jitter(copies, torch.Generator().manual_seed(1), script=8, hand=4)

    different = len(torch.unique(changed.flatten(1), dim=0))
    assert different == {"SCRIPT": 2, "HAND": 4, "PICTURE": 16}[level]


def test_whole_scripts_are_turned() -> None:
    """Of three scripts of two pictures some are turned or mirrored, both pictures alike."""
    pictures, symmetries = images()[:6], set()
    for seed in range(60):
        turned, upright = jitter.turn(pictures, torch.Generator().manual_seed(seed), 2, 0.5)
        for start in (0, 2, 4):
            before, after = pictures[start : start + 2], turned[start : start + 2]
            found = [name for name, alike in symmetric(before) if torch.equal(alike, after)]
            assert upright[start : start + 2].tolist() == [found == ["as it is"]] * 2
            symmetries.update(found)

    assert symmetries == {name for name, _ in symmetric(pictures)}


def symmetric(pictures: Tensor) -> list[tuple[str, Tensor]]:
    """Return pictures (n, 28, 28) in all eight positions of a square, by name."""
    return [
        (f"{'mirrored, ' * mirrored}{90 * k} degrees" if k or mirrored else "as it is", turned)
        for mirrored in (False, True)
        for k in range(4)
        for turned in [torch.rot90(pictures.flip(2) if mirrored else pictures, k, dims=(1, 2))]
    ]


@pytest.mark.parametrize("pen", [-0.3, -0.15, 0.15, 0.3])
@pytest.mark.parametrize("width", [3, 4])
def test_a_pen_changes_by_its_own_width(pen: float, width: int) -> None:
    """A bar's ink grows or shrinks by the share that was asked for."""
    bar = torch.zeros(1, 1, 28, 28)
    bar[:, :, 4:24, 12 : 12 + width] = 1

    redrawn = redraw(bar, torch.tensor([pen]))[:, :, 8:20]

    assert redrawn.sum() / bar[:, :, 8:20].sum() == pytest.approx(1 + pen, abs=0.07)
