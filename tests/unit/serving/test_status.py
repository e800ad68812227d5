"""The table from exceptions to statuses."""

import grpc
import pytest
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from serving import errors
from serving.status import Refusal, refuse

CODES = [
    (errors.InvalidRequest([("count", "is bad")]), grpc.StatusCode.INVALID_ARGUMENT, None),
    (errors.UnknownProfile("x", ["a"]), grpc.StatusCode.NOT_FOUND, None),
    (errors.CannotDraw("between", "3 of 9"), grpc.StatusCode.FAILED_PRECONDITION, None),
    (errors.NotReady("loading"), grpc.StatusCode.UNAVAILABLE, 1.0),
    (errors.Overloaded("full", 0.1), grpc.StatusCode.RESOURCE_EXHAUSTED, 0.1),
    (errors.DeadlineExpired("late"), grpc.StatusCode.DEADLINE_EXCEEDED, None),
    (errors.ModelFault("nan"), grpc.StatusCode.INTERNAL, None),
    (errors.BundleError("disk"), grpc.StatusCode.INTERNAL, None),
    (KeyError("/a/path"), grpc.StatusCode.INTERNAL, None),
]


@pytest.mark.parametrize(("error", "code", "retry_after"), CODES)
def test_table(error: Exception, code: grpc.StatusCode, retry_after: float | None) -> None:
    """Each error has one code, and retry advice only where a retry may help."""
    refusal = refuse(error, "id-1")

    assert refusal.code is code
    assert refusal.retry_after == retry_after
    metadata = dict(refusal.trailing_metadata())
    assert ("grpc-retry-pushback-ms" in metadata) == (retry_after is not None)
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])  # type: ignore[arg-type]
    assert status.code == code.value[0]
    assert any(detail.Is(details_pb2.RequestInfo.DESCRIPTOR) for detail in status.details)


def test_some_faults_are_the_callers() -> None:
    """An operator can mend a fault of ours, and have more served; nothing else."""
    mended = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "INTERNAL"}
    refusals = [refuse(error, "") for error, _, _ in CODES]

    found = {refusal.code.name for refusal in refusals if not refusal.is_callers_fault}

    assert found == mended
    assert Refusal(grpc.StatusCode.CANCELLED, "", ()).is_callers_fault


@pytest.mark.parametrize("error", [KeyError("/a/path"), errors.BundleError("/a/path")])
def test_our_own_faults_stay_with_us(error: Exception) -> None:
    """Of an error that is not the caller's, the caller learns nothing."""
    refusal = refuse(error, "id-1")

    assert refusal.message == "internal error"
    assert "path" not in str(refusal.trailing_metadata())


def test_subclasses_are_known() -> None:
    """An error is looked up by its nearest ancestor in the table."""

    class Slower(errors.DeadlineExpired):
        pass

    assert refuse(Slower("late"), "").code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_what_callers_wrote_is_cut_and_cleaned() -> None:
    """A long or unprintable name comes back short and printable."""
    error = errors.UnknownProfile("\u1234\n" * 100_000, ["a"])
    refusal = refuse(error, "")

    assert len(str(error)) + len(error.profile) < 1000  # while it waits for its client
    assert len(refusal.message) <= 500
    assert refusal.message.isascii()
    assert refusal.message.isprintable()
    assert sum(len(value) for _, value in refusal.trailing_metadata()) < 2000


def test_many_violations_are_told_by_index() -> None:
    """Violations beyond the room are told as ranges of indices, none is lost."""
    broken = [index for index in range(256) if index % 10]
    refusal = refuse(
        errors.InvalidRequest([(f"images[{index}].encoded", "x" * 300) for index in broken]), ""
    )

    violations = next(
        detail for detail in refusal.details if isinstance(detail, details_pb2.BadRequest)
    ).field_violations
    *listed, rest = violations
    assert rest.field == "images"
    assert len(listed) + int(rest.description.split()[0]) == len(broken)
    assert rest.description.endswith("241-249, 251-255")
    assert sum(len(value) for _, value in refusal.trailing_metadata()) < 5000
