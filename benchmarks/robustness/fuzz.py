"""A hundred thousand hostile messages and connections, with good requests answered in between.

- *messages*: valid ones with any values in any field, from Hypothesis, to every unary method;
- *bytes*: what was a message once, and what never was, through a channel that does not look;
- *frames*: HTTP/2 as no library writes it, each on a connection of its own;
- *floods*: great numbers of cheap frames, and connections that never come to the point.

A case that breaks a line is told with its bytes in hex, to be sent again.
"""

import argparse
import asyncio
import contextlib
import random
import re
import socket
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc
import uvloop
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from benchmarks.robustness import framing, hostile
from benchmarks.robustness.calls import Call, classify, good_calls, learn, pixels, right, stroke
from benchmarks.robustness.instance import ROOT, Instance, serving
from benchmarks.robustness.load import clients
from benchmarks.robustness.report import Report, percentiles
from benchmarks.robustness.verdicts import MIB
from benchmarks.robustness.watch import every

__all__ = ["ALLOWED", "add_flags", "leaks", "run"]

ALLOWED = frozenset(
    {
        *("OK", "INVALID_ARGUMENT", "NOT_FOUND", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED"),
        "FAILED_PRECONDITION",  # what was sent may be no digit, nor what is drawn from it
    }
)
"""The statuses that a hostile message may get; the rest of the table would be a fault of ours."""

_SILENT = "connection closed or silent"
_TRANSPORT = ("INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", _SILENT)
_LEAKS = re.compile(
    rb'Traceback|File "|site-packages|\.py\b|/serving/|' + re.escape(str(ROOT).encode())
)
_STATUS = re.compile(rb"grpc-status[\x01\x02](\d{1,2})")
_SHARES = {"messages": 0.3, "bytes": 0.4, "frames": 0.3}
_BATCH = 500
_IN_FLIGHT = 48
_CONNECTIONS = 64
_GROWTH = 128 * MIB
_DEEP = ("Classify", "GenerateVariants", "ModelInfer")
_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument("--cases", type=int, default=100_000, help="(default 100000)")
    parser.add_argument("--seed", type=int, default=0, help="of every case (default 0)")


@dataclass
class _Found:
    """What a fuzzing client found.

    Attributes:
        codes: statuses by kind of case.
        broken: cases that broke a line, each in a sentence with its bytes.
        seconds: that it took.
    """

    codes: Counter[tuple[str, str]] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def note(self, kind: str, code: str, answer: bytes, where: str, sent: bytes) -> None:
        """Book one case."""
        self.codes[kind, code] += 1
        if code not in ALLOWED:
            self.broken.append(f"{where}: {code}: {answer[:200]!r}: {sent[:400].hex()}")
        if leaks(answer) and leaks(answer) not in sent:  # a name that was sent is quoted
            self.broken.append(f"{where}: leaks {leaks(answer)!r}: {sent[:400].hex()}")


def leaks(answer: bytes) -> bytes:
    """Return what in an answer tells of the inside of the server; empty = nothing."""
    found = _LEAKS.search(answer)
    return found.group() if found else b""


def run(flags: argparse.Namespace, report: Report) -> None:
    """Send all cases from two processes, and good requests from this one."""
    counts = {kind: round(flags.cases * share) for kind, share in _SHARES.items()}
    with serving("--drain-delay", "0", *flags.serving) as server, clients(2) as pool:
        good = learn(server.target, (classify("raw", pixels(stroke(1))), *good_calls()[8:10]))
        witness = _Witness(server.target, good)
        begun = time.monotonic()
        with every(0.2, witness.ask):
            work = [
                pool.submit(_fuzz_messages, server.target, counts, flags.seed),
                pool.submit(_fuzz_frames, server.port, counts["frames"], flags.seed),
            ]
            found = [future.result() for future in work]
        report.figures["seconds"] = round(time.monotonic() - begun, 1)
        floods = {name: _flood(server, witness, make()) for name, make in framing.FLOODS.items()}
        floods["slow prefaces"] = _slow(server, witness)
        witness.close()
        server.settle()
        _judge(report, flags, server, found, floods, witness)


class _Witness:
    """Sends good requests in turn and checks the answers.

    Attributes:
        taken: milliseconds of each answer.
        failed: what went otherwise.
    """

    def __init__(self, target: str, calls: tuple[Call, ...]) -> None:
        self.taken: list[float] = []
        self.failed: list[str] = []
        self._calls = calls
        self._channel = grpc.insecure_channel(target, (("grpc.enable_retries", 0),))

    def ask(self) -> tuple[float, ...]:
        """Send one; return the milliseconds that it took."""
        call = self._calls[len(self.taken) % len(self._calls)]
        begun = time.perf_counter()
        try:
            answer = self._channel.unary_unary(call.method)(call.payload, timeout=30)
        except grpc.RpcError as error:
            self.failed.append(f"{call.name}: {error.code().name}: {error.details()}")
        else:
            if not right(call, answer):
                self.failed.append(f"{call.name}: another answer than at rest")
        self.taken.append((time.perf_counter() - begun) * 1000)
        return (self.taken[-1],)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def _fuzz_messages(target: str, counts: dict[str, int], number: int) -> _Found:
    """Send messages of Hypothesis and mutated ones; in a process of its own."""
    begun = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sender = _Sender(target, runner)
        _from_hypothesis(sender, counts["messages"], number)
        _from_mutation(sender, counts["bytes"], random.Random(number))  # noqa: S311
        sender.close()
    sender.found.seconds = time.monotonic() - begun
    return sender.found


class _Sender:
    """Collects cases and sends them in batches, many at once."""

    def __init__(self, target: str, runner: asyncio.Runner) -> None:
        self.found = _Found()
        self._runner = runner
        self._waiting: list[tuple[str, str, bytes]] = []
        self._methods: dict[str, Any] = {}
        self._channel = runner.run(_connect(target))

    def put(self, kind: str, method: str, payload: bytes) -> None:
        """Take a case."""
        self._waiting.append((kind, method, payload))
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Send what was taken and book the answers."""
        self._runner.run(self._send_all())

    def close(self) -> None:
        """Send the rest and close the connection."""
        self.flush()
        self._runner.run(self._channel.close())

    async def _send_all(self) -> None:
        cases, self._waiting = iter(self._waiting), []

        async def caller() -> None:
            for case in cases:
                await self._send(*case)

        await asyncio.gather(*(caller() for _ in range(_IN_FLIGHT)))

    async def _send(self, kind: str, method: str, payload: bytes) -> None:
        if method not in self._methods:
            self._methods[method] = self._channel.unary_unary(method)
        code, told = "OK", b""
        try:
            await self._methods[method](payload, timeout=60)
        except grpc.aio.AioRpcError as error:
            code = error.code().name
            trailers = [v if isinstance(v, bytes) else v.encode() for _, v in _pairs(error)]
            told = b"\n".join(((error.details() or "").encode(), *trailers))
        self.found.note(kind, code, told, method, payload)


async def _connect(target: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(target, (("grpc.enable_retries", 0),))


def _pairs(error: grpc.aio.AioRpcError) -> list[tuple[str, Any]]:
    return list(error.trailing_metadata() or ())


def _from_hypothesis(sender: _Sender, count: int, number: int) -> None:
    """Send ``count`` cases; a failing one is told as it was sent, not made smaller."""
    every_method = list(hostile.methods())
    cases = st.one_of(
        *(
            st.tuples(st.just(f"/{m.containing_service.full_name}/{m.name}"), hostile.requests(m))
            for m in every_method
            for _ in range(4 if m.name in _DEEP else 1)
        )
    )
    sent = 0
    while sent < count:
        before = sent

        @seed(number + sent)
        @settings(
            max_examples=min(1000, count - sent),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases)
        def send(case: tuple[str, bytes]) -> None:
            nonlocal sent
            sent += 1
            sender.put("messages", *case)

        send()
        if sent == before:
            raise RuntimeError("Hypothesis made no case")


def _from_mutation(sender: _Sender, count: int, draw: random.Random) -> None:
    seeds = [(call.method, call.payload) for call in good_calls() if len(call.payload) < 4000]
    seeds += [(method, b"") for method in _names()]
    for _ in range(count):
        method, payload = draw.choice(seeds)
        sender.put("bytes", method, hostile.mutate(draw, payload))


def _names() -> list[str]:
    unknown = ["/onehand.v1.HandwritingService/Steal", "/x.Y/Z"]
    return [f"/{m.containing_service.full_name}/{m.name}" for m in hostile.methods()] + unknown


def _fuzz_frames(port: int, count: int, number: int) -> _Found:
    """Make hostile connections; in a process of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_connect_all(port, count, random.Random(number)))  # noqa: S311


async def _connect_all(port: int, count: int, draw: random.Random) -> _Found:
    found, begun = _Found(), time.monotonic()
    numbers = iter(range(count))

    async def caller() -> None:
        for _ in numbers:
            sent = framing.case(draw)
            answer = await framing.exchange(port, sent)
            codes = _STATUS.findall(answer) or [None]
            for status in codes:
                name = _SILENT if status is None else _NAMES[int(status)]
                found.codes["frames", name] += 1
                # gRPC's own transport says INTERNAL of what is no HTTP/2; our handlers must not.
                ours = b"x-request-id" in answer
                if (name == "INTERNAL" and ours) or name not in (*_TRANSPORT, *ALLOWED):
                    found.broken.append(f"frames: {name}: {answer[-300:]!r}: {sent[:400].hex()}")
            if leaks(answer):
                found.broken.append(f"frames: leaks {leaks(answer)!r}: {sent[:400].hex()}")

    await asyncio.gather(*(caller() for _ in range(_CONNECTIONS)))
    found.seconds = time.monotonic() - begun
    return found


@dataclass(frozen=True)
class _Flood:
    """How the server took a flood.

    Attributes:
        cut: whether it ended the connection.
        grown: bytes of memory more than before, afterwards.
        worst: milliseconds of the slowest good request meanwhile.
    """

    cut: bool
    grown: int
    worst: float


def _flood(server: Instance, witness: _Witness, sent: bytes) -> _Flood:
    before, asked = server.resources().rss, len(witness.taken)
    with every(0.05, witness.ask):
        cut = asyncio.run(_pour(server.port, sent))
    witness.ask()
    return _Flood(cut, server.resources().rss - before, max(witness.taken[asked:]))


async def _pour(port: int, sent: bytes) -> bool:
    """Send until all is sent, the server ends the connection, or ten seconds have passed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def read() -> None:
        while await reader.read(65536):
            pass

    reading = asyncio.create_task(read())
    cut = False
    try:
        async with asyncio.timeout(10):
            for start in range(0, len(sent), 65536):
                writer.write(sent[start : start + 65536])
                await writer.drain()
                if reading.done():
                    break
            await asyncio.sleep(0.5)
    except ConnectionError:
        cut = True
    except TimeoutError:
        pass  # a server that reads no further has bounded the flood as well
    cut = cut or reading.done()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError, ConnectionError):
        await reading
    writer.transport.abort()
    return cut


def _slow(server: Instance, witness: _Witness) -> _Flood:
    """Hold two hundred connections that never finish their first words."""
    before, asked = server.resources().rss, len(witness.taken)
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(framing.SLOW)
        for _ in range(20):
            witness.ask()
    return _Flood(False, server.resources().rss - before, max(witness.taken[asked:]))


def _judge(
    report: Report,
    flags: argparse.Namespace,
    server: Instance,
    found: list[_Found],
    floods: dict[str, _Flood],
    witness: _Witness,
) -> None:
    codes = sum((one.codes for one in found), Counter())
    broken = [line for one in found for line in one.broken]
    by_kind = {
        kind: {code: n for (k, code), n in sorted(codes.items()) if k == kind} for kind in _SHARES
    }
    report.figures |= {
        "codes": by_kind,
        "seconds_by_process": [round(one.seconds, 1) for one in found],
        "good requests meanwhile": percentiles(witness.taken),
        "floods": {
            name: {
                "connection cut": flood.cut,
                "grown_mib": round(flood.grown / MIB, 1),
                "slowest good request_ms": round(flood.worst, 1),
            }
            for name, flood in floods.items()
        },
        "broken": broken[:50],
    }
    total = codes.total()
    report.check(total >= flags.cases, f"at least {flags.cases} cases", total)
    report.check(server.alive, "the process stays up", f"pid {server.pid}")
    report.check(
        not broken,
        "every answer is a status of the table, and nothing of the inside leaves",
        broken[:3] or by_kind["messages"],
    )
    report.check(
        not witness.failed and len(witness.taken) > 0,
        "good requests are answered right in between",
        witness.failed[:3] or f"{len(witness.taken)} asked",
    )
    worst = max(flood.worst for flood in floods.values())
    grown = max(flood.grown for flood in floods.values())
    report.check(
        worst < 2000 and grown < _GROWTH,
        "floods are bounded: good requests within 2 s, memory within 128 MiB",
        f"{worst:.0f} ms, {grown / MIB:.1f} MiB",
    )
    errors = server.errors()
    report.check(not errors, "no fault in the server's log", errors[:3] or "none")
