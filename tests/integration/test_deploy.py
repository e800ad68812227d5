"""What ``deploy`` names is there: metrics and labels on the real endpoint, settings, ports."""

import json
import re
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from serving.service import SERVICE_NAME
from serving.settings import PREFIX, Settings
from tests.serving_host import PATIENCE, Running

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = DEPLOY / "prometheus/rules.yml"
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="needs the promtool binary (Debian package prometheus)"
)

# Prometheus itself makes these.
METRICS_OF_PROMETHEUS = {"up"}
LABELS_OF_PROMETHEUS = {"job", "instance"}
KEYWORDS = {"and", "or", "unless", "by", "on", "Inf"}

LABELS_GIVEN = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
LABELS_GROUPED = re.compile(r"\b(?:by|on)\s*\(([^)]*)\)")
NAME = re.compile(r"(?<![\w.])[a-zA-Z_][\w:]*(?!\s*\()\b")


def rules() -> list[dict[str, Any]]:
    """Return every rule."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> list[str]:
    """Return every expression of the dashboard, with its variables filled in."""
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    filled = {"$__rate_interval": "1m", "$job": "onehand", "$instance": ".*"}
    expressions = [t["expr"] for panel in board["panels"] for t in panel.get("targets", [])]
    for variable, value in filled.items():
        expressions = [expression.replace(variable, value) for expression in expressions]
    return expressions


def labels_used(expression: str) -> set[str]:
    """Return the labels that an expression matches or groups by."""
    grouped = ",".join(LABELS_GROUPED.findall(expression))
    return set(LABELS_GIVEN.findall(expression)) | set(re.findall(r"\w+", grouped))


def metrics_used(expression: str) -> set[str]:
    """Return the metrics that an expression names: each name that is not something else."""
    for other in (r"\{[^}]*\}", r"\[[^]]*\]", LABELS_GROUPED.pattern):
        expression = re.sub(other, " ", expression)
    return set(NAME.findall(expression)) - KEYWORDS


EXPRESSIONS = [*dashboard(), *(rule["expr"] for rule in rules())]


@pytest.fixture(scope="module")
def exposition(shared_server: Running) -> str:
    """What a real server shows."""
    address = f"http://127.0.0.1:{shared_server.server.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer:
        text: str = answer.read().decode()
    return text


@pytest.fixture(scope="module")
def shown(exposition: str) -> dict[str, set[str]]:
    """The labels of each sample that is shown, by its name."""
    seen: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            seen.setdefault(sample.name, set()).update(sample.labels)
    return seen


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_metrics_exist(expression: str, shown: dict[str, set[str]]) -> None:
    """Each metric that the dashboard or a rule asks for is shown by a server, or recorded."""
    recorded = {rule["record"] for rule in rules() if "record" in rule}

    names = metrics_used(expression)

    assert names
    assert names - shown.keys() - recorded - METRICS_OF_PROMETHEUS == set()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_labels_exist(expression: str, shown: dict[str, set[str]]) -> None:
    """Each label that is asked for is one of a metric in the same expression."""
    names = metrics_used(expression)
    recorded = {name for name in names if ":" in name}
    there = LABELS_OF_PROMETHEUS.union(*(shown.get(name, set()) for name in names))

    assert recorded or labels_used(expression) <= there


def test_names_are_found() -> None:
    """The checks above see through functions, durations and groups, and would see a wrong name."""
    expression = (
        'histogram_quantile(0.9, sum by (le, stage) (rate(onehand_staeg_bucket{jbo=~"a|b"}[5m])))'
        " / on (job) job:some:rate5m > 1e3 or vector(0) < +Inf"
    )

    assert metrics_used(expression) == {"onehand_staeg_bucket", "job:some:rate5m"}
    assert labels_used(expression) == {"le", "stage", "jbo", "job"}


def test_panels_are_apart() -> None:
    """Every panel has its own number and place."""
    board = json.loads((DEPLOY / "grafana/dashboard.json").read_text())
    places = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len(set(places)) == len(places)
    assert max(x for x, _ in places) == 23


def promtool(*arguments: str, text: str = "") -> None:
    """Run promtool and show what it says if it complains."""
    assert PROMTOOL is not None
    run = subprocess.run(
        [PROMTOOL, *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


@needs_promtool
def test_exposition_is_clean(exposition: str) -> None:
    """Names, types and help of every metric are as Prometheus wants them."""
    promtool("check", "metrics", text=exposition)


@needs_promtool
def test_rules_hold() -> None:
    """Configuration and rules are valid, and the rules do what their tests say."""
    promtool("check", "config", "--lint-fatal", str(DEPLOY / "prometheus/prometheus.yml"))
    promtool("test", "rules", str(DEPLOY / "prometheus/rules_test.yml"))


@needs_promtool
def test_dashboard_is_promql(tmp_path: Path) -> None:
    """Prometheus can parse every expression of the dashboard."""
    group = [{"record": f"panel:{n}", "expr": expr} for n, expr in enumerate(dashboard())]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": group}]}))

    promtool("check", "rules", str(file))


def test_every_alert_is_tested() -> None:
    """Each alert is seen to fire, and seen to stay silent."""
    alerts = {rule["alert"] for rule in rules() if "alert" in rule}
    tests = yaml.safe_load((DEPLOY / "prometheus/rules_test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]

    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == alerts
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == alerts


@pytest.fixture
def objects() -> dict[str, Any]:
    """The Kubernetes objects, by kind; there are two of one, which are told by their names."""
    files = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    found = [one for file in files for one in yaml.safe_load_all(file.read_text())]
    return {one["kind"]: one for one in found} | {
        f"{one['kind']} {one['metadata']['name']}": one for one in found
    }


@pytest.fixture
def container(objects: dict[str, Any]) -> dict[str, Any]:
    """The only container of the Deployment."""
    (only,) = objects["Deployment"]["spec"]["template"]["spec"]["containers"]
    found: dict[str, Any] = only
    return found


def test_container_is_set_as_the_server_knows(container: dict[str, Any]) -> None:
    """Variables are settings, ports are the defaults, probes ask for services that there are."""
    fields = Settings.__dataclass_fields__
    variables = [variable["name"] for variable in container["env"]]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    probes = [container[f"{kind}Probe"]["grpc"] for kind in ("startup", "readiness", "liveness")]

    assert [v for v in variables if v.removeprefix(PREFIX).lower() not in fields] == []
    assert ports == {"grpc": Settings().port, "metrics": Settings().metrics_port}
    assert [probe["port"] for probe in probes] == [Settings().port] * 3
    assert [probe.get("service", "") for probe in probes] == [SERVICE_NAME, SERVICE_NAME, ""]


def test_pod_is_given_time_to_stop(objects: dict[str, Any], container: dict[str, Any]) -> None:
    """The kubelet waits longer than the server takes."""
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    set_here = {v["name"].removeprefix(PREFIX).lower(): v["value"] for v in container["env"]}
    drain_delay = float(set_here.get("drain_delay", Settings().drain_delay))
    grace = float(set_here.get("grace", Settings().grace))

    assert pod["terminationGracePeriodSeconds"] >= drain_delay + grace + 10


def test_pod_may_do_nothing_it_need_not(objects: dict[str, Any], container: dict[str, Any]) -> None:
    """The pod passes the restricted level of the pod security standards."""
    pod = objects["Deployment"]["spec"]["template"]["spec"]

    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_objects_mean_the_same_pods(objects: dict[str, Any], container: dict[str, Any]) -> None:
    """Every selector and port name fits the pod."""
    deployment = objects["Deployment"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    policy = objects["NetworkPolicy"]["spec"]
    ports = {port["name"] for port in container["ports"]}

    assert deployment["spec"]["selector"]["matchLabels"] == labels
    services = [objects[f"Service {name}"]["spec"] for name in ("onehand", "onehand-metrics")]
    assert [service["selector"] for service in services] == [labels] * 2
    assert [service["clusterIP"] for service in services] == ["None"] * 2
    assert objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"] == labels
    assert policy["podSelector"]["matchLabels"] == labels
    assert {p["targetPort"] for service in services for p in service["ports"]} == ports
    assert {p["port"] for rule in policy["ingress"] for p in rule["ports"]} == ports
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])


def test_prometheus_finds_pods_that_are_not_ready(objects: dict[str, Any]) -> None:
    """Else no alert would ever say that one does not get ready; clients are not sent to it."""
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"][
        0
    ]
    [name] = scraped["dns_sd_configs"][0]["names"]
    found = objects[f"Service {name.partition('.')[0]}"]["spec"]

    assert found["publishNotReadyAddresses"] is True
    assert [port["port"] for port in found["ports"]] == [scraped["dns_sd_configs"][0]["port"]]
    assert not objects["Service onehand"]["spec"].get("publishNotReadyAddresses")
