"""Changes for a whole batch at once."""

import torch

from tests.enrolments import background
from training.jitter import jitter


def test_a_little_of_everything() -> None:
    """Pictures move, but stay nearly what they were; equal generators give equal pictures."""
    images = torch.from_numpy(background().images[::4]).float() / 255

    first, again = (jitter(images, torch.Generator().manual_seed(1)) for _ in range(2))

    assert torch.equal(first, again)
    assert first.shape == images.shape
    assert first.min() >= 0
    assert first.max() <= 1
    each = torch.nn.functional.cosine_similarity(first.flatten(1), images.flatten(1))
    assert 0.85 < each.mean() < 0.99
    assert each.min() > 0.6
