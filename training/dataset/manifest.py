"""What a set says of itself: what is in it, whose hand drew it, how to make it again.

No time, no machine, no path: equal orders give equal manifests.
"""

import shlex
from importlib.metadata import version
from typing import Any

from serving.steering import NAMES
from training.dataset import split
from training.dataset.formats import FORMATS
from training.dataset.order import Order, Span
from training.dataset.units import UNITS

FORMAT = 1
_PACKAGES = ("onehand", "numpy", "onnxruntime", "pillow")


def describe(order: Order) -> dict[str, Any]:
    """Return what decides the bytes of a set, as JSON values."""
    hand = order.hand
    return {
        "profile": hand.profile,
        "version": hand.version,
        "digest": hand.digest,
        "count": order.count,
        "format": order.format,
        "gzip": order.gzip,
        "seed": order.seed,
        "temperature": order.temperature,
        "validation": str(order.validation),
        "asked": {span.name: [span.least, span.most] for span in order.spans},
        "producer": {name: version(name) for name in _PACKAGES},
    }


def compose(order: Order, redrawn: int) -> dict[str, Any]:
    """Return the manifest of a finished set, as JSON values, but for its checksums."""
    digit = order.hand.digit
    return {
        "schema": FORMAT,
        "synthetic": "Every picture was drawn by a model of one enrolled hand; none was scanned.",
        **describe(order),
        "command": command(order),
        "classes": {str(digit): f"the digit {digit}, as the enrolled hand may write it"},
        "splits": split.sizes(order.count, order.validation),
        "redrawn": redrawn,
        "files": FORMATS[order.format].files(order),
        "attributes": {name: UNITS[name].measured for name in NAMES},
    }


def command(order: Order) -> str:
    """Return the command that makes the set again, given the bundle.

    Two folders are the reader's: ``MODELS``, where the profiles are, and ``DIR``. The bundle is
    named by its folder, so that the command is the same wherever it was, and a newer version of
    the profile in force changes nothing.
    """
    hand = order.hand
    words = [
        *("python", "-m", "training", "dataset", f"MODELS/{hand.profile}/{hand.version}"),
        *("--count", str(order.count), "--format", order.format),
        *(["--gzip"] if order.gzip else []),
        *("--seed", str(order.seed), "--temperature", repr(order.temperature)),
        *("--validation", str(order.validation)),
        *(word for span in order.spans for word in _words(span)),
        *("--out", "DIR"),
    ]
    return shlex.join(words)


def _words(span: Span) -> tuple[str, str, str]:
    return f"--{span.name}", repr(span.least), repr(span.most)
