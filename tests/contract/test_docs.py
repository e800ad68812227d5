"""The documentation names what there is."""

import dataclasses
import re
from pathlib import Path
from types import ModuleType

import grpc
import pytest
from prometheus_client import CollectorRegistry

import serving.client
import serving.images
import serving.oip
import training
import training.base
import training.dataset
import training.evaluate
import training.generator
import training.latent
import training.stroke
from serving import status
from serving.metrics import Metrics
from serving.settings import Settings

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("field", dataclasses.fields(Settings), ids=lambda field: field.name)
def test_settings_are_documented(field: "dataclasses.Field[object]") -> None:
    """Each setting has its row, with its default."""
    default = "" if field.default is None else str(field.default)
    shown = default.lower() if isinstance(field.default, bool) else default or "(empty)"
    row = f"| `ONEHAND_{field.name.upper()}` | {shown} | {field.metadata['help']}"

    assert row in (DOCS / "operations.md").read_text()


def test_metrics_are_documented() -> None:
    """Each metric of our own has its row."""
    registry = CollectorRegistry()
    Metrics(registry)
    text = (DOCS / "metrics.md").read_text()
    names = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in registry.collect()
        if family.name.startswith(("grpc_", "onehand_"))
    }

    assert len(names) > 10
    assert [name for name in sorted(names) if f"| `{name}` |" not in text] == []


def test_statuses_are_documented() -> None:
    """Each code and reason of the table of statuses is in the table of the documentation."""
    text = (DOCS / "api.md").read_text()
    rows = status._TABLE.values()

    assert [row.reason for row in rows if f"| `{row.reason}` |" not in text] == []
    assert [row.code.name for row in rows if f"| `{row.code.name}` |" not in text] == []
    assert f"| `{grpc.StatusCode.CANCELLED.name}` |" in text


@pytest.mark.parametrize(
    "package",
    [
        serving,
        serving.client,
        serving.images,
        serving.oip,
        training,
        training.base,
        training.dataset,
        training.evaluate,
        training.generator,
        training.latent,
        training.stroke,
    ],
    ids=lambda package: package.__name__,
)
def test_each_module_is_on_the_map(package: ModuleType) -> None:
    """The docstring of a package names each module and package in it once, on a line of its own."""
    [folder] = map(Path, package.__path__)
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {f"{path.parent.name}/" for path in folder.glob("*/__init__.py")}

    named = re.findall(r"^    ([\w/]+) +\S", package.__doc__ or "", re.MULTILINE)

    assert sorted(named) == sorted(modules | packages)
