"""One line a record, to standard error, for machines (JSON) or for people.

Records of the standard library, which gRPC writes, come out in the same form.
"""

import logging
import sys
import warnings
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["configure"]


def configure(level: str, form: str, **constant: Any) -> None:
    """Set up logging for the process.

    Args:
        level: debug, info, warning or error.
        form: json or console.
        constant: said on every line.
    """

    def add_constant(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        return {**line, **constant}

    shared: list[Processor] = [
        add_constant,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer = _json() if form == "json" else _console()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
        )
    )
    handler.addFilter(_without_strangers)
    # The imaging library warns of what is odd in a caller's file: a line of another form, and one
    # more entry in a table for each text. What is wrong with a file is said to its caller.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


# Neither form shows the local variables of a trace: tokens and pictures of callers are in them.


def _json() -> list[Processor]:
    traces = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return [structlog.processors.ExceptionRenderer(traces), structlog.processors.JSONRenderer()]


def _console() -> list[Processor]:
    return [
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    ]


def _without_strangers(record: logging.LogRecord) -> bool:
    """Say nothing of what gRPC takes for faults of ours and callers can bring about at will.

    Metadata that it cannot decode: it would write the value, perhaps a token. An answer that it
    could not send, because the caller had gone meanwhile: the call is counted as what it was.
    """
    return not str(record.msg).startswith(("Invalid encoding on", "ExecuteBatchError raised in"))
