"""``python -m serving``; see ``command``."""

import os
import signal
import sys

from serving import environment

__all__ = ["main"]


def main() -> int:
    """Run the server, or its health probe; return the exit code."""
    # The first process of a container has no default for it: a signal that comes before the event
    # loop listens would be lost, and the server start after all.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    environment.prepare()
    from serving import command  # noqa: PLC0415 - after the line above

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
