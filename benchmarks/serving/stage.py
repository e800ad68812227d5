"""Everything that runs during the benchmark: each process is started once, and kept.

Idle servers cost next to nothing, and those that were started once can take turns.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.cases import Case, Pictures, infer, make_cases, pictures
from benchmarks.serving.h2load import H2Load, Load
from benchmarks.serving.machine import memory_mib
from benchmarks.serving.processes import Helper, helper
from benchmarks.serving.rounds import Measure
from benchmarks.serving.servers import Server, empty_handler, service

__all__ = ["PROFILES", "Options", "Stage"]

PROFILES = ("seed", "default")
"""The classifier of the recipe "seed", small, and that of the recipe "default"."""


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        repeats: rounds.
        seconds: about how long one contender's turn takes.
        models: folder with one bundle by profile; see ``PROFILES``.
        profiles: which of them are measured.
    """

    repeats: int
    seconds: float
    models: dict[str, Path]
    profiles: Sequence[str] = PROFILES


class Stage:
    """Starts what the parts ask for, on first asking; the stack ends it all."""

    def __init__(self, options: Options, folder: Path, stack: ExitStack) -> None:
        """Make the pictures and the cases.

        Args:
            options: how to measure.
            folder: for bodies and logs.
            stack: closed when the benchmark ends.
        """
        self.options = options
        self.folder = folder
        self.stack = stack
        self.images: Pictures = pictures(options.models["default"], 256)
        self.cases = make_cases(self.images)
        self.servers: dict[str, Server] = {}

    def service(self, profile: str, *, workers: int = 1, threads: int = 0) -> Server:
        """Return our service with this profile.

        Args:
            profile: one of ``PROFILES``.
            workers: processes.
            threads: for reading pictures and as many for inference; 0 = as it chooses itself.
        """
        name = f"service, {profile}, {workers} worker{'s' if workers > 1 else ''}"
        settings: dict[str, Any] = {"workers": workers}
        if threads:
            name += f", {threads} thread{'s' if threads > 1 else ''}"
            settings |= {"decode_threads": threads, "inference_threads": threads}
        if name not in self.servers:
            models = self.options.models[profile]
            log = self.folder / f"{name}.log"
            self.servers[name] = self.stack.enter_context(service(name, models, log, **settings))
        return self.servers[name]

    def empty(self, *, as_ours: bool = False) -> Server:
        """Return the empty handler, whose answers are as long as the service's."""
        name = "empty handler" + (", served as ours" if as_ours else "")
        if name not in self.servers:
            asked = self.service("seed")
            replies = {case.name: len(asked.ask(case)) for case in self.cases.values()}
            self.servers[name] = self.stack.enter_context(
                empty_handler(name, replies, self.folder / f"{name}.log", as_ours=as_ours)
            )
        return self.servers[name]

    @cached_property
    def bare(self) -> Helper:
        """The process of the work alone."""
        return self._bare("bare")

    @cached_property
    def bare_too(self) -> Helper:
        """Another process of the same kind, for the work alone in two of them at once."""
        return self._bare("bare-too")

    @cached_property
    def client(self) -> Helper:
        """The inside client."""
        return self.stack.enter_context(helper("client", self.folder / "client.log"))

    def infer_case(self, model: str) -> Case:
        """Return the Open Inference Protocol's case for a model of this name."""
        return infer(model, self.images[0])

    def shooting(self, server: Server, case: Case, load: Load, name: str = "") -> H2Load:
        """Return a contender: this server, asked by h2load."""
        return H2Load(server, case, load, self.options.seconds, self.folder, name)

    def alone(self, name: str, job: str, profile: str, **details: Any) -> Measure:
        """Return a contender: work done without a server; see ``bare``."""
        question = self._question(job, profile) | details
        return Measure(name, lambda: self.bare.ask(**question))

    def alone_in_two(self, name: str, job: str, profile: str, **details: Any) -> Measure:
        """Return the same done by two processes at once, each with one thread."""
        question = self._question(job, profile) | {"threads": 1} | details

        def measure() -> dict[str, float]:
            pair = (self.bare, self.bare_too)
            for process in pair:
                process.tell(**question)
            return {"rate": sum(process.hear()["rate"] for process in pair)}

        return Measure(name, measure)

    def _question(self, job: str, profile: str) -> dict[str, Any]:
        models = str(self.options.models[profile])
        return {"job": job, "models": models, "seconds": self.options.seconds}

    def _bare(self, name: str) -> Helper:
        return self.stack.enter_context(helper("bare", self.folder / f"{name}.log"))

    def images_file(self, count: int) -> str:
        """Return the name of a file with the first so many pictures."""
        path = self.folder / f"pictures-{count}.npy"
        if not path.exists():
            np.save(path, self.images[:count])
        return str(path)

    def check_ledgers(self) -> None:
        """Hold every server's counters against what it was sent.

        Raises:
            BenchmarkError: they differ.
        """
        for server in self.servers.values():
            server.check_ledger()

    def memory(self) -> dict[str, dict[str, float]]:
        """Return the memory of each server in MiB; see ``machine.memory_mib``."""
        return {name: memory_mib(server.pid) for name, server in self.servers.items()}
