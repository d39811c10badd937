"""A worker publishes what it made while the store was away, though nobody asks for it again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flows.farm.left_over import keep_published
from media.errors import StoreError
from tests.media.object_server import (
    Farm,
    forget_connections,
    gate_before,
    object_server,
    s3_error,
)

KEY = "ab" * 32


def test_a_take_is_published_once_the_store_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with object_server(tmp_path / "objects") as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TAKEBOARD_STORE_PATIENCE", "0")
        farm = Farm(server, tmp_path)
        with gate_before(server) as gate:
            monkeypatch.setenv("AWS_ENDPOINT_URL", gate.endpoint)
            forget_connections()
            gate.before = lambda request, headers: (
                s3_error(500, "InternalError") if "/files/" in request else None
            )
            made = farm.store("a")
            with pytest.raises(StoreError, match="is not shared yet"):
                made.make(KEY, _write)
            assert farm.store("b").find(KEY) is None
            gate.before = lambda request, headers: None
            asyncio.run(_for_a_while(made.root))
            assert farm.store("b").find(KEY) is not None
        forget_connections()


async def _for_a_while(root: Path) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(keep_published(root, every_s=0.1), timeout=3.0)


def _write(folder: Path) -> dict[str, object]:
    (folder / "picture.mp4").write_bytes(b"frames")
    return {}
