"""Log lines, checked in a process of their own since logging is global."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

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


# Where the package rich is installed structlog takes traces from it, with local variables. This
# does in its place what it does.
FAULT = """
import sys, traceback, types

class Console:
    def __init__(self, file, **_):
        self.print = lambda trace: file.writelines(trace.format())

class Traceback:
    @staticmethod
    def from_exception(*error, show_locals, **_):
        return traceback.TracebackException(*error, capture_locals=show_locals)

sys.modules["rich"] = types.ModuleType("rich")
sys.modules["rich.console"] = types.SimpleNamespace(Console=Console)
sys.modules["rich.traceback"] = types.SimpleNamespace(Traceback=Traceback)

import logging, structlog
from serving import logs
logs.configure("info", sys.argv[1])

def fail(token):
    request = {"encoded": token.encode()}
    raise OSError("broken")

for log in (structlog.get_logger("ours"), logging.getLogger("foreign")):
    try:
        fail("".join(["s", "e", "c", "r", "e", "t"]))
    except OSError:
        log.exception("failed")
"""


ODD = """
import warnings
from serving.logs import configure
configure("info", "json")
warnings.warn_explicit("odd", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
"""


def written(code: str, *words: str) -> str:
    """Return what a program writes to standard error."""
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=Path(__file__).parents[3],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stderr


@pytest.mark.parametrize("form", ["json", "console"])
def test_traces_hold_no_values(form: str) -> None:
    """A trace says where, not with what: the values are callers' tokens and pictures."""
    text = written(FAULT, form)

    assert text.count("broken") >= 2
    assert "fail" in text
    assert "secret" not in text


def test_one_json_object_a_line() -> None:
    """Our lines and those of libraries are JSON objects, one a line, traces included."""
    lines = [json.loads(line) for line in written(CODE).splitlines()]

    assert [line["event"] for line in lines] == ["seen", "foreign", "failed"]
    assert [line["worker"] for line in lines] == [2, 2, 2]
    assert lines[0]["text"] == "two\nlines"
    assert lines[1]["level"] == "warning"
    assert lines[2]["exception"][0]["exc_type"] == "ZeroDivisionError"


def test_odd_files_of_callers_leave_no_line() -> None:
    """The imaging library's warnings have another form, and a new text for each file."""
    assert "odd" in written(ODD.replace("PIL.TiffImagePlugin", "elsewhere"))
    assert not written(ODD)
