"""An object store for the tests that ask for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media.object_server import (
    Farm,
    Gate,
    ObjectServer,
    forget_connections,
    gate_before,
    object_server,
)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with object_server(tmp_path_factory.mktemp("objects")) as started:
        yield started


@pytest.fixture
def farm(server: ObjectServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Farm:
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return Farm(server, tmp_path)


@pytest.fixture
def gate(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    with gate_before(farm.server) as opened:
        monkeypatch.setenv("AWS_ENDPOINT_URL", opened.endpoint)
        forget_connections()
        yield opened
    forget_connections()
