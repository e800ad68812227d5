"""Whose pictures the benchmark is about, and what an enrolment may learn from."""

from functools import cache
from pathlib import Path

from training import data
from training.trials import WriterDigits, without_validation


@cache
def load_corpus(mnist: Path, qmnist: Path) -> WriterDigits:
    """Return MNIST's training set with its writers, read once for each process."""
    digits = data.load_mnist(mnist)
    return WriterDigits(digits, data.load_writers(qmnist, digits))


@cache
def load_background(mnist: Path, qmnist: Path, kind: str) -> data.Digits:
    """Return other people's digits, ``bundled`` or ``mnist``, without validation writers'."""
    background = data.load_bundled() if kind == "bundled" else data.load_mnist(mnist)
    return without_validation(background, load_corpus(mnist, qmnist))
