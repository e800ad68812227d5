"""A real Prometheus scrapes the server and answers a question about its latency."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serving.pb import handwriting_pb2 as pb
from tests import pictures
from tests.serving_host import PATIENCE, Running

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(
    PROMETHEUS is None, reason="needs the prometheus binary (Debian package prometheus)"
)

P99 = (
    "histogram_quantile(0.99, sum by (le) "
    '(grpc_server_handling_seconds_bucket{grpc_method="Classify"}))'
)


@pytest.fixture
def prometheus(shared_server: Running, tmp_path: Path) -> Iterator[str]:
    """The address of a Prometheus that scrapes the server every second."""
    target = f"127.0.0.1:{shared_server.server.metrics_port}"
    config = tmp_path / "prometheus.yml"
    config.write_text(
        "scrape_configs: [{job_name: onehand, scrape_interval: 1s, "
        f"static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = subprocess.Popen(
        [
            str(PROMETHEUS),
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'data'}",
            f"--web.listen-address={address}",
            "--log.level=error",
        ]
    )
    yield f"http://{address}"
    process.terminate()
    process.wait(PATIENCE)


def ask(address: str, question: str) -> list[Any]:
    """Return Prometheus's answer to an instant query, empty while it has none."""
    url = f"{address}/api/v1/query?{urllib.parse.urlencode({'query': question})}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:  # noqa: S310 - our own
            result: list[Any] = json.load(answer)["data"]["result"]
    except urllib.error.URLError:
        return []
    return [float(series["value"][1]) for series in result]


def test_prometheus_answers_a_quantile(shared_server: Running, prometheus: str) -> None:
    """The 99th percentile of Classify's latency is a number of seconds within the buckets."""
    request = pb.ClassifyRequest(images=[pictures.message(pictures.form())])
    for _ in range(50):
        shared_server.stub.Classify(request, timeout=PATIENCE)

    patience = time.monotonic() + PATIENCE
    while not (quantile := ask(prometheus, P99)) or quantile[0] != quantile[0]:
        assert time.monotonic() < patience, "Prometheus has no answer"
        time.sleep(0.2)

    assert 0 < quantile[0] <= 60
    assert ask(prometheus, 'up{job="onehand"}') == [1.0]
