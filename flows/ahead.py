"""The cut prepared while slow backends are still rendering, on CPU cores that have nothing to do.

Sounds are made, takes are finished as they land and the pieces of the picture encoded that are
complete, into the store where the cut looks for them: nothing but the time is different. What
goes wrong here is left alone, because the cut meets it again and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from itertools import takewhile
from threading import Event, Lock
from typing import TypeVar

from editor.assemble import require_media
from editor.landing import Landing
from editor.render import encode_spans
from editor.spans import Span
from editor.timeline import Caption, ClipMedia, Timeline
from flows.finishing import Finishing
from flows.options import FilmOptions, FilmRun
from flows.pool import CPU, Work
from flows.room import CutMaterial, Room, rooms_of
from flows.shots import AHEAD
from generator.plan import Plan, retake_notes
from generator.requests import assets_for
from generator.sound.render import render_sound
from generator.takes import Take, TakeStore
from media.errors import CancelledError
from media.store import ContentStore, Entry
from storyboards.film import Film, Shot, film_shots

__all__ = ["AheadCut"]

T = TypeVar("T")

OPEN, SOUND = "cut ahead: begin", "cut ahead: sound"


class AheadCut:
    """The cut of one film, as far as it can be prepared."""

    def __init__(
        self, plan: Plan, finishing: Finishing, options: FilmOptions, run: FilmRun
    ) -> None:
        self.enough = Event()
        """Set it when the cut itself can begin: no further piece is begun then."""
        self._plan, self._finishing, self._options, self._run = plan, finishing, options, run
        self._store = TakeStore(options.store)
        self._lock = Lock()
        self._rooms: tuple[Room, ...] = ()
        self._landings: list[tuple[Room, Landing]] = []
        self._landed: dict[str, ClipMedia] = {}

    def work(self, made: Iterable[str]) -> Mapping[str, Work[Take | None]]:
        """Optional pieces of work, beside the takes that are being `made`, named by their keys.

        Only picked takes are in the film.
        """
        names = frozenset(made)
        sounds = self._piece(self._make_sounds, OPEN)
        pieces = {OPEN: self._piece(self._in_turn(self._open)), SOUND: sounds}
        for shot in film_shots(self._finishing.film):
            key = self._plan.job(shot.id).key
            needs = (OPEN, key) if key in names else (OPEN,)
            land = self._in_turn(partial(self._land, shot, key))
            pieces[f"cut ahead: {shot.id}"] = self._piece(land, *needs)
        return pieces

    def _piece(self, step: Callable[[], None], *needs: str) -> Work[Take | None]:
        lane = AHEAD if self._run.turns.may_wait else CPU
        return Work(self._quietly(step), needs, lane, optional=True)

    def _open(self) -> None:
        material = _stand_ins(self._plan, self._finishing.film)
        self._rooms = rooms_of(self._finishing.film, material, self._options)
        for room in self._rooms:
            # Words in the picture wait for how long they take to say.
            if not room.burns_captions:
                self._landings.append((room, Landing(room.assemble((), ()))))

    def _make_sounds(self) -> None:
        store = ContentStore(self._options.store, "sounds")
        for room in self._rooms:
            entries: dict[str, Entry] = {}
            for job in room.sound_plan.jobs:
                if self._is_over():
                    return
                make = partial(render_sound, job, store, room.material.assets)
                entries[job.key] = self._in_turn(make)()
            if room.burns_captions:
                self._in_turn(partial(self._open_burnt, room, room.captions(entries)))()

    def _open_burnt(self, room: Room, captions: tuple[Caption, ...]) -> None:
        landing = Landing(room.assemble((), captions))
        with self._lock:
            self._landings.append((room, landing))
            complete = [
                span for shot, media in self._landed.items() for span in landing.land(shot, media)
            ]
        self._encode(room, landing.timeline, complete)

    def _land(self, shot: Shot, key: str) -> None:
        take = self._store.find(key)
        if take is None or self._is_over():
            return
        media = self._finishing.finish(shot, take, self._run)
        require_media(shot, media, self._finishing.film)
        with self._lock:
            self._landed[shot.id] = media
            complete = [
                (room, landing.timeline, landing.land(shot.id, media))
                for room, landing in self._landings
            ]
        for room, timeline, spans in complete:
            self._encode(room, timeline, spans)

    def _encode(self, room: Room, timeline: Timeline, spans: Iterable[Span]) -> None:
        encode_spans(
            takewhile(lambda span: not self._is_over(), spans),
            timeline,
            ContentStore(self._options.store, "segments"),
            encoding=room.encoding,
            should_stop=self._run.stop.is_set,
        )

    def _is_over(self) -> bool:
        return self.enough.is_set() or self._run.stop.is_set()

    def _in_turn(self, step: Callable[[], T]) -> Callable[[], T]:
        """`step` when no film that is as urgent has anything else for the cores to do."""
        return self._run.turns.taking(step, self._is_over, "ahead")

    def _quietly(self, step: Callable[[], None]) -> Callable[[], None]:
        def run() -> None:
            try:
                step()
            except CancelledError:
                if self._run.stop.is_set():
                    raise
            except Exception:
                return  # the cut does the same again, and tells

        return run


def _stand_ins(plan: Plan, film: Film) -> CutMaterial:
    """What the cut of `film` will receive, as far as it is known before the takes are there."""
    jobs = {shot.id: plan.job(shot.id) for shot in film_shots(film)}
    return CutMaterial(
        media={
            shot.id: ClipMedia(film.path, "", shot.num_frames, film.size, film.fps)
            for shot in film_shots(film)
        },
        slated=frozenset(shot for shot, job in jobs.items() if job.backend == "animatic"),
        native=frozenset(
            shot.id
            for shot in film_shots(film)
            if shot.audio == "native" and jobs[shot.id].request.audio == "native"
        ),
        assets=assets_for(plan.film),
        notes=retake_notes(plan),
    )
