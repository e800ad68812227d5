"""Triton's own client against our server; ``make conformance`` sets it up."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto

from serving.pb import open_inference_pb2
from tests.generated_code import ROOT
from tests.integration.test_open_inference import images, ours
from tests.serving_host import PATIENCE, Running

FOLDER = ROOT / "benchmarks/serving/conformance"
PYTHON = FOLDER / ".venv/bin/python"


def check(
    running: Running, folder: Path, shift: float = 0, number: int = 1
) -> subprocess.CompletedProcess[str]:
    """Run the client, told that Classify gave what it gave plus ``shift``.

    It is also told that the first field of ModelReadyRequest has this number.
    """
    descriptor = FileDescriptorProto.FromString(open_inference_pb2.DESCRIPTOR.serialized_pb)
    [message] = [m for m in descriptor.message_type if m.name == "ModelReadyRequest"]
    message.field[0].number = number
    pictures = images(70)
    [profile] = running.server.catalogue.all()
    answers = ours(running, pictures)
    np.savez(
        folder / "expected.npz",
        descriptor=np.frombuffer(descriptor.SerializeToString(), np.uint8),
        model=profile.manifest.profile,
        version=profile.manifest.version,
        images=pictures,
        probabilities=answers["probabilities"] + np.float32(shift),
        llr=answers["llr"],
    )
    command = [PYTHON, FOLDER / "tritonclient_check.py", running.target, folder / "expected.npz"]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.skipif(not PYTHON.exists(), reason="needs make conformance")
def test_triton_s_client(shared_server: Running, tmp_path: Path) -> None:
    """Live, ready, metadata, infer and refusals fit; so does every field of every message."""
    done = check(shared_server, tmp_path)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not PYTHON.exists(), reason="needs make conformance")
def test_the_check_can_fail(shared_server: Running, tmp_path: Path) -> None:
    """Probabilities that differ a little are found, and so is a field of another number."""
    done = check(shared_server, tmp_path, shift=1e-5, number=9)

    assert done.returncode == 1
    assert "probabilities: differs by" in done.stderr
    assert "ModelReadyRequest: differs in" in done.stderr
