"""A film from a server: asked for once, waited for, fetched, found whole.

    write row → POST → write job id → wait → fetch → verify → write its hash

Whatever stops this in between, the next call goes on from the row. A job that the server has
forgotten is lost: both engines keep their jobs in one process's memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from generator.backends.video_api.client import VideoServer
from generator.backends.video_api.ledger import Ledger, Row
from generator.backends.video_api.wire import Body, Job
from media.errors import CancelledError, MediaError, RefusalError, RenderError
from media.files import sha256_file
from media.probe import probe

__all__ = ["FilmOrder", "Received", "receive_film"]

_MOST_SUBMITS = 3
"""Of one job: lost so often, it is the server that is broken."""

_MOST_FETCHES = 3
"""Of one film that arrives damaged."""

_CLOCKS_DIFFER_S = 60.0

_SHAPE_DIFFERS = 0.03
"""A server may round a size to its own multiples; more than this would squash faces."""


@dataclass(frozen=True, slots=True)
class FilmOrder:
    """One job to have made."""

    key: str
    take: str
    prompt: str
    body: Callable[[], Body]
    """Made when it is needed: references are heavy."""
    size: tuple[int, int]
    fps: Fraction
    least_frames: int
    lists_prompts: bool
    """Whether the server's list tells jobs by their prompt, so that a lost answer can be found."""


@dataclass(frozen=True, slots=True)
class Received:
    """A whole film, and what happened on the way."""

    path: Path
    row: Row
    warnings: tuple[str, ...]


def receive_film(
    order: FilmOrder,
    server: VideoServer,
    ledger: Ledger,
    *,
    should_stop: Callable[[], bool],
    on_progress: Callable[[int], None],
) -> Received:
    """The film of `order`, made now or earlier.

    `on_progress` is told percent. RefusalError and RenderError in the server's words; when
    cancelled the job is removed from the server.
    """
    with ledger.held(order.key, should_stop):
        desk = _Desk(order, server, ledger, on_progress)
        row = ledger.read(order.key)
        if row is not None and row.server != server.origin:
            # Another server knows nothing of that job.
            row = None
        while True:
            if row is not None and ledger.has_film(row):
                return Received(ledger.film(order.key), row, tuple(desk.warnings))
            row = desk.submitted(row)
            try:
                done = desk.wait(row)
                row = desk.fetch(row, done) if done is not None else desk.lost(row)
            except CancelledError:
                if server.remove(row.job_id):
                    ledger.forget(order.key)
                raise


class _Desk:
    """The steps of one order."""

    def __init__(
        self,
        order: FilmOrder,
        server: VideoServer,
        ledger: Ledger,
        on_progress: Callable[[int], None],
    ) -> None:
        self.order, self.server, self.ledger = order, server, ledger
        self.on_progress = on_progress
        self.warnings: list[str] = []

    def submitted(self, row: Row | None) -> Row:
        """A row with a job: the one that there is, found again, or a new one."""
        while row is None or not row.job_id:
            found = self._unclaimed(row)
            if found is not None and row is not None:
                row = row.model_copy(update={"job_id": found.id})
                self.ledger.write(row)
                continue
            submits = row.submits if row is not None else 0
            if row is not None:
                self._require_more_tries(row)
                self.warnings.append(
                    "it is not known what became of a job that the server was asked for; "
                    "it was asked again"
                )
            row = self._submit(submits + 1)
        return row

    def wait(self, row: Row) -> Job | None:
        """The finished job, or None when the server has lost it."""
        patience = self.server.patience
        pause_s = patience.poll_s
        last: tuple[str, float | None] = ("", None)
        since = time.monotonic()
        while True:
            job = self.server.look(row.job_id)
            if job is None:
                return None
            if job.state == "done":
                self.on_progress(100)
                return job
            if job.state == "failed":
                self._fail(job)
            self.on_progress(int(min(99.0, max(0.0, job.progress or 0.0))))
            if (job.status, job.progress) != last:
                last, since, pause_s = (job.status, job.progress), time.monotonic(), patience.poll_s
            if time.monotonic() - since > patience.stalled_s:
                raise RenderError(
                    f"job {row.job_id} has shown no progress for {patience.stalled_s / 60:g} "
                    f"minutes ({self.server.words_of(job.status)})",
                    where=self.server.origin,
                    todo="look at the server; run again to go on waiting",
                )
            self.server.pause(pause_s)
            pause_s = min(patience.longest_poll_s, pause_s * 1.5)

    def fetch(self, row: Row, job: Job) -> Row:
        """The row with the hash of its film, or without its job when the film is gone."""
        path = self.ledger.film(self.order.key)
        why = ""
        for _ in range(_MOST_FETCHES):
            if not self.server.fetch(row.job_id, path):
                return self.lost(row)
            why = _damage(path)
            if not why:
                break
            path.unlink(missing_ok=True)
        else:
            raise RenderError(
                f"the film of job {row.job_id} arrives damaged: {why}",
                where=self.server.origin,
                todo="run again to fetch it again",
            )
        self._require_as_ordered(path)
        done = row.model_copy(
            update={
                "sha256": sha256_file(path),
                "model": self.server.words_of(job.model or ""),
                "peak_memory_mb": max(0.0, job.peak_memory_mb or 0.0),
                "server_s": max(0.0, job.inference_time_s or 0.0),
            }
        )
        self.ledger.write(done)
        return done

    def lost(self, row: Row) -> Row:
        """The row of a job that the server does not know any more: without a job."""
        self._require_more_tries(row)
        self.warnings.append(f"the server lost job {row.job_id}; it was asked again")
        return self._submit(row.submits + 1)

    def _submit(self, submits: int) -> Row:
        """Ask for the job; the row is written before and after."""
        body = self.order.body()
        row = Row(
            key=self.order.key,
            take=self.order.take,
            server=self.server.origin,
            asked_at=time.time(),
            submits=submits,
        )
        self.ledger.write(row)
        try:
            job = self.server.create(body)
        except (RenderError, CancelledError):
            # Turned away, or never reached: there is no job to answer for.
            self.ledger.forget(self.order.key)
            raise
        if job is None:
            return row
        row = row.model_copy(update={"job_id": job.id})
        self.ledger.write(row)
        return row

    def _unclaimed(self, row: Row | None) -> Job | None:
        """The one job of the server's that is ours though its id never reached us."""
        if row is None or not self.order.lists_prompts or not self.order.prompt:
            return None
        claimed = self.ledger.job_ids(self.server.origin)
        found = [
            job
            for job in self.server.listed()
            # What references show may be said before the prompt.
            if (job.prompt or "").endswith(self.order.prompt)
            and job.id not in claimed
            and job.state != "failed"
            and (job.created_at or 0.0) >= row.asked_at - _CLOCKS_DIFFER_S
        ]
        return found[0] if len(found) == 1 else None

    def _require_more_tries(self, row: Row) -> None:
        if row.submits < _MOST_SUBMITS:
            return
        self.ledger.forget(self.order.key)
        raise RenderError(
            f"the server lost the job {row.submits} times",
            where=self.server.origin,
            todo="look at the server: it may restart on every job",
        )

    def _fail(self, job: Job) -> NoReturn:
        """Say why the server could not make it. A new run asks anew."""
        self.ledger.forget(self.order.key)
        words = self.server.words_of(job.error) or "it says no reason"
        code = job.error.get("code") if isinstance(job.error, dict) else None
        refused = isinstance(code, int) and 400 <= code < 500
        if refused:
            raise RefusalError(
                f"the video server refuses the shot: {words}", where=self.server.origin
            )
        raise RenderError(
            f"the video server failed to make the shot: {words}", where=self.server.origin
        )

    def _require_as_ordered(self, path: Path) -> None:
        found = probe(path)
        asked = self.order
        width, height = found.size or (0, 0)
        shape = (width / max(1, height)) / (asked.size[0] / asked.size[1])
        if (
            found.num_frames >= asked.least_frames
            and found.fps == asked.fps
            and abs(shape - 1) <= _SHAPE_DIFFERS
        ):
            return
        self.ledger.forget(asked.key)
        wide, high = asked.size
        raise RenderError(
            f"expected at least {asked.least_frames} frames of {wide}x{high} at {asked.fps} fps, "
            f"the server made {found.num_frames} of {width}x{height} at {found.fps} fps",
            where=self.server.origin,
            todo="set variant in models.toml to the kind of model that the server runs",
        )


def _damage(path: Path) -> str:
    """What is wrong with a film that has arrived, or nothing."""
    try:
        announced = probe(path)
        if announced.size is None:
            return "it holds no picture"
        counted = probe(path, count_frames=True)
    except MediaError as error:
        return error.what
    if counted.num_frames < announced.num_frames or not counted.num_frames:
        return f"expected {announced.num_frames} frames, {counted.num_frames} arrived"
    return ""
