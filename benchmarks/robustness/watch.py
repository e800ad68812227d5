"""Watchers beside a load: health asked from a process of its own, samples taken by a thread."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import numpy as np
from grpc_health.v1 import health_pb2, health_pb2_grpc
from numpy.typing import NDArray

__all__ = ["Samples", "Slope", "check_health", "every", "slope"]


def check_health(pool: ProcessPoolExecutor, target: str, seconds: float) -> "Future[list[float]]":
    """Begin asking the health service every 200 ms, on a connection of its own.

    Returns:
        The milliseconds of each answer; infinite where there was none, or not SERVING.
    """
    return pool.submit(_ask_health, target, seconds)


def _ask_health(target: str, seconds: float) -> list[float]:
    answers = []
    request = health_pb2.HealthCheckRequest(service="onehand.v1.HandwritingService")
    with grpc.insecure_channel(target, (("grpc.use_local_subchannel_pool", 1),)) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.perf_counter()
            try:
                serving = stub.Check(request, timeout=10).status == 1
            except grpc.RpcError:
                serving = False
            taken = (time.perf_counter() - begun) * 1000
            answers.append(taken if serving else float("inf"))
            time.sleep(max(0.0, 0.2 - taken / 1000))
    return answers


@dataclass
class Samples:
    """Values of one or more series over time.

    Attributes:
        at: seconds since the first sample.
        rows: a row of values for each sample.
    """

    at: list[float] = field(default_factory=list)
    rows: list[tuple[float, ...]] = field(default_factory=list)

    def series(self, column: int, after: float = 0.0) -> tuple[list[float], list[float]]:
        """Return times and values of one column, without the first ``after`` seconds."""
        pairs = [(t, row[column]) for t, row in zip(self.at, self.rows, strict=True) if t >= after]
        return [t for t, _ in pairs], [v for _, v in pairs]


@contextmanager
def every(seconds: float, sample: Callable[[], tuple[float, ...]]) -> Iterator[Samples]:
    """Take a sample again and again for the length of a block; a failing one ends the block."""
    samples, stop, failed = Samples(), threading.Event(), []
    begun = time.monotonic()

    def work() -> None:
        while not stop.is_set():
            try:
                row = sample()
            except Exception as error:  # noqa: BLE001 - handed to the main thread below
                failed.append(error)
                return
            samples.at.append(time.monotonic() - begun)
            samples.rows.append(row)
            stop.wait(seconds)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]


@dataclass(frozen=True)
class Slope:
    """How a series grows.

    Attributes:
        first: median of the first quarter.
        last: median of the last quarter.
        per_hour: median slope between pairs of samples (Theil-Sen).
        low: lower end of its 95 % interval.
        high: upper end.
    """

    first: float
    last: float
    per_hour: float
    low: float
    high: float


def slope(at: list[float], values: list[float], block: int = 12) -> Slope:
    """Return the growth of a series.

    The interval comes from resampling whole blocks of neighbouring samples, because neighbours
    resemble one another and an interval that took them for independent would be too narrow.

    Args:
        at: seconds.
        values: at these times; at least 8.
        block: samples in a block.
    """
    t, v = np.array(at) / 3600, np.array(values)
    quarter = max(1, len(v) // 4)
    draw = np.random.default_rng(0)
    starts = np.arange(0, max(1, len(v) - block + 1))
    picks = (
        np.concatenate([np.arange(s, min(s + block, len(v))) for s in chosen])
        for chosen in (draw.choice(starts, max(2, len(v) // block)) for _ in range(200))
    )
    drawn = [_theil_sen(t[pick], v[pick]) for pick in picks]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return Slope(
        first=float(np.median(v[:quarter])),
        last=float(np.median(v[-quarter:])),
        per_hour=float(_theil_sen(t, v)),
        low=float(low),
        high=float(high),
    )


def _theil_sen(t: NDArray[np.float64], v: NDArray[np.float64]) -> float:
    step = max(1, len(t) // 200)
    t, v = t[::step], v[::step]
    i, j = np.triu_indices(len(t), 1)
    apart = t[j] - t[i]
    kept = apart != 0
    return float(np.median((v[j] - v[i])[kept] / apart[kept])) if kept.any() else 0.0
