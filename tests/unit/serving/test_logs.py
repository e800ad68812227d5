"""Log lines, checked in a process of their own since logging is global."""

import json
import subprocess
import sys
from pathlib import Path

CODE = """
import logging, structlog
from serving import logs
logs.configure("info", "json", worker=2)
log = structlog.get_logger("x")
log.debug("unseen")
log.info("seen", number=1, text="two\\nlines")
logging.getLogger("grpc").warning("foreign")
try:
    1 / 0
except ZeroDivisionError as error:
    log.error("failed", exc_info=error)
"""


def test_one_json_object_a_line() -> None:
    """Our lines and those of libraries are JSON objects, one a line, traces included."""
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]

    assert [line["event"] for line in lines] == ["seen", "foreign", "failed"]
    assert [line["worker"] for line in lines] == [2, 2, 2]
    assert lines[0]["text"] == "two\nlines"
    assert lines[1]["level"] == "warning"
    assert lines[2]["exception"][0]["exc_type"] == "ZeroDivisionError"
