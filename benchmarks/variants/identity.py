"""Row 8: same seed, profile and version, same bytes: asked of real servers that run differently."""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.results import keep, page
from benchmarks.robustness.instance import serving
from serving.client import Along, Around, Between, Client, InStyle, Mode, Prior, To, Variants
from training import samples

_SEED = 20_417
_BETWEEN = 16
_ODD = (1, 7, 17, 100)
# By chance each falls to one of two workers: all of them to the same one once in 30,000 times.
_CONNECTIONS = 16


@dataclass(frozen=True)
class Comparison:
    """One way of running, held against the first.

    Attributes:
        way: how it was run.
        modes: requests that were compared.
        differing: names of those with other bytes.
    """

    way: str
    modes: int
    differing: tuple[str, ...]


def write(models: Path, count: int, results: Path, command: str) -> str:
    """Compare, write ``bytes.json`` and ``bytes.md``, and return the latter's text."""
    found = list(_compare(models, count))
    document = {
        "command": command,
        "count": count,
        "ways": [vars(each) for each in found],
        "identical": not any(each.differing for each in found),
    }
    rows = [f"| {each.way} | {each.modes} | {', '.join(each.differing) or 'none'} |"
            for each in found]  # fmt: skip
    about = f"Requests for {count} variants (pictures, latent points, attributes), seed {_SEED}."
    table = ("| way of running | requests compared | differing |", "|---|---|---|", *rows)
    text = page("Same seed, same bytes", about, command, table)
    keep(results, "bytes", document, text)
    return text


def _compare(models: Path, count: int) -> Iterator[Comparison]:
    home = ("--models", str(models))
    with serving(*home) as server, Client(server.target) as client:
        first = _digests(client, count)
        yield Comparison("asked again", len(first), _differing(first, _digests(client, count)))
        yield _parts(client, count)
        yield Comparison("8 requests at once", 8, _crowded(client, count, first))
    for way, flags in (
        ("restarted", ()),
        ("one thread for the graphs", ("--inference-threads", "1")),
        ("three threads for the graphs", ("--inference-threads", "3")),
        ("two worker processes", ("--workers", "2")),
    ):
        with serving(*home, *flags) as server:
            for _ in range(_CONNECTIONS if "--workers" in flags else 1):
                with Client(server.target) as client:
                    again = _digests(client, count)
                differing = _differing(first, again)
                if differing:
                    break
            yield Comparison(way, len(first), differing)


def _digests(client: Client, count: int) -> dict[str, str]:
    return {name: _digest(ask(client)) for name, ask in _requests(count).items()}


def _requests(count: int) -> dict[str, Callable[[Client], Variants]]:
    folder = Path(samples.__file__).parent
    one, another = ((folder / name).read_bytes() for name in ("two.jpg", "two-again.jpg"))
    modes: dict[str, tuple[int, Mode]] = {
        "prior": (count, Prior()),
        "around": (count, Around(one)),
        "between": (_BETWEEN, Between(one, another)),
        "attributes": (count, Along(thickness=To(3.0), slant=To(-5.0, 15.0))),
        "style": (_BETWEEN, InStyle(another, temperature=0.3)),
    }

    def request(number: int, mode: Mode) -> Callable[[Client], Variants]:
        return lambda client: client.variants(number, mode, _SEED)

    return {name: request(*each) for name, each in modes.items()}


def _digest(answer: Variants) -> str:
    together = hashlib.sha256()
    for array in (answer.images, answer.latents, answer.attributes):
        together.update(np.ascontiguousarray(array).tobytes())
    return together.hexdigest()


def _differing(first: dict[str, str], again: dict[str, str]) -> tuple[str, ...]:
    return tuple(name for name in first if again[name] != first[name])


def _parts(client: Client, count: int) -> Comparison:
    """Ask for fewer: picture i is the same however many are asked for."""
    whole = client.variants(count, Prior(), _SEED).images
    fewer = [number for number in _ODD if number <= count]
    differing = tuple(
        f"the first {number}"
        for number in fewer
        if not np.array_equal(client.variants(number, Prior(), _SEED).images, whole[:number])
    )
    return Comparison("fewer asked for", len(fewer), differing)


def _crowded(client: Client, count: int, first: dict[str, str]) -> tuple[str, ...]:
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: _digest(client.variants(count, Prior(), _SEED)), range(8))
        return tuple("prior" for answer in answers if answer != first["prior"])
