"""What the peers have in common: a port each, and the protocol in which they say that they live."""

import socket

import grpc

from serving.pb import open_inference_pb2 as oip
from serving.pb import open_inference_pb2_grpc as oip_grpc

__all__ = ["free_port", "wait_ready"]


def free_port() -> int:
    """Return a port that was free a moment ago: the peers do not take 0 for "any"."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_ready(address: str, model: str) -> bool | None:
    """Return True if the model answers there by now, ``None`` if not yet."""
    with grpc.insecure_channel(address) as channel:
        stub = oip_grpc.GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]
        try:
            answer = stub.ModelReady(oip.ModelReadyRequest(name=model), timeout=1)
        except grpc.RpcError:
            return None  # not listening, or the model is not loaded
    return True if answer.ready else None
