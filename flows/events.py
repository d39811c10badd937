"""What happens to a film, as events on the Prefect server that others can act on.

A shot is `takeboard.shot.CODE.sc010.sh0020`, its film `takeboard.film.CODE`; every event of a
shot names its film too, and Prefect adds the run it came from. Nothing here waits for the
server, and nothing that goes wrong with it is worth a take.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flows.settings import server_url

if TYPE_CHECKING:
    from flows.made import MadeFilm
    from generator.plan import ShotJob
    from generator.takes import Take
    from storyboards.film import Film

__all__ = [
    "FilmEvent",
    "emit",
    "film_delivered",
    "picked",
    "shot_failed",
    "shot_finished",
    "shot_started",
    "tell",
]

Fact = str | int | float | Sequence[str]

_ANSWER_WITHIN_S = 2.0
_MOST_CHARS = 500
"""Of a text in an event: the server keeps events for days."""


@dataclass(frozen=True, slots=True)
class FilmEvent:
    """Something that happened to a shot, or to the film when `shot` is empty."""

    name: str
    """Such as `takeboard.shot.finished`."""
    code: str
    """The film's."""
    shot: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def resource(self) -> dict[str, str]:
        """What it happened to, as Prefect names it."""
        if not self.shot:
            return self._film()
        return {
            "prefect.resource.id": _id("shot", self.code, *self.shot.split("/")),
            "prefect.resource.name": f"{self.code} {self.shot}",
            "takeboard.film": self.code,
        }

    @property
    def related(self) -> list[dict[str, str]]:
        """The film of a shot."""
        return [{**self._film(), "prefect.resource.role": "film"}] if self.shot else []

    def _film(self) -> dict[str, str]:
        return {"prefect.resource.id": _id("film", self.code), "prefect.resource.name": self.code}


def shot_started(code: str, job: ShotJob) -> FilmEvent:
    """A take is being made."""
    return FilmEvent("takeboard.shot.started", code, job.shot_id, _take(job))


def shot_finished(code: str, job: ShotJob, take: Take, *, seconds: float) -> FilmEvent:
    """A take is in the store; `seconds` is how long that took in this run."""
    facts: dict[str, Fact] = {
        "seconds": round(seconds, 1),
        "cost_usd": float(take.manifest.get("cost_usd", 0.0)),
        "path": str(take.picture),
    }
    return FilmEvent("takeboard.shot.finished", code, job.shot_id, {**_take(job), **facts})


def shot_failed(code: str, job: ShotJob, error: Exception, *, seconds: float) -> FilmEvent:
    """A take could not be made."""
    facts: dict[str, Fact] = {**_take(job), "seconds": round(seconds, 1)}
    facts["reason"] = str(error)[:_MOST_CHARS]
    return FilmEvent("takeboard.shot.failed", code, job.shot_id, facts)


def picked(film: Film, shot: str, take: int, key: str = "") -> FilmEvent:
    """A person chose the take that the film uses."""
    facts: dict[str, Fact] = {"take": take, "key": key, "variant": film.variant}
    return FilmEvent("takeboard.shot.picked", film.code, shot, facts)


def film_delivered(made: MadeFilm) -> FilmEvent:
    """The film is cut and all its files are there."""
    longest = max((one.seconds for one in made.deliveries), default=0.0)
    facts: dict[str, Fact] = {
        "title": made.film.title,
        "variant": made.film.variant,
        "running_s": round(longest, 2),
        "wall_s": round(made.wall_seconds, 1),
        "rendered": made.rendered,
        "reused": made.reused,
        "cost_usd": round(made.spent.usd, 4),
        "films": [str(one.film) for one in made.deliveries],
        "report": str(made.report),
    }
    return FilmEvent("takeboard.film.delivered", made.film.code, facts=facts)


def emit(event: FilmEvent) -> None:
    """Hand `event` to Prefect, which sends it from a thread of its own; never raises."""
    from prefect.events import emit_event

    with suppress(Exception):  # whatever is wrong, such as too many films for one event
        emit_event(
            event.name,
            resource=event.resource,
            related=event.related,
            payload={name: _plain(fact) for name, fact in event.facts.items()},
        )


def tell(event: FilmEvent) -> None:
    """Emit `event` where no run is recorded, if a Prefect server is configured and answers."""
    import httpx

    from flows.client import set_up_client

    url = server_url()
    if not url:
        return
    try:
        httpx.get(f"{url.rstrip('/')}/health", timeout=_ANSWER_WITHIN_S).raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL):
        return
    set_up_client(url)
    emit(event)


def _take(job: ShotJob) -> dict[str, Fact]:
    return {
        "take": job.take,
        "key": job.key,
        "backend": job.backend,
        "frames": job.request.num_frames,
    }


def _plain(fact: Fact) -> str | int | float | list[str]:
    return fact if isinstance(fact, str | int | float) else list(fact)


def _id(kind: str, *words: str) -> str:
    """Such as `takeboard.shot.LHT.sc010.sh0020`: dots part the words, so none is inside one."""
    return ".".join(["takeboard", kind, *(re.sub(r"[^\w-]+", "-", word) for word in words)])
