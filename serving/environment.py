"""What the libraries below read from the environment, once, when they are imported."""

import os

__all__ = ["DEFAULTS", "prepare"]

DEFAULTS = {
    # numpy's linear algebra makes a thread for each core of the host, whatever the quota; our
    # matrices have three columns.
    "OPENBLAS_NUM_THREADS": "1",
    # gRPC writes a line of its own, in its own form, for each handshake that fails; that is for
    # strangers to decide, and would drown the log.
    "GRPC_VERBOSITY": "ERROR",
    # gRPC reads and writes sockets in the thread that polls them, as it used to, instead of handing
    # them to threads of its "event engine": 30 us less of the 450 that an empty call takes alone.
    "GRPC_EXPERIMENTS": "-event_engine_listener",
}


def prepare() -> None:
    """Set what nobody has set; to be called before numpy or gRPC is imported."""
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)
