"""Many pictures a request: against the work alone with the same number of threads."""

from benchmarks.serving.h2load import Load
from benchmarks.serving.rounds import Contender, Group, Measure
from benchmarks.serving.stage import Stage
from serving.model import CLASSIFY_ROWS
from serving.pb import handwriting_pb2 as pb

__all__ = ["LOADS", "THREADS", "groups"]

THREADS = (1, 2)
LOADS = (Load(1, 1), Load(1, 8))
# A connection stays with the worker that took it: eight of them meet both.
_CALLERS = Load(8, 1)
_FORMS = "form-32"
_FILES = ("png-32", _FORMS)


def groups(stage: Stage) -> list[Group]:
    """Return a group for each case, profile and number of threads; both loads are in it."""
    return [
        _group(stage, name, profile, threads)
        for name in ("raw-32", "raw-256", *_FILES)
        for profile in stage.options.profiles
        for threads in THREADS
    ]


def _group(stage: Stage, name: str, profile: str, threads: int) -> Group:
    case = stage.cases[name]
    served = stage.service(profile, threads=threads)
    alone = (
        _read(stage, name, profile, threads)
        if name in _FILES
        else _run(stage, case.pictures, profile, threads)
    )
    contenders: list[Contender] = [*alone]
    contenders += [
        stage.shooting(served, case, load, f"service, {load.in_flight} in flight") for load in LOADS
    ]
    if threads > 1:
        apart = stage.service(profile, workers=threads, threads=1)
        words = f"service, {threads} workers, {_CALLERS.in_flight} in flight"
        contenders.append(stage.shooting(apart, case, _CALLERS, words))
    if name not in _FILES:
        contenders.append(
            stage.shooting(stage.empty(), case, LOADS[0], "empty handler, 1 in flight")
        )
    load = f"{profile}, {threads} thread{'s' if threads > 1 else ''}"
    return Group("batch", case.title, load, "rate", [one.name for one in alone], contenders)


def _run(stage: Stage, rows: int, profile: str, threads: int) -> list[Measure]:
    """Return onnxruntime alone, in one call and, if that is another thing, in chunks.

    Each thread has a call of its own, which a lone request cannot give to two; so there is also one
    call at a time, whose work the threads share inside.
    """
    details = {"images": stage.images_file(rows), "chunk": rows, "threads": threads}
    ways: dict[str, dict[str, int]] = {"session.run": {}}
    if rows > CLASSIFY_ROWS:
        ways[f"session.run by {CLASSIFY_ROWS}"] = {"chunk": CLASSIFY_ROWS}
    if threads > 1:
        ways["session.run, one call at a time"] = {"threads": 1, "inside": threads}
    return [stage.alone(name, "classify", profile, **details | way) for name, way in ways.items()]


def _read(stage: Stage, name: str, profile: str, threads: int) -> list[Measure]:
    """Return onnxruntime alone on pictures that are still to be read.

    One by one, as whoever has an imaging library would; forms also at one go, as the service reads
    them. Reading holds Python's lock, which two threads of a process share; so there are also two
    processes of one thread each.
    """
    files = _png_files(stage, name)
    work = "decode + normalise + session.run"
    ways = [stage.alone(work, "read", profile, files=files, threads=threads)]
    if name == _FORMS:
        at_one_go = f"{work}, forms at one go"
        details = {"files": files, "threads": threads, "together": True}
        ways.append(stage.alone(at_one_go, "read", profile, **details))
    if threads > 1:
        ways.append(stage.alone_in_two(f"{work}, two processes", "read", profile, files=files))
    return ways


def _png_files(stage: Stage, name: str) -> list[str]:
    """Return the names of files that hold the PNGs of the case."""
    paths = []
    request = pb.ClassifyRequest.FromString(stage.cases[name].request)
    for place, image in enumerate(request.images):
        path = stage.folder / f"{name}-{place}.png"
        path.write_bytes(image.encoded)
        paths.append(str(path))
    return paths
