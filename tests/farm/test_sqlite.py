"""What `begin_immediate` relies on in Prefect, and that two writers no longer refuse each other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.exc import OperationalError

from flows.farm.sqlite import begin_immediate


@pytest.fixture
def as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    # Set to what it is, so that it is put back.
    monkeypatch.setattr(
        AioSqliteConfiguration, "begin_transaction", AioSqliteConfiguration.begin_transaction
    )


def test_prefects_own_writers_refuse_each_other(tmp_path: Path, as_before: None) -> None:
    # When this no longer fails, Prefect has mended it and ours can go.
    with pytest.raises(OperationalError, match="database is locked"):
        asyncio.run(_two_writers(tmp_path))


def test_ours_wait_for_each_other(tmp_path: Path, as_before: None) -> None:
    begin_immediate()
    assert asyncio.run(_two_writers(tmp_path)) == 2


async def _two_writers(folder: Path) -> int:
    """Each reads a number and writes the next one; what the number is in the end."""
    config = AioSqliteConfiguration(connection_url=f"sqlite+aiosqlite:///{folder / 'a.db'}")
    engine = await config.engine()
    async with engine.begin() as made:
        await made.execute(sa.text("create table counted (number integer)"))
        await made.execute(sa.text("insert into counted values (0)"))

    async def count() -> None:
        async with await config.session(engine) as session, config.begin_transaction(session):
            number = await session.scalar(sa.text("select number from counted"))
            await asyncio.sleep(0.2)  # the other one reads meanwhile, if it may
            await session.execute(sa.text(f"update counted set number = {number} + 1"))

    try:
        await asyncio.gather(count(), count())
        async with engine.begin() as seen:
            return int(await seen.scalar(sa.text("select number from counted")) or 0)
    finally:
        await engine.dispose()
