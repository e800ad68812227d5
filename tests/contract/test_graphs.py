"""The graphs that lie beside the code are those that the exporter writes."""

import pytest
from torch import nn

from serving import bundle
from training.graphs.__main__ import default_networks
from training.to_onnx import export_anew, fill


@pytest.fixture(scope="module")
def networks() -> dict[str, tuple[nn.Module, bundle.Graph]]:
    """Return the networks of a default enrolment."""
    return default_networks()


@pytest.mark.parametrize("name", bundle.GRAPHS)
def test_a_filled_graph_is_what_the_exporter_writes(
    networks: dict[str, tuple[nn.Module, bundle.Graph]], name: str
) -> None:
    """To the byte; after a change of a network run ``make graphs``."""
    network, contract = networks[name]
    assert fill(network, name) == export_anew(network, contract, name)


def test_another_network_is_exported(networks: dict[str, tuple[nn.Module, bundle.Graph]]) -> None:
    """A graph is not filled with weights that it was not made for."""
    other, _ = networks[bundle.ENCODER]
    assert fill(other, bundle.DECODER) is None
