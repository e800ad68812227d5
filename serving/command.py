"""The command ``python -m serving``: settings, server, signals."""

import argparse
import asyncio
import os
import signal
import sys

import prometheus_client
import structlog
import uvloop

from serving import logs, probe, settings
from serving.errors import OnehandError
from serving.server import Server, create_server
from serving.settings import Settings, SettingsError

__all__ = ["main"]

_EPILOG = """\
Every option is also an environment variable: --max-images is ONEHAND_MAX_IMAGES. A flag wins.

examples:
  python -m serving                                  serve all profiles of ./exported
  python -m serving --models /srv/hands --port 9000  serve another folder on another port
  python -m serving --host 0.0.0.0                   answer other machines too (no TLS: mind who)
  python -m serving health                           is the server here ready? exit code 0 or 1
  python -m serving.client classify two.png          ask it

SIGTERM or Ctrl-C goes unhealthy, waits --drain-delay seconds for balancers to notice, finishes
the running requests and exits with 0; a second signal skips the wait. Exit code 1: a port is
taken or a bundle is bad. Exit code 2: an option is.
"""

log = structlog.get_logger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the server, or its health probe; return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    if words[:1] == ["health"]:
        return probe.main(words[1:])
    chosen = _settings(parser, words)
    logs.configure(chosen.log_level, chosen.log_format)
    prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
    log.info("configuration", **chosen.to_dict())
    for warning in settings.unknown_variables(os.environ):
        log.warning("environment", problem=warning)
    # Threads that decode and draw must not keep the event loop waiting for long.
    sys.setswitchinterval(0.001)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(serve(chosen))


async def serve(chosen: Settings) -> int:
    """Serve until a signal; return the exit code."""
    stopping, hurry = _watch_signals()
    try:
        server = create_server(chosen)
        await server.start()
        ready = await _load(server, stopping)
    except OnehandError as error:
        log.error("cannot serve", problem=str(error))
        return 1
    if ready:
        await stopping.wait()
        await server.drain(hurry)
    await server.stop(chosen.grace)
    return 0


async def _load(server: Server, stopping: asyncio.Event) -> bool:
    """Load the profiles; return whether that was done before a signal came."""
    loading = asyncio.ensure_future(server.load())
    signalled = asyncio.ensure_future(stopping.wait())
    await asyncio.wait((loading, signalled), return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if loading.done():
        await loading
        return True
    loading.cancel()
    return False


def _watch_signals() -> tuple[asyncio.Event, asyncio.Event]:
    """Return two events: a signal has come, and a second one has."""
    first, second = asyncio.Event(), asyncio.Event()

    def note() -> None:
        (second if first.is_set() else first).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, note)
    return first, second


def _settings(parser: argparse.ArgumentParser, words: list[str]) -> Settings:
    try:
        return settings.parse(parser.parse_args(words), os.environ)
    except SettingsError as error:
        parser.exit(2, "".join(f"{parser.prog}: {line}\n" for line in str(error).splitlines()))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m serving",
        description="Serve every enrolled hand of a folder over gRPC, with health, reflection "
        "and Prometheus metrics.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    settings.add_flags(parser)
    return parser
