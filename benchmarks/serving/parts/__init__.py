"""What is compared: each module builds the groups of one part from what the stage offers."""

from collections.abc import Callable, Mapping

from benchmarks.serving.parts import batch, cold_start, generate, open_loop, peers, unary
from benchmarks.serving.rounds import Group
from benchmarks.serving.stage import Stage

__all__ = ["PARTS"]

PARTS: Mapping[str, Callable[[Stage], list[Group]]] = {
    "unary": unary.groups,
    "batch": batch.groups,
    "generate": generate.groups,
    "open-loop": open_loop.groups,
    "cold-start": cold_start.groups,
    "peers": peers.groups,
}
