"""A take's job in the store, so that another machine can make it with nothing but the store.

    root/tickets/ab/<key of the take>/ticket.json     the job, and which files it names
    root/assets/cd/<SHA-256 of a file>/asset.png      each of them, once for all tickets

A ticket is read back as the job it was written from: the take's key is computed again from what
was read, so that no machine makes another take than the one that was planned.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from generator.backends.base import Backend, RenderTools
from generator.history import why_stale
from generator.keys import canonical, request_key
from generator.plan import ShotJob
from generator.rendering import (
    changed_since_plan,
    named_files,
    render_take,
    tools_for,
    verified_files,
)
from generator.requests import assets_for
from generator.takes import Take, TakeStore
from media.errors import RefusalError, RenderError
from media.store import ContentStore
from storyboards.film import Film

__all__ = [
    "ASSETS",
    "TICKETS",
    "Ticket",
    "assets_of_tickets",
    "publish_ticket",
    "read_ticket",
    "render_ticket",
]

TICKETS, ASSETS = "tickets", "assets"
"""Kinds of the store."""

_FORM = 1
"""Of the ticket's JSON."""
_TICKET = "ticket.json"
_COPY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job as another machine reads it."""

    job: ShotJob
    film_code: str
    film_title: str
    assets: Mapping[str, Path]
    """The files that the job names, by SHA-256, verified."""


@dataclass(frozen=True, slots=True)
class _Written:
    """What a ticket's file holds."""

    form: int
    takeboard: str
    """The version that wrote it."""
    film_code: str
    film_title: str
    job: ShotJob
    assets: Mapping[str, str]
    """What each file is called beside the storyboard, by SHA-256; for messages."""


def publish_ticket(job: ShotJob, film: Film, store: TakeStore) -> None:
    """Put the job, and the files that it names, where every machine finds them.

    What is there already is left as it is, and noted to be of use. RenderError when a file is no
    longer what the plan was made with.
    """
    assets, tickets = _stores(store)
    named = named_files(job.request)
    if _is_current(tickets, job.key) and all(assets.peek(digest) for digest in named):
        for digest in named:
            assets.touch(digest)
        return
    paths = verified_files(job, assets_for(film))
    for digest, path in paths.items():
        _publish_asset(job, digest, path, assets)
    written = _Written(
        form=_FORM,
        takeboard=version("takeboard"),
        film_code=film.code,
        film_title=film.title,
        job=job,
        assets={digest: path.name for digest, path in paths.items()},
    )
    text = _form_of_tickets().dump_json(written, indent=1)
    _read(text, job.key)  # whatever would not be read back is said here, where it can be mended

    def build(folder: Path) -> Mapping[str, Any]:
        (folder / _TICKET).write_bytes(text)
        return {"takeboard": written.takeboard, "form": _FORM, "assets": dict(written.assets)}

    tickets.make(job.key, build)


def read_ticket(key: str, store: TakeStore) -> Ticket:
    """The ticket of the take `key`, with its files. RenderError tells why there is none."""
    assets, tickets = _stores(store)
    entry = tickets.find(key)
    if entry is None or _TICKET not in entry.files:
        raise RenderError(
            f"the store has no ticket for the take {key[:12]}",
            where=str(store.entries.root),
            todo="see that every machine uses the same store, and start the film again",
        )
    written = _read(entry.files[_TICKET].read_bytes(), key)
    found: dict[str, Path] = {}
    for digest in named_files(written.job.request):
        asset = assets.find(digest)
        if asset is None:
            raise RenderError(
                f"{written.assets.get(digest, 'a file')} is not in the store",
                where=_where(written.job),
                todo="start the film again: what is missing is put there",
            )
        found[digest] = next(iter(asset.files.values()))
    return Ticket(written.job, written.film_code, written.film_title, found)


def render_ticket(
    key: str, store: TakeStore, backend_of: Callable[[str], Backend], tools: RenderTools
) -> Take:
    """The take `key`, made from its ticket when it is not in the store.

    RenderError when this machine would make another one than was planned.
    """
    take = store.find(key)
    if take is not None:
        return take
    ticket = read_ticket(key, store)
    job = ticket.job
    try:
        backend = backend_of(job.backend)
    except KeyError:
        raise RenderError(
            f"there is no backend {job.backend} in this installation",
            where=_where(job),
            todo="install the same Takeboard on every machine",
        ) from None
    _require_same(job, backend)
    return render_take(job, backend, store, tools_for(job, ticket.assets, store, tools))


def assets_of_tickets(root: Path) -> frozenset[str]:
    """Keys of the assets that some ticket in the store names. The tickets are no newer for it."""
    tickets = ContentStore(root, TICKETS)
    # Not by `find`, which notes that the ticket is of use.
    written = tickets.details_of(tickets.keys()).values()
    return frozenset(str(digest) for details in written for digest in details.get("assets", ()))


def _stores(store: TakeStore) -> tuple[ContentStore, ContentStore]:
    root = store.entries.root
    return ContentStore(root, ASSETS), ContentStore(root, TICKETS)


def _is_current(tickets: ContentStore, key: str) -> bool:
    """Whether the ticket is there as this version writes it; one of another version is removed."""
    if not tickets.peek(key):
        return False
    entry = tickets.find(key, verify=False)
    if entry is None:
        return False
    if (entry.details.get("form"), entry.details.get("takeboard")) == (
        _FORM,
        version("takeboard"),
    ):
        tickets.touch(key)
        return True
    tickets.remove(key, used_before=math.inf)
    return False


def _publish_asset(job: ShotJob, digest: str, path: Path, assets: ContentStore) -> None:
    if assets.peek(digest):
        assets.touch(digest)
        return

    def build(folder: Path) -> Mapping[str, Any]:
        _copy(path, folder / f"asset{path.suffix.lower()}", digest, job)
        return {"name": path.name}

    assets.make(digest, build)


def _copy(path: Path, copy: Path, digest: str, job: ShotJob) -> None:
    """Copy what is found to be the file that the plan was made with."""
    hasher = hashlib.sha256()
    try:
        source = path.open("rb")
    except OSError as error:
        raise changed_since_plan(job, path) from error
    with source, copy.open("xb") as target:
        while chunk := source.read(_COPY_BYTES):
            hasher.update(chunk)
            target.write(chunk)
    if hasher.hexdigest() != digest:
        raise changed_since_plan(job, path)


def _read(text: bytes, key: str) -> _Written:
    """What the ticket says, if it is that of the take `key`."""
    by = version("takeboard")
    try:
        head = json.loads(text)
        by = str(head["takeboard"])
        if head["form"] == _FORM:
            written = _form_of_tickets().validate_json(text)
            job = written.job
            if job.key == key == request_key(job.request, job.backend, job.revision):
                return written
    except (ValueError, KeyError, TypeError) as error:
        raise _unreadable(key, by) from error
    raise _unreadable(key, by)


def _unreadable(key: str, by: str) -> RenderError:
    here = version("takeboard")
    if by == here:
        return RenderError(
            f"the ticket of the take {key[:12]} is damaged: it does not read as that take's job",
            todo=f"remove {TICKETS}/{key[:2]}/{key} from the store and start the film again",
        )
    return RenderError(
        f"the ticket of the take {key[:12]} was written by Takeboard {by} and does not read as "
        f"that take's job with this one, {here}",
        todo="install the same version on every machine and start the film again",
    )


def _require_same(job: ShotJob, backend: Backend) -> None:
    """RenderError unless the backend here would make the very take that was planned."""
    if backend.unready:
        raise RefusalError(f"{backend.id} {backend.unready}", where=_where(job))
    todo = "give every machine the same models file and weights, and start the film again"
    if backend.revision != job.revision:
        raise RenderError(
            f"planned for {backend.id} {job.revision}, but this machine has {backend.revision}",
            where=_where(job),
            todo=todo,
        )
    request = job.request.cut_from.request if job.request.cut_from else job.request
    try:
        # Which parts a model has is said in the request; what is snapped snaps to itself.
        here = replace(backend.snap(request).request, seed=request.seed)
    except RefusalError as refusal:
        raise RefusalError(refusal.what, where=_where(job), todo=refusal.todo or todo) from refusal
    planned, found = canonical(request), canonical(here)
    if planned != found:
        facts = {"backend": job.backend, "revision": job.revision}
        differs = why_stale({**facts, "request": planned}, {**facts, "request": found}, {})
        raise RenderError(
            f"{backend.id} on this machine would make another take: {differs}",
            where=_where(job),
            todo=todo,
        )


def _where(job: ShotJob) -> str:
    return f"{job.shot_id} take {job.take}"


@cache
def _form_of_tickets() -> TypeAdapter[_Written]:
    return TypeAdapter(_Written)
