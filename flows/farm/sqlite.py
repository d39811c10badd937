"""Writers of Prefect's SQLite database that wait in line instead of refusing each other.

Prefect begins most of its transactions DEFERRED. Such a one reads first and asks for the right to
write later; if another has written meanwhile, SQLite refuses it at once (SQLITE_BUSY_SNAPSHOT,
sqlite.org/rescode.html), the server answers 503, and the client comes back after seconds that
double each time. Begun IMMEDIATE, a transaction waits for its turn at its beginning, and no more.
"""

from __future__ import annotations

from prefect.server.database.configurations import AioSqliteConfiguration
from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["begin_immediate"]

_begin = AioSqliteConfiguration.begin_transaction


def begin_immediate() -> None:
    """Have this process, a Prefect server, begin every transaction on SQLite IMMEDIATE."""

    def begin(self: AioSqliteConfiguration, session: AsyncSession, **asked: bool) -> object:
        # What Prefect does itself for those that it knows to write what they have read.
        return _begin(self, session, with_for_update=True)

    setattr(AioSqliteConfiguration, "begin_transaction", begin)  # noqa: B010  # mypy forbids it
