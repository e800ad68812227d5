"""``python -m serving``; see ``command``."""

import sys

from serving import environment

__all__ = ["main"]


def main() -> int:
    """Run the server, or its health probe; return the exit code."""
    environment.prepare()
    from serving import command  # noqa: PLC0415 - after the line above

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
