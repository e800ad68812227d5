"""The typed client: arrays and picture files in, dataclasses out, exceptions that name the field.

>>> from serving.client import Client
>>> with Client("127.0.0.1:50051") as client:          # doctest: +SKIP
...     answer = client.classify([Path("two.png").read_bytes()])
...     print(answer.results[0].label, answer.results[0].llr)

``python -m serving.client`` is the same on the command line::

    connection   a method for each RPC
    answers      what the service answers, as plain values
    failures     failed calls as exceptions
    cli          the command line
    asked        an attribute as a word of it
    sheet        many pictures on one page
    __main__     ``python -m serving.client``
"""

from serving.client.answers import (
    ATTRIBUTES,
    Classification,
    Label,
    Limits,
    Profile,
    Variants,
    Verdict,
)
from serving.client.cli import main
from serving.client.connection import (
    Along,
    Around,
    Between,
    By,
    Client,
    InStyle,
    Mode,
    Picture,
    Prior,
    Tls,
    To,
)
from serving.client.failures import (
    CallFailed,
    CannotDraw,
    DeadlineExceeded,
    Forbidden,
    InvalidRequest,
    Overloaded,
    ServerFault,
    Unauthenticated,
    Unavailable,
    UnknownProfile,
    Violation,
)

__all__ = [
    "ATTRIBUTES",
    "Along",
    "Around",
    "Between",
    "By",
    "CallFailed",
    "CannotDraw",
    "Classification",
    "Client",
    "DeadlineExceeded",
    "Forbidden",
    "InStyle",
    "InvalidRequest",
    "Label",
    "Limits",
    "Mode",
    "Overloaded",
    "Picture",
    "Prior",
    "Profile",
    "ServerFault",
    "Tls",
    "To",
    "Unauthenticated",
    "Unavailable",
    "UnknownProfile",
    "Variants",
    "Verdict",
    "Violation",
    "main",
]
