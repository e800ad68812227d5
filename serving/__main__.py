"""``python -m serving``; see ``command``."""

import os
import sys

__all__ = ["main"]


def main() -> int:
    """Run the server, or its health probe; return the exit code."""
    # numpy's linear algebra makes a thread for each core of the host, whatever the quota, when it
    # is first imported; our matrices have three columns.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # gRPC writes a line of its own, in its own form, for each handshake that fails; that is for
    # strangers to decide, and would drown the log.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    from serving import command  # noqa: PLC0415 - after the lines above

    return command.main()


if __name__ == "__main__":
    sys.exit(main())
