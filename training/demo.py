"""The whole system on real input, as a newcomer would drive it: ``make demo``.

Enrols the bundled sample, starts the service on free ports, asks it through its own client about
the writer's pictures, other people's 2s and other digits, lets it draw variants, reads its
metrics over HTTP, and stops it. Every step is a process of its own, as it would be in use; any
step that fails ends the demo with a non-zero status.
"""

import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from serving.images import encode_png
from training.data import Digits, load_bundled

HOME = Path("demo")
SAMPLES = Path(__file__).parent / "samples"
VARIANTS = 40
# Bundled images by writers on whom the base was not trained (the validation writers of
# training.trials), so that the demo shows what a stranger would see.
_TWOS = (1000, 1043, 1115, 1208, 1263, 1334, 1420, 1485)
_OTHERS = (0, 620, 1702, 2334, 2936, 3632, 4300, 4985)
_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Service:
    """A running service: where it answers."""

    target: str
    metrics: str


def main() -> int:
    """Run the demo; return 0, or 1 if a step failed."""
    try:
        _run()
    except subprocess.CalledProcessError as error:
        print(f"\nthis step failed with status {error.returncode}: {error.cmd}", file=sys.stderr)
        return 1
    return 0


def _run() -> None:
    HOME.mkdir(exist_ok=True)
    _say("1. Enrol one picture", f"{SAMPLES / 'two.jpg'}")
    models = HOME / "exported"
    bundle = _lines(
        "-m", "training", "enroll", SAMPLES / "two.jpg", "--profile", "sample", "--out", models
    )[-1]
    print(f"   bundle  {bundle}\n   report  {bundle}/report/index.html")
    with _service(models) as service:
        _say("2. Serve it", f"gRPC on {service.target}, metrics on {service.metrics}")
        _say("3. Classify", "through the running service")
        pictures = HOME / "pictures"
        same, others = _write_background(pictures)
        _verdicts(service, "the enrolled picture", [SAMPLES / "two.jpg"])
        _verdicts(service, "the same hand again", [SAMPLES / "two-again.jpg"])
        _verdicts(service, f"{len(same)} real 2s by others", same)
        _verdicts(service, f"{len(others)} other digits", others)
        _say("4. Draw variants", f"{VARIANTS} from the prior")
        variants = HOME / "variants"
        _client(service, "variants", "--count", VARIANTS, "--seed", 1, "--out", variants)
        print(f"   sheet   {variants / 'sheet.png'}")
        _say("5. Read the metrics", service.metrics)
        _latencies(service)
    _say("Done", "the service drained and stopped")
    print("   serve it yourself: python -m serving --models demo/exported")


@contextmanager
def _service(models: Path) -> Iterator[Service]:
    """Start the service on free ports, wait until it serves, stop it by SIGTERM at the end."""
    command = (
        sys.executable, "-m", "serving", "--models", str(models), "--port", "0",
        "--metrics-port", "0", "--drain-delay", "0", "--log-format", "json",
    )  # fmt: skip
    log = HOME / "service.log"
    with log.open("w") as file, subprocess.Popen(command, stderr=file) as process:  # noqa: S603
        try:
            yield _wait(process, log)
        finally:
            process.terminate()
            status = process.wait(_STOP_SECONDS)
    if status != 0:
        raise subprocess.CalledProcessError(status, command)


def _wait(process: subprocess.Popen[bytes], log: Path) -> Service:
    """Follow the service's log until it says that it serves; not all of it need be JSON."""
    give_up = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < give_up:
        lines = log.read_text().splitlines(keepends=True)
        whole = [line for line in lines if line.startswith("{") and line.endswith("\n")]
        events = {event["event"]: event for event in map(json.loads, whole)}
        if "serving" in events:
            ports = events["listening"]
            return Service(
                f"127.0.0.1:{ports['port']}", f"http://127.0.0.1:{ports['metrics_port']}/metrics"
            )
        time.sleep(0.1)
    print(f"the service did not start; see {log}", file=sys.stderr)
    raise subprocess.CalledProcessError(process.poll() or 1, process.args)


def _write_background(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write a few real digits of MNIST as PNG files; return other people's 2s and other digits."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load_bundled()
    same, others = (
        Digits(digits.images[list(rows)], digits.labels[list(rows)]) for rows in (_TWOS, _OTHERS)
    )
    return _write(same, folder, "other-writer"), _write(others, folder, "other")


def _write(digits: Digits, folder: Path, name: str) -> list[Path]:
    paths = [folder / f"{name}-{index}-is-{label}.png" for index, label in enumerate(digits.labels)]
    for path, image in zip(paths, digits.images, strict=True):
        path.write_bytes(encode_png(image))
    return paths


def _verdicts(service: Service, title: str, pictures: Sequence[Path]) -> None:
    answers = [json.loads(line) for line in _client(service, "classify", "--json", *pictures)]
    sent = set(map(str, pictures))
    verdicts = [answer for answer in answers if answer["image"] in sent]  # leaves out the fused
    if len(verdicts) != len(pictures):
        raise subprocess.CalledProcessError(1, "serving.client classify")
    counts = Counter(verdict["label"] for verdict in verdicts)
    told = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in counts.items())
    own = sum(verdict["own"] for verdict in verdicts) / len(verdicts)
    llr = sum(verdict["llr"] for verdict in verdicts) / len(verdicts)
    print(f"   {title:24} -> {told:32} mean P(own) {own:.3f}  mean llr {llr:+.1f}")


def _latencies(service: Service) -> None:
    """Print the mean of three latencies, from their histograms."""
    with urllib.request.urlopen(service.metrics, timeout=10) as answer:  # noqa: S310 - loopback
        families = {
            family.name: family for family in text_string_to_metric_families(answer.read().decode())
        }
    for family, labels in (
        ("grpc_server_handling_seconds", {"grpc_method": "Classify"}),
        ("grpc_server_handling_seconds", {"grpc_method": "GenerateVariants"}),
        ("onehand_stage_seconds", {"stage": "infer"}),
    ):
        sums = {"_sum": 0.0, "_count": 0.0}
        for sample in families[family].samples:
            suffix = sample.name.removeprefix(family)
            if suffix in sums and labels.items() <= sample.labels.items():
                sums[suffix] += sample.value
        if not sums["_count"]:
            raise subprocess.CalledProcessError(1, f"{family}{labels} was never observed")
        shown = f"{family}{{{', '.join(f'{k}={v}' for k, v in labels.items())}}}"
        mean = sums["_sum"] / sums["_count"] * 1e3
        print(f"   {shown:62} {sums['_count']:4.0f} x {mean:8.3f} ms")


def _client(service: Service, verb: str, *arguments: object) -> list[str]:
    return _lines("-m", "serving.client", verb, "--target", service.target, *arguments)


def _lines(*arguments: object) -> list[str]:
    """Run Python with these arguments, progress to the terminal; return its lines of output."""
    command = [sys.executable, *map(str, arguments)]
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603
    return result.stdout.splitlines()


def _say(title: str, detail: str) -> None:
    print(f"\n{title}: {detail}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
