"""Fixtures that several test folders share."""

import gc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from tests import bundles
from tests.serving_host import Host, Running


@pytest.fixture(scope="session", autouse=True)
def quiet() -> None:
    """Servers in this process log nothing; those in processes of their own are watched."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))


@pytest.fixture(scope="session")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one tiny profile."""
    root = tmp_path_factory.mktemp("hands")
    bundles.build(root)
    return root


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """An event loop in a thread, in which servers can be run."""
    host = Host()
    yield host
    host.close()


@pytest.fixture(scope="session")
def shared_server(host: Host, hands: Path) -> Iterator[Running]:
    """A ready server that serves the tiny profile; for tests that leave it as it is."""
    with host.running(models=hands) as running:
        yield running


@pytest.fixture
def make_server(host: Host, hands: Path) -> Iterator[Callable[..., Running]]:
    """Start a server of its own with these settings, stopped after the test."""
    with host.many(hands) as make:
        yield make


@pytest.fixture
def nobody_collects() -> Iterator[None]:
    """Keep the collector of garbage off: what goes now goes because nothing holds it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
