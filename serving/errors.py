"""The ways in which onehand refuses or fails, in the words of its own domain.

No transport appears here: ``serving.status`` alone says which gRPC code each one becomes.
Every message names what was wrong, where, what was expected and what was found, and is written
to be shown to the caller: it holds no stack trace and, but for ``BundleError``, no path.
"""

from collections.abc import Sequence

# Of names that callers write; those that there are have no more.
_SHOWN = 64


class OnehandError(Exception):
    """Base of all errors that onehand raises on purpose."""


class InvalidRequest(OnehandError):
    """One or more fields of a request break the contract of the .proto file.

    Attributes:
        violations: pairs of field path (``images[3].encoded``) and what is wrong with it.
    """

    def __init__(self, violations: Sequence[tuple[str, str]]) -> None:
        self.violations = tuple(violations)
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in violations))


class BadImage(OnehandError):
    """A picture that cannot be read or that holds no single handwritten character."""


class UnknownProfile(OnehandError):
    """A profile that is not loaded.

    Attributes:
        profile: the name that was asked for, or its beginning, if it is too long to be one.
        loaded: the names that could have been asked for.
    """

    def __init__(self, profile: str, loaded: Sequence[str]) -> None:
        self.profile = profile[:_SHOWN]
        self.loaded = tuple(loaded)
        known = ", ".join(loaded) or "none"
        if profile:
            message = f"profile {self.profile!r} is not loaded; loaded: {known}"
        else:
            message = f"the request names no profile and there is no default; loaded: {known}"
        super().__init__(message)


class UnknownVersion(OnehandError):
    """A profile that is loaded in another version than the one asked for.

    Attributes:
        profile: its name.
    """

    def __init__(self, profile: str, version: str, loaded: str) -> None:
        self.profile = profile
        found = f"{loaded!r}, not {version[:_SHOWN]!r}"
        super().__init__(f"profile {profile!r} is loaded in version {found}")


class CannotDraw(OnehandError):
    """A profile that does not draw its digit where it was asked to.

    Attributes:
        field: of the request that says where.
        problem: how many pictures failed, and what to do.
        row: number of the first that failed, counted from 0.
    """

    def __init__(self, field: str, problem: str, row: int = 0) -> None:
        self.field = field
        self.problem = problem
        self.row = row
        super().__init__(f"{field}: {problem}")


class NotReady(OnehandError):
    """The models are not loaded yet, or the server is about to stop."""


class Overloaded(OnehandError):
    """More work is in flight than the server admits.

    Attributes:
        retry_after: seconds after which a retry may succeed.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class DeadlineExpired(OnehandError):
    """The caller's deadline passed before the work was done."""


class Unauthenticated(OnehandError):
    """The caller showed no token, or one that is not known."""


class Forbidden(OnehandError):
    """The caller's token is not for this method."""


class BundleError(OnehandError):
    """A bundle on disk that breaks its contract, or that was changed after it was written.

    For operators, and sent to no caller: files are named in the folder that they gave.
    """


class ModelFault(OnehandError):
    """A model answered with something that its contract rules out."""
