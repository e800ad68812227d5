"""Failed calls as exceptions: which field, which profile, when to come back, what to quote.

CallFailed
|- InvalidRequest      a field of the request; see ``violations``
|- UnknownProfile      no such profile
|- CannotDraw          the profile does not draw its digit there; see ``violations``
|- Overloaded          too much is in work; see ``retry_after``
|- Unavailable         no server there, or it is not ready, or about to stop
|- DeadlineExceeded    no answer in time
|- Unauthenticated     the server wants a token, or does not know this one
|- Forbidden           the token is not for this method
`- ServerFault         anything else; quote ``request_id`` to the operator
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2 as details_pb2  # type: ignore[import-untyped]
from grpc_status import rpc_status

__all__ = [
    "CallFailed",
    "CannotDraw",
    "DeadlineExceeded",
    "Forbidden",
    "InvalidRequest",
    "Overloaded",
    "ServerFault",
    "Unauthenticated",
    "Unavailable",
    "UnknownProfile",
    "Violation",
    "failure",
]

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Violation:
    """A field of the request that breaks the contract, or asks for what cannot be had.

    Attributes:
        field: path, such as ``images[3].encoded``.
        problem: what was expected and what was found.
    """

    field: str
    problem: str


class CallFailed(Exception):
    """A call that brought no answer.

    Attributes:
        code: name of the gRPC status.
        violations: fields at fault, if any.
        retry_after: seconds after which a retry may succeed, if the server said so.
        request_id: to quote to the operator; empty if the server was not reached.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str,
        violations: tuple[Violation, ...] = (),
        retry_after: float | None = None,
        request_id: str = "",
    ) -> None:
        self.code = code
        self.violations = violations
        self.retry_after = retry_after
        self.request_id = request_id
        super().__init__(message)


class InvalidRequest(CallFailed):
    """A field of the request breaks the contract."""


class UnknownProfile(CallFailed):
    """The profile is not loaded, or none was named and there is no default."""


class CannotDraw(CallFailed):
    """The profile does not draw its digit where it was asked to."""


class Overloaded(CallFailed):
    """The server has too much in work, or the message is larger than it takes."""


class Unavailable(CallFailed):
    """There is no server, or it is not ready, or about to stop."""


class DeadlineExceeded(CallFailed):
    """No answer came in time."""


class Unauthenticated(CallFailed):
    """The server wants a token and got none, or one that it does not know."""


class Forbidden(CallFailed):
    """The token is not for this method."""


class ServerFault(CallFailed):
    """The server failed in a way that the caller can do nothing about."""


_KINDS: dict[grpc.StatusCode, type[CallFailed]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: UnknownProfile,
    grpc.StatusCode.FAILED_PRECONDITION: CannotDraw,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Overloaded,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Forbidden,
}


_GRPCS = {
    grpc.StatusCode.UNAVAILABLE: "no server answers at {target}; is it running? ({message})",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "the request or its answer is larger than {target} or this "
    "client takes; send or ask for fewer or smaller pictures at once ({message})",
    grpc.StatusCode.DEADLINE_EXCEEDED: "no answer of {target} in time ({message})",
}
"""What codes mean that come from gRPC, with its own words, which name neither file nor remedy."""


def failure(error: Any, target: str) -> CallFailed:
    """Return the exception that tells what ``error``, a failed unary call, means."""
    code: grpc.StatusCode = error.code()
    status = rpc_status.from_call(error)
    packed = list(status.details) if status else []
    bad_request = _find(packed, details_pb2.BadRequest)
    precondition = _find(packed, details_pb2.PreconditionFailure)
    retry = _find(packed, details_pb2.RetryInfo)
    request = _find(packed, details_pb2.RequestInfo)
    message = str(error.details() or code.name)
    if not packed:  # it was gRPC that failed the call: the service always gives details
        message = _GRPCS.get(code, "{message}").format(message=message, target=target)
    return _KINDS.get(code, ServerFault)(
        message,
        code=code.name,
        violations=(
            *(Violation(v.field, v.description) for v in _list(bad_request, "field_violations")),
            *(Violation(v.subject, v.description) for v in _list(precondition, "violations")),
        ),
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if retry else None,
        request_id=request.request_id if request else "",
    )


def _list(message: Message | None, field: str) -> Sequence[Any]:
    return getattr(message, field) if message else ()


def _find(packed: list[Any], kind: type[M]) -> M | None:
    for detail in packed:
        if detail.Is(kind.DESCRIPTOR):
            message = kind()
            detail.Unpack(message)
            return message
    return None
