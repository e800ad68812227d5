"""What a cosine is worth among other hands: by hand, and where other hands lie."""

import numpy as np
import pytest
import torch

from training.base.crowd import crowding, gather, score
from training.data import Digits
from training.trials import WriterDigits


def test_by_hand() -> None:
    """Cosines 1 and 0 with two of the crowd are log(e^10 + 1) / 10; half of either comes off."""
    crowd = torch.eye(2, dtype=torch.float64)
    picture = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    hand = torch.tensor([0.6, 0.8], dtype=torch.float64)
    of_picture = np.log(np.exp(10) + 1) / 10
    of_hand = np.log(np.exp(6) + np.exp(8)) / 10

    assert crowding(picture, crowd).tolist() == pytest.approx([of_picture])
    assert crowding(hand, crowd).item() == pytest.approx(of_hand)
    expected = 0.6 - (of_picture + of_hand) / 2
    assert score(picture, hand, crowd, crowding(hand, crowd)).tolist() == pytest.approx([expected])


def test_a_picture_that_everybody_might_have_drawn_is_weak_evidence() -> None:
    """At equal cosines with the hand, the picture farther from the crowd scores higher."""
    hand, crowd = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([[0.0, 1.0, 0.0]])
    pictures = torch.tensor([[0.8, 0.6, 0.0], [0.8, -0.6, 0.0]])

    common, rare = score(pictures, hand, crowd, crowding(hand, crowd))

    assert rare > common


def test_places_are_found_and_each_writer_weighs_the_same() -> None:
    """Three writers on two sides: two places, whatever the pictures of each; other digits apart."""
    sides = {0: [1.0, 0.0], 1: [0.8, 0.6], 2: [-1.0, 0.0]}
    writers = np.repeat(np.array([0, 1, 2], np.int32), (9, 1, 5))
    embeddings = np.array([sides[int(writer)] for writer in writers])
    labels = np.full(len(writers), 4, np.uint8)
    labels[-1], embeddings[-1] = 5, [0.0, -1.0]
    data = WriterDigits(Digits(np.zeros((len(writers), 28, 28), np.uint8), labels), writers)

    found = gather(data, embeddings, 4, 2, np.random.default_rng(0))

    middle = np.array([1.8, 0.6]) / np.hypot(1.8, 0.6)
    np.testing.assert_allclose(found[np.argsort(found[:, 0])], [[-1, 0], middle], atol=1e-12)
