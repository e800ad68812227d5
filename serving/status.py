"""What a failure looks like from outside: one table from exception to status and details.

Codes follow the meaning that grpc.io gives them (https://grpc.io/docs/guides/status-codes/),
details are those of google.rpc (error_details.proto). What is not in the table is our own fault:
the client gets INTERNAL, a request id and not a word more.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as PackedDetail
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2 as details_pb2  # type: ignore[import-untyped]
from google.rpc import status_pb2

from serving.errors import (
    CannotDraw,
    DeadlineExpired,
    Forbidden,
    InvalidRequest,
    ModelFault,
    NotReady,
    Overloaded,
    Unauthenticated,
    UnknownProfile,
    UnknownVersion,
)

__all__ = ["DOMAIN", "Refusal", "UnknownMethod", "refuse"]

DOMAIN = "onehand"
_DETAILS_KEY = "grpc-status-details-bin"
_PUSHBACK_KEY = "grpc-retry-pushback-ms"
_NOT_READY_RETRY_AFTER = 1.0

# Trailers travel as HTTP/2 headers, and a client may refuse more than 8 KiB of them. Messages
# and violations are kept well below, whatever the caller wrote into the request.
_MAX_MESSAGE = 500
_MAX_VIOLATION = 240
_MAX_VIOLATIONS_BYTES = 3000

_CALLERS_FAULTS = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
    }
)


class UnknownMethod(Exception):
    """An RPC that no service here has."""


@dataclass(frozen=True)
class Refusal:
    """A failed RPC as the client will see it.

    Attributes:
        code: status code.
        message: for a person.
        details: for a program; google.rpc messages.
        retry_after: seconds after which a retry may succeed; ``None`` = a retry will not help.
    """

    code: grpc.StatusCode
    message: str
    details: tuple[Message, ...]
    retry_after: float | None = None

    @property
    def is_callers_fault(self) -> bool:
        """Whether the caller brought it about: nothing that an operator could mend."""
        return self.code in _CALLERS_FAULTS

    def trailing_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return the metadata that carries details and retry advice."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for detail in self.details:
            status.details.add().CopyFrom(_pack(detail))
        metadata: list[tuple[str, str | bytes]] = [(_DETAILS_KEY, status.SerializeToString())]
        if self.retry_after is not None:
            metadata.append((_PUSHBACK_KEY, str(round(self.retry_after * 1000))))
        return tuple(metadata)


def refuse(error: BaseException, request_id: str) -> Refusal:
    """Return how the client is told of ``error``.

    Args:
        error: what ended the call.
        request_id: to quote to the operator; empty = none.
    """
    row = next((_TABLE[kind] for kind in type(error).__mro__ if kind in _TABLE), _INTERNAL)
    retry_after = row.retry_after(error)
    details = [details_pb2.ErrorInfo(reason=row.reason, domain=DOMAIN), *row.details(error)]
    if retry_after is not None:
        details.append(details_pb2.RetryInfo(retry_delay=_duration(retry_after)))
    if request_id:
        details.append(details_pb2.RequestInfo(request_id=request_id))
    return Refusal(
        code=row.code,
        message=_clean(row.message(error), _MAX_MESSAGE),
        details=tuple(details),
        retry_after=retry_after,
    )


@dataclass(frozen=True)
class _Row:
    code: grpc.StatusCode
    reason: str
    message: Callable[[Any], str] = str
    details: Callable[[Any], Sequence[Message]] = lambda _: ()
    retry_after: Callable[[Any], float | None] = lambda _: None


def _bad_request(error: InvalidRequest) -> Sequence[Message]:
    """List the violations one by one as far as there is room, and the others by field alone."""
    listed, used, rest = [], 0, []
    for field, problem in error.violations:
        text = _clean(problem, _MAX_VIOLATION)
        used += len(field) + len(text) + 8
        if used <= _MAX_VIOLATIONS_BYTES or "[" not in field:
            listed.append(_violation(field, text))
        else:
            rest.append(field)
    if rest:
        more = _clean(f"{len(rest)} more are refused: {_indices(rest)}", _MAX_VIOLATIONS_BYTES // 3)
        listed.append(_violation(_stem(rest[0]), more))
    return [details_pb2.BadRequest(field_violations=listed)]


def _violation(field: str, text: str) -> details_pb2.BadRequest.FieldViolation:
    return details_pb2.BadRequest.FieldViolation(field=field, description=text)


def _stem(field: str) -> str:
    return field.partition("[")[0]


def _indices(fields: Iterable[str]) -> str:
    """Return the indices of ``images[7].encoded`` and the like as ranges: ``5-9, 12``."""
    numbers = sorted({int(field.partition("[")[2].partition("]")[0]) for field in fields})
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and ranges[-1][-1] == number - 1:
            ranges[-1][1:] = [number]
        else:
            ranges.append([number])
    return ", ".join("-".join(map(str, pair)) for pair in ranges)


def _summary(error: InvalidRequest) -> str:
    field, problem = error.violations[0]
    more = len(error.violations) - 1
    return f"{field}: {problem}" + (f" (and {more} more)" if more else "")


def _resource(error: UnknownProfile | UnknownVersion) -> Sequence[Message]:
    return [
        details_pb2.ResourceInfo(
            resource_type="onehand.v1.Profile",
            resource_name=_clean(error.profile, 63),
            description=_clean(str(error), _MAX_MESSAGE),
        )
    ]


def _precondition(error: CannotDraw) -> Sequence[Message]:
    violation = details_pb2.PreconditionFailure.Violation(
        type="DIGIT", subject=error.field, description=_clean(error.problem, _MAX_MESSAGE)
    )
    return [details_pb2.PreconditionFailure(violations=[violation])]


_TABLE: dict[type[BaseException], _Row] = {
    InvalidRequest: _Row(
        grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", _summary, _bad_request
    ),
    DecodeError: _Row(
        grpc.StatusCode.INVALID_ARGUMENT,
        "MALFORMED_MESSAGE",
        lambda _: "the request is not a protobuf message of the method's type",
    ),
    UnknownProfile: _Row(grpc.StatusCode.NOT_FOUND, "UNKNOWN_PROFILE", details=_resource),
    UnknownVersion: _Row(grpc.StatusCode.NOT_FOUND, "UNKNOWN_VERSION", details=_resource),
    # Not INVALID_ARGUMENT: each field is in its range, and another profile may well do what is
    # asked. Nor will a retry help before the request or the profile is another.
    CannotDraw: _Row(grpc.StatusCode.FAILED_PRECONDITION, "CANNOT_DRAW", details=_precondition),
    UnknownMethod: _Row(grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD"),
    # What generated servicers raise for a method that a service declares and does not have.
    NotImplementedError: _Row(grpc.StatusCode.UNIMPLEMENTED, "UNKNOWN_METHOD"),
    NotReady: _Row(
        grpc.StatusCode.UNAVAILABLE,
        "NOT_READY",
        retry_after=lambda _: _NOT_READY_RETRY_AFTER,
    ),
    Overloaded: _Row(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "OVERLOADED",
        retry_after=lambda error: float(error.retry_after),
    ),
    DeadlineExpired: _Row(grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXPIRED"),
    Unauthenticated: _Row(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED"),
    Forbidden: _Row(grpc.StatusCode.PERMISSION_DENIED, "FORBIDDEN"),
    ModelFault: _Row(grpc.StatusCode.INTERNAL, "MODEL_OUTPUT_INVALID"),
}
_INTERNAL = _Row(grpc.StatusCode.INTERNAL, "INTERNAL", lambda _: "internal error")


def _clean(text: str, length: int) -> str:
    """Return ``text`` as printable ASCII of bounded length; it may quote what a caller sent."""
    plain = text[:length].encode("ascii", "backslashreplace").decode("ascii")
    short = "".join(c if c.isprintable() else "?" for c in plain)
    return short if len(short) <= length and len(text) <= length else short[: length - 3] + "..."


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromMilliseconds(round(seconds * 1000))
    return duration


def _pack(detail: Message) -> PackedDetail:
    packed = PackedDetail()
    packed.Pack(detail)
    return packed
