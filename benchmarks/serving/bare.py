"""The work alone, in a process of its own: onnxruntime, and what must be around it, no server.

Run as a helper; see ``_JOBS`` for what it can be asked. Sessions have the service's own options;
those that are to have several threads inside have onnxruntime's.
"""

import json
import sys
import threading
import time
from collections.abc import Callable
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.serving.processes import answer_lines
from benchmarks.serving.ratios import percentiles
from serving.bundle import CLASSIFIER, DECODER, discover
from serving.images import ImageLimits, decode, encode_png, read_forms, to_mnist_form
from serving.runtime import open_session

# isort: split
import onnxruntime  # after serving.runtime, which turns its telemetry off

__all__ = ["main"]

_LIMITS = ImageLimits(max_encoded_bytes=16 << 20, max_pixels=20 << 20)
Work = Callable[[], Any]


@cache
def _session(models: str, graph: str, inside: int = 1) -> Any:
    """Return a session; ``inside`` threads share the work of each call."""
    [folder] = discover(Path(models)).values()
    content = (folder / graph).read_bytes()
    if inside == 1:
        return open_session(content)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = inside
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _classify(models: str, images: NDArray[np.uint8], chunk: int, inside: int = 1) -> Work:
    """Return the work of classifying the images, ``chunk`` of them a call."""
    run = _session(models, CLASSIFIER, inside).run
    parts = [images[start : start + chunk] for start in range(0, len(images), chunk)]
    return lambda: [run(None, {"images": part}) for part in parts]


def _read(models: str, files: list[bytes], *, together: bool) -> Work:
    """Return the work of decoding and normalising picture files and classifying them at once.

    ``together`` reads them as the service does, forms in plain PNG files at one go; else they are
    read one by one.
    """
    run = _session(models, CLASSIFIER).run

    def work() -> Any:
        forms = read_forms(files) if together else [None] * len(files)
        images = [
            to_mnist_form(decode(file, _LIMITS)) if form is None else form
            for file, form in zip(files, forms, strict=True)
        ]
        return run(None, {"images": np.stack(images)})

    return work


def _draw(models: str, rows: int, chunk: int, *, png: bool, inside: int = 1) -> Work:
    """Return the work of drawing so many pictures, as arrays or as PNG files."""
    session = _session(models, DECODER, inside)
    size = session.get_inputs()[0].shape[1]
    points = np.random.default_rng(0).standard_normal((rows, size), dtype=np.float32)
    parts = [points[start : start + chunk] for start in range(0, rows, chunk)]

    def work() -> Any:
        pictures = [session.run(None, {"latent": part})[0] for part in parts]
        if not png:
            return pictures
        grey = (np.concatenate(pictures) * 255).astype(np.uint8)
        return [encode_png(picture) for picture in grey]

    return work


def _rate(work: Work, threads: int, seconds: float) -> float:
    """Return how often a second the work is done by so many threads at once."""
    work()
    done = [0] * threads
    stop = time.perf_counter() + seconds

    def repeat(place: int) -> None:
        for done[place] in count(1):
            work()
            if time.perf_counter() >= stop:
                return

    crew = [threading.Thread(target=repeat, args=(place,)) for place in range(threads)]
    start = time.perf_counter()
    for thread in crew:
        thread.start()
    for thread in crew:
        thread.join()
    return sum(done) / (time.perf_counter() - start)


def _latency(work: Work, pause: float, seconds: float) -> dict[str, float]:
    """Return percentiles in microseconds of the work, done once after each pause (seconds)."""
    work()
    latencies = []
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        if pause:
            time.sleep(pause)
        start = time.perf_counter()
        work()
        latencies.append((time.perf_counter() - start) * 1e6)
    return percentiles(latencies)


def _images(file: str) -> NDArray[np.uint8]:
    images: NDArray[np.uint8] = np.load(file)
    return images


def _classify_job(job: dict[str, Any]) -> dict[str, float]:
    images = _images(job["images"])
    work = _classify(job["models"], images, job["chunk"], job.get("inside", 1))
    return {"rate": len(images) * _rate(work, job["threads"], job["seconds"])}


def _read_job(job: dict[str, Any]) -> dict[str, float]:
    files = [Path(name).read_bytes() for name in job["files"]]
    work = _read(job["models"], files, together=job.get("together", False))
    return {"rate": len(files) * _rate(work, job["threads"], job["seconds"])}


def _draw_job(job: dict[str, Any]) -> dict[str, float]:
    rows, inside = job["rows"], job.get("inside", 1)
    work = _draw(job["models"], rows, job["chunk"], png=job["png"], inside=inside)
    return {"rate": rows * _rate(work, job["threads"], job["seconds"])}


def _latency_job(job: dict[str, Any]) -> dict[str, float]:
    images = _images(job["images"])
    return _latency(_classify(job["models"], images, len(images)), job["pause"], job["seconds"])


_JOBS = {
    "classify": _classify_job,
    "read": _read_job,
    "draw": _draw_job,
    "latency": _latency_job,
}
"""Job to function: ``rate`` in images a second, or percentiles in microseconds."""


def main() -> None:
    """Answer questions until there are no more."""
    for question in answer_lines(sys.stdin):
        print(json.dumps(_JOBS[question.pop("job")](question)), flush=True)


if __name__ == "__main__":
    main()
