"""GenerateVariants: against the decoder alone with the same number of threads.

For raw pictures that is ``session.run`` of the decoder, for PNG it and the encoding.
"""

from benchmarks.serving.h2load import Load
from benchmarks.serving.rounds import Contender, Group
from benchmarks.serving.stage import Stage

__all__ = ["groups"]

_THREADS = (1, 2)
_LOADS = (Load(1, 1), Load(1, 8))
_QUICK_ROWS = 64  # of the runs in which a decoder is about as quick as it can be


def groups(stage: Stage) -> list[Group]:
    """Return a group for each count, form and profile."""
    return [
        _group(stage, count, form, profile, threads)
        for count in (16, 256, 1000)
        for form in ("raw", "png")
        for profile in stage.options.profiles
        for threads in _THREADS
    ]


def _group(stage: Stage, count: int, form: str, profile: str, threads: int) -> Group:
    case = stage.cases[f"draw-{form}-{count}"]
    served = stage.service(profile, threads=threads)
    details = {"rows": count, "chunk": count, "png": form == "png", "threads": threads}
    ways: dict[str, dict[str, int]] = {"decoder alone": {}}
    if count > _QUICK_ROWS:
        ways[f"decoder alone by {_QUICK_ROWS}"] = {"chunk": _QUICK_ROWS}
    if threads > 1 and form == "raw":
        # What a lone request could have: two calls at once, as above, it has not.
        ways["decoder alone, one call at a time"] = {"threads": 1, "inside": threads}
    alone = [stage.alone(name, "draw", profile, **details | way) for name, way in ways.items()]
    contenders: list[Contender] = [*alone]
    contenders += [
        stage.shooting(served, case, load, f"service, {load.in_flight} in flight")
        for load in _LOADS
    ]
    load = f"{profile}, {threads} thread{'s' if threads > 1 else ''}"
    return Group("generate", case.title, load, "rate", [one.name for one in alone], contenders)
