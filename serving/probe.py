"""The container's health probe: one Check of the standard health service, and an exit code.

It is run every few seconds, so it imports little: neither the models' runtime nor the server.
"""

import argparse
import os
import sys

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from serving import settings
from serving.claim import written

__all__ = ["check", "main"]

_STATUS = health_pb2.HealthCheckResponse.ServingStatus


def check(target: str, service: str, seconds: float) -> str:
    """Return the health of ``service``: SERVING, NOT_SERVING, or why there is no answer."""
    with grpc.insecure_channel(target) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=seconds)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return str(_STATUS.Name(answer.status))


def _target(chosen: settings.Settings) -> str:
    """Return where this machine answers for its health without TLS; empty = nowhere."""
    if chosen.health_port > 0:
        return written(_here(chosen.health_host), chosen.health_port)
    return "" if chosen.tls_certificate else written(_here(chosen.host), chosen.port)


def _here(host: str) -> str:
    """Return where a server that listens on ``host`` can be reached from its own machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here


def main(arguments: list[str]) -> int:
    """Run the probe; return 0 if the service is SERVING, 1 if not.

    Raises:
        SystemExit: with code 2, and a line for each setting or option that is not usable.
    """
    parser = argparse.ArgumentParser(
        prog="python -m serving health",
        description="Ask a server for its health; exit with 0 if it is SERVING, with 1 if not.",
    )
    try:
        chosen = settings.parse(argparse.Namespace(), os.environ)
    except settings.SettingsError as error:
        parser.exit(2, "".join(f"{parser.prog}: {line}\n" for line in str(error).splitlines()))
    parser.add_argument(
        "--target", default=_target(chosen), help="HOST:PORT, without TLS (default: %(default)s)"
    )
    parser.add_argument(
        "--service",
        default="onehand.v1.HandwritingService",
        help='whose health; "" = the process (default: %(default)s)',
    )
    parser.add_argument("--timeout", type=float, default=2.0, help="seconds (default: %(default)s)")
    options = parser.parse_args(arguments)
    if not options.target:
        print("the server speaks TLS; set ONEHAND_HEALTH_PORT, and ask there", file=sys.stderr)
        return 1
    health = check(options.target, options.service, options.timeout)
    print(health, file=sys.stdout if health == "SERVING" else sys.stderr)
    return 0 if health == "SERVING" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
