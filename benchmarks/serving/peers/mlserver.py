"""MLServer with a custom runtime that runs the same ONNX file."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.serving.peers.environments import installed
from benchmarks.serving.peers.open_inference import free_port, wait_ready
from benchmarks.serving.processes import running
from benchmarks.serving.servers import Server, wait_for

__all__ = ["VARIANTS", "mlserver"]

_RUNTIME = Path(__file__).parent / "hosted" / "mlserver_runtime.py"

VARIANTS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "parallel_workers=1 (its default)": ({"parallel_workers": 1}, {}),
    "parallel_workers=0": ({"parallel_workers": 0}, {}),
    "parallel_workers=0, batching": (
        {"parallel_workers": 0},
        {"max_batch_size": 64, "max_batch_time": 0.0005},
    ),
}
"""Name to settings of the server and of the model; access log and debugging are off in all."""


@contextmanager
def mlserver(name: str, variant: str, model: str, graph: Path, folder: Path) -> Iterator[Server]:
    """Run MLServer for the length of a block.

    Args:
        name: in tables.
        variant: one of ``VARIANTS``.
        model: name of the model.
        graph: the ONNX file.
        folder: for its settings and its log; made.
    """
    for_server, for_model = VARIANTS[variant]
    folder.mkdir(parents=True)
    shutil.copy(_RUNTIME, folder)
    port = free_port()
    settings = {"host": "127.0.0.1", "grpc_port": port, "http_port": free_port()}
    settings |= {"metrics_port": free_port(), "debug": False} | for_server
    (folder / "settings.json").write_text(json.dumps(settings))
    described = {
        "name": model,
        "implementation": "mlserver_runtime.OnnxRuntime",
        "parameters": {"uri": str(graph.resolve())},
    } | for_model
    (folder / "model-settings.json").write_text(json.dumps(described))
    home = installed("mlserver")
    words = [str(home / "bin" / "mlserver"), "start", str(folder)]
    environment = {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "OPENBLAS_NUM_THREADS": "1",
        "ORT_DISABLE_TELEMETRY": "1",
    }
    log = folder / "log"
    with running(words, log, environment=environment, folder=folder) as process:
        address = f"127.0.0.1:{port}"
        wait_for(lambda: wait_ready(address, model), process, log)
        yield Server(name, address, process.pid)
