"""Triton's own server, as ``nvidia-pytriton`` carries it, with a Python backend.

That package brings the server in C++ and its Python backend, and no ONNX backend. The proxy of
pytriton itself is left out: the server starts a Python process that runs onnxruntime, which is
as near to the model as its parts allow. Batching is on, with no delay, as we do it.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.serving.peers.environments import installed
from benchmarks.serving.peers.open_inference import free_port, wait_ready
from benchmarks.serving.processes import running
from benchmarks.serving.servers import Server, wait_for

__all__ = ["triton"]

_MODEL = Path(__file__).parent / "hosted" / "triton_model.py"
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

_CONFIG = """\
backend: "python"
max_batch_size: 64
input [ {{ name: "images" data_type: TYPE_UINT8 dims: [ 28, 28 ] }} ]
output [
  {{ name: "probabilities" data_type: TYPE_FP32 dims: [ 3 ] }},
  {{ name: "llr" data_type: TYPE_FP32 dims: [ 1 ] reshape: {{ shape: [ ] }} }}
]
instance_group [ {{ kind: KIND_CPU count: {instances} }} ]
dynamic_batching {{ }}
parameters [ {{ key: "graph" value: {{ string_value: "{graph}" }} }} ]
"""


@contextmanager
def triton(name: str, instances: int, model: str, graph: Path, folder: Path) -> Iterator[Server]:
    """Run Triton for the length of a block.

    Args:
        name: in tables.
        instances: processes of the model.
        model: name of the model.
        graph: the ONNX file.
        folder: for its repository and its log; made.
    """
    python = installed("triton")
    packages = python / "lib" / f"python{_PYTHON}" / "site-packages"
    home = packages / "pytriton" / "tritonserver"
    version = folder / "repository" / model / "1"
    version.mkdir(parents=True)
    shutil.copy(_MODEL, version / "model.py")
    config = _CONFIG.format(graph=graph.resolve(), instances=instances)
    (version.parent / "config.pbtxt").write_text(config)
    port = free_port()
    words = [
        str(home / "bin" / "tritonserver"),
        f"--model-repository={folder / 'repository'}",
        f"--backend-directory={_backends(home, folder)}",
        f"--grpc-port={port}",
        "--grpc-address=127.0.0.1",
        "--allow-http=false",
        "--allow-metrics=false",
    ]
    environment = {
        # The Python inside Triton takes the packages of the first python3 on the path. With those
        # of our environment it has NumPy 2, of which its backend, built for 1, reads no tensor.
        "PATH": f"{python / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": str(packages / "nvidia_pytriton.libs"),
        "OPENBLAS_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    log = folder / "log"
    with running(words, log, environment=environment) as process:
        address = f"127.0.0.1:{port}"
        wait_for(lambda: wait_ready(address, model), process, log)
        yield Server(name, address, process.pid)


def _backends(home: Path, folder: Path) -> Path:
    """Return a folder of backends in which the Python one has the stub for this Python."""
    target = folder / "backends" / "python"
    shutil.copytree(home / "backends" / "python", target)
    stub = home / "python_backend_stubs" / _PYTHON / "triton_python_backend_stub"
    shutil.copy(stub, target)
    (target / stub.name).chmod(0o755)
    return target.parent
