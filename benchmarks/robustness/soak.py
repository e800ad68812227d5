"""Half an hour at 70 % of the capacity, every RPC, bad input among it: everything stays flat."""

import argparse
import struct
import sys
import time
from dataclasses import replace

from grpc_health.v1 import health_pb2

from benchmarks.robustness.calls import (
    SERVICE,
    Call,
    classify,
    good_calls,
    learn,
    page,
    pixels,
    stroke,
)
from benchmarks.robustness.instance import Instance, serving
from benchmarks.robustness.ledger import Ledger
from benchmarks.robustness.load import Load, capacity, clients, merge, start
from benchmarks.robustness.report import Report, percentiles
from benchmarks.robustness.verdicts import MIB, books, flat
from benchmarks.robustness.watch import every
from serving.pb import handwriting_pb2 as pb
from serving.pb import open_inference_pb2 as oip

__all__ = ["add_flags", "run"]

_SHARE = 0.7
_SAMPLE_SECONDS = 5.0
_GROWTH = 0.03
# Small enough that messages over it can be sent often.
_MAX_MESSAGE = 2 * MIB
_INVALID = frozenset({"INVALID_ARGUMENT"})
_GOOD_WEIGHT, _BAD_WEIGHT, _HUGE_WEIGHT = 20.0, 2.0, 0.2


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the scenario's flags."""
    parser.add_argument("--minutes", type=float, default=30, help="(default 30)")
    parser.add_argument(
        "--warm-up", type=float, default=0.15, help="share that does not count (default 0.15)"
    )


def run(flags: argparse.Namespace, report: Report) -> None:
    """Find the capacity for the good calls, then run the mix at a share of it."""
    limits = ("--max-message-bytes", str(_MAX_MESSAGE))
    with serving("--drain-delay", "0", *limits, *flags.serving) as server, clients(2) as pool:
        good = learn(server.target, (*good_calls(), _infer(), _health()))
        ledger = Ledger(sent=len(good))
        for call in good:
            ledger.answered[call.method, "OK"] += 1
        bad, huge = _bad_calls(), _huge_call()
        load = Load(
            server.target,
            (*good, *bad, huge),
            seconds=10,
            callers=8,
            connections=3,
            weights=(
                *(_GOOD_WEIGHT for _ in good),
                *(_BAD_WEIGHT for _ in bad),
                _HUGE_WEIGHT,
            ),
        )
        most, first = capacity(pool, load, 1)
        ledger.add(first.ledger)
        rate = _SHARE * first.ledger.sent / load.seconds
        report.figures |= {"capacity_per_second": round(most), "rate_per_second": round(rate)}
        seconds = flags.minutes * 60
        with every(_SAMPLE_SECONDS, _Sampler(server).sample) as samples:
            load = replace(load, seconds=seconds, rate=rate, seed=1)
            seen = merge([future.result() for future in start(pool, load, 1)])
        server.settle()
        ledger.add(seen.ledger)
        report.figures["codes"] = seen.ledger.codes()
        report.figures["latency"] = percentiles(seen.accepted)
        report.figures["begun_late"] = percentiles(seen.lag)
        report.check(
            not ledger.unexpected and seen.ledger.sent > 0,
            "no unexpected code",
            dict(ledger.unexpected) or ledger.codes(),
        )
        report.check(ledger.wrong == 0, "every answer is right", f"{ledger.wrong} wrong")
        flat(report, samples, after=flags.warm_up * seconds, growth=_GROWTH)
        books(report, ledger, server, below=frozenset({"RESOURCE_EXHAUSTED"}))


class _Sampler:
    """Samples the resources, and says each minute on standard error how it goes."""

    def __init__(self, server: Instance) -> None:
        self._server = server
        self._begun = time.monotonic()
        self._told = 0

    def sample(self) -> tuple[float, ...]:
        held = self._server.resources()
        minutes = int((time.monotonic() - self._begun) / 60)
        if minutes > self._told:
            self._told = minutes
            ended = sum(self._server.handled().values())
            sys.stderr.write(
                f"soak: minute {minutes}: {ended} RPCs, {held.rss / MIB:.0f} MiB, "
                f"{held.files} files, {held.threads} threads\n"
            )
        return (held.rss, held.files, held.threads)


def _infer() -> Call:
    request = oip.ModelInferRequest(model_name="sample", id="soak")
    tensor = request.inputs.add(name="images", datatype="UINT8")
    tensor.shape.extend((2, 28, 28))
    request.raw_input_contents.append(stroke(1).tobytes() + stroke(2).tobytes())
    return Call(
        "ModelInfer", "/inference.GRPCInferenceService/ModelInfer", request.SerializeToString()
    )


def _health() -> Call:
    request = health_pb2.HealthCheckRequest(service="onehand.v1.HandwritingService")
    return Call("health", "/grpc.health.v1.Health/Check", request.SerializeToString())


def _bad_calls() -> tuple[Call, ...]:
    picture = page()
    image = pb.Image(encoded=picture)
    cut = pb.Image(encoded=picture[: len(picture) // 2])
    short = pb.Image(pixels=pb.Pixels(data=b"\0" * 100, height=28, width=28))
    tiny = pb.Image(pixels=pb.Pixels(data=b"\0" * 4, height=2, width=2))
    flat_page = pb.Image(pixels=pb.Pixels(data=b"\x80" * 1600, height=40, width=40))
    variants = pb.GenerateVariantsRequest
    refused = (
        classify("no pictures"),
        classify("truncated PNG", cut),
        classify("one bad of three", image, cut, image),
        classify("short pixels", short),
        classify("tiny pixels", tiny),
        classify("empty picture", pb.Image()),
        classify("nothing drawn", flat_page),
        classify("no picture at all", pb.Image(encoded=b"GIF89a")),
        classify("too many pictures", *[pixels(stroke(0))] * 257),
        Call("malformed", SERVICE + "Classify", b"\xff\xff\xff"),
        Call("malformed tail", SERVICE + "GenerateVariants", b"\x10\x05\x1a"),
        _variants("count 0", variants(count=0)),
        _variants("count 1,000,000", variants(count=1_000_000)),
        _variants("temperature", variants(count=1, prior=pb.FromPrior(temperature=float("nan")))),
        _variants("no image", variants(count=1, around=pb.AroundImage())),
    )
    return (
        *(replace(call, codes=_INVALID) for call in refused),
        replace(
            classify("unknown profile", image, profile="nobody"), codes=frozenset({"NOT_FOUND"})
        ),
        # Any method that does not exist is counted under this name.
        Call("unknown method", "/unknown/unknown", b"", codes=frozenset({"UNIMPLEMENTED"})),
    )


def _variants(name: str, request: pb.GenerateVariantsRequest) -> Call:
    return Call(name, SERVICE + "GenerateVariants", request.SerializeToString())


def _huge_call() -> Call:
    unknown_field = b"\x7a" + _varint(_MAX_MESSAGE) + b"\0" * _MAX_MESSAGE
    return Call(
        "oversized message",
        SERVICE + "Classify",
        unknown_field,
        codes=frozenset({"RESOURCE_EXHAUSTED"}),
    )


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += struct.pack("B", number & 127 | 128)
        number >>= 7
    return out + struct.pack("B", number)
