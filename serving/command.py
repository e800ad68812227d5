"""The command ``python -m serving``: settings, and who is to act on them.

What it chooses from is imported when it is chosen: a supervisor shall not load gRPC, and the
health probe, which is run every few seconds, no models' runtime.
"""

import argparse
import os
import sys

import structlog

from serving import logs, settings
from serving.cpu import cpu_budget
from serving.settings import Settings, SettingsError

__all__ = ["main", "parse"]

_EPILOG = """\
Every option is also an environment variable: --max-images is ONEHAND_MAX_IMAGES. A flag wins.

examples:
  python -m serving                                  serve all profiles of ./exported
  python -m serving --models /srv/hands --port 9000  serve another folder on another port
  python -m serving --host 0.0.0.0                   answer other machines; see --tls-certificate
  python -m serving --workers 0                      a process for each core, behind one port
  python -m serving health                           is the server here ready? exit code 0 or 1
  python -m serving token reader                     make a token, and its line for --tokens
  python -m serving.client classify two.png          ask it

SIGTERM or Ctrl-C goes unhealthy, waits --drain-delay seconds for balancers to notice, finishes
the running requests and exits with 0; a second signal skips the wait. SIGHUP looks for other
versions of the profiles now. Exit code 1: a port is
taken or a bundle is bad. Exit code 2: an option is.
"""

log = structlog.get_logger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the server, its health probe or its maker of tokens; return the exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    match words[:1]:
        case ["health"]:
            from serving import probe  # noqa: PLC0415 - see above; so are those below

            return probe.main(words[1:])
        case ["token"]:
            from serving import tokens  # noqa: PLC0415

            return tokens.main(words[1:])
        case _:
            return _serve(words)


def parse(words: list[str]) -> Settings:
    """Return the settings that a command line and the environment ask for.

    Raises:
        SystemExit: with code 2, and a line for each setting that is not usable.
    """
    parser = _parser()
    try:
        return settings.parse(parser.parse_args(words), os.environ)
    except SettingsError as error:
        parser.exit(2, "".join(f"{parser.prog}: {line}\n" for line in str(error).splitlines()))


def _serve(words: list[str]) -> int:
    chosen = parse(words)
    logs.configure(chosen.log_level, chosen.log_format)
    log.info("configuration", **chosen.to_dict())
    for warning in settings.unknown_variables(os.environ):
        log.warning("environment", problem=warning)
    workers = chosen.workers or cpu_budget().cores
    if workers > 1:
        from serving import supervisor  # noqa: PLC0415

        return supervisor.run(chosen, workers, words)
    from serving import lifecycle  # noqa: PLC0415

    return lifecycle.run(chosen)


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
