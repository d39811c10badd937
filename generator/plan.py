"""The plan of a film: one job per take, with its key, its state and its price.

Nothing is loaded, rendered or spent here. Keys of takes that go on from other takes are known
too, because a key is made of what a take is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from generator.backends.base import Backend, Licence, Loss, Quote, RenderRequest
from generator.choosing import Choosing, Chosen
from generator.history import shot_keys, why_stale
from generator.keys import canonical, request_key
from generator.losses import film_losses, shot_losses
from generator.picks import Pick
from generator.plan_order import parent_of, parents_first, wanted_shots, without_idle_parents
from generator.requests import Raster, assets_for, raster_of, request_for, seed_for
from generator.retakes import retake_of
from generator.shot_groups import GENERATIONS, Alone, Member, Together, group_members, why_alone
from media.errors import RefusalError, UsageError
from media.store import ContentStore
from storyboards.film import Film, Shot, film_shots

__all__ = ["Plan", "PlanSettings", "ShotJob", "plan_shots", "retake_notes", "total_quote"]

State = Literal["cached", "stale", "new"]


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How a plan differs from what the storyboard says."""

    raster: Raster | None = None
    """Size and rate of a preview; None: the film's own."""
    only: tuple[str, ...] = ()
    """Shots to plan, with the takes they go on from; empty: all."""
    backend: str = ""
    """For every shot that is not the user's footage; empty: the storyboard's choice."""
    routes: Mapping[str, str] = field(default_factory=dict)
    """Backend by tag: tried first where the storyboard leaves the choice (`auto`)."""


@dataclass(frozen=True, slots=True)
class ShotJob:
    """One take to have."""

    shot_id: str
    take: int
    backend: str
    revision: str
    request: RenderRequest
    """Snapped: as the backend will make it."""
    key: str
    num_frames: int
    """What the cut uses from the take's first frame on; the take may be longer."""
    state: State
    stale_reason: str
    quote: Quote
    adjustments: tuple[str, ...]
    losses: tuple[Loss, ...]
    waits_for: str
    """Key of the take that it continues or edits, or empty."""
    generation: str = ""
    """Key of the generation of several shots that the take is cut from, or empty. The quote is
    the generation's; `total_quote` pays it once."""
    note: str = ""
    """What was said when the take was asked for as a retake, or empty."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every take of a film, in film order."""

    film: Film
    raster: Raster
    jobs: tuple[ShotJob, ...]
    picked: Mapping[str, int]
    """By shot, the take that the cut uses."""
    losses: tuple[Loss, ...]
    """Of the film as a whole."""
    notes: tuple[str, ...]
    """Such as picks that no longer count."""
    licences: Mapping[str, Licence] = field(default_factory=dict)
    """By backend, the terms on which what it makes may be used; of all that have a take here."""

    def job(self, shot_id: str, take: int | None = None) -> ShotJob:
        """The job of a take, or of the picked one."""
        number = self.picked.get(shot_id, 1) if take is None else take
        for job in self.jobs:
            if job.shot_id == shot_id and job.take == number:
                return job
        raise UsageError(f"take {number} is not in the plan", where=shot_id)

    @property
    def missing(self) -> tuple[ShotJob, ...]:
        """What is to be rendered: each key once, a take before those that go on from it."""
        by_key = {job.key: job for job in self.jobs if job.state != "cached"}
        ordered: dict[str, ShotJob] = {}
        for job in by_key.values():
            chain = [job]
            while (parent := by_key.get(chain[-1].waits_for)) is not None:
                chain.append(parent)
                if parent.key in ordered:
                    break
            ordered.update((one.key, one) for one in reversed(chain) if one.key not in ordered)
        return tuple(ordered.values())


def plan_shots(
    film: Film,
    backends: Mapping[str, Backend],
    store: ContentStore,
    picks: Mapping[str, Pick],
    settings: PlanSettings | None = None,
) -> Plan:
    """The plan, refused as a whole (RefusalError) when a shot has no backend that takes it."""
    desk = _Desk(film, backends, store, picks, settings or PlanSettings())
    shots = film_shots(film)
    wanted = wanted_shots(shots, desk.settings.only)
    refusals: list[RefusalError] = []
    refused: set[str] = set()
    for shot in parents_first(shots, wanted):
        parent = parent_of(shot)
        if parent in refused:
            refused.add(shot.id)
            continue
        try:
            desk.plan(shot)
        except RefusalError as refusal:
            refused.add(shot.id)
            refusals.append(refusal)
    if len(refusals) == 1:
        raise refusals[0]
    if refusals:
        raise RefusalError("\n".join(str(refusal) for refusal in refusals))
    in_order = tuple(job for shot in shots for job in desk.jobs.get(shot.id, ()))
    shown = without_idle_parents(in_order, wanted)
    return Plan(
        film=film,
        raster=desk.raster,
        jobs=shown,
        picked=desk.picked,
        losses=film_losses(film),
        notes=tuple(desk.notes + desk.lost()),
        licences={job.backend: backends[job.backend].capabilities.licence for job in shown},
    )


def retake_notes(plan: Plan) -> Mapping[str, str]:
    """By shot whose picked take was asked for with a note, the note."""
    return {
        job.shot_id: job.note
        for job in plan.jobs
        if job.note and plan.picked[job.shot_id] == job.take
    }


def total_quote(jobs: Sequence[ShotJob]) -> Quote:
    """What making the jobs costs; cached ones cost nothing, what is shared is paid once."""
    quotes = {
        job.generation or job.key: job.quote for job in jobs if job.state != "cached"
    }.values()
    return Quote(
        usd=sum(quote.usd for quote in quotes),
        gpu_seconds=sum(quote.gpu_seconds for quote in quotes),
        cpu_seconds=sum(quote.cpu_seconds for quote in quotes),
    )


class _Desk:
    """One planning: what every shot's planning reads, and what is planned so far."""

    def __init__(
        self,
        film: Film,
        backends: Mapping[str, Backend],
        store: ContentStore,
        picks: Mapping[str, Pick],
        settings: PlanSettings,
    ) -> None:
        self.film, self.backends, self.store = film, backends, store
        self.picks, self.settings = picks, settings
        self.raster = settings.raster or raster_of(film)
        self.jobs: dict[str, tuple[ShotJob, ...]] = {}
        self.picked: dict[str, int] = {}
        self.notes: list[str] = []
        self._choices: dict[str, Chosen] = {}
        self._groups: dict[str, list[Shot]] = {}
        """Groups that are not planned yet."""
        self._places: dict[str, Together | str] = {}
        self._generations = ContentStore(store.root, GENERATIONS)
        self._history = shot_keys(store, film)
        for shot in film_shots(film):
            if shot.group:
                self._groups.setdefault(shot.group, []).append(shot)
        files = assets_for(film)
        self._names = {digest: path.name for digest, path in files.items()}
        self._choosing = Choosing(
            film, backends, self.raster, files, self.settings.backend, self.settings.routes
        )

    def plan(self, shot: Shot) -> None:
        """Plan every take of `shot`; the shot that it goes on from is planned already."""
        if shot.id in self.jobs:
            return
        if shot.group in self._groups:
            self._places.update(self._group(self._groups.pop(shot.group)))
        chosen = self._chosen(shot)
        together = self._together(shot)
        losses = chosen.passed + chosen.snapped.losses + shot_losses(shot, chosen.backend)
        place = self._places.get(shot.id, "")
        if together is not None:
            losses = tuple(dict.fromkeys(losses + together.whole.losses))
        elif place and chosen.backend.capabilities.shots_per_generation > 1:
            losses += (Loss("group", f"it is made alone: {place}"),)
        jobs = [
            self._job(shot, take, chosen, together, losses)
            for take in range(1, (1 if shot.source is not None else shot.take_count) + 1)
        ]
        jobs += self._retakes(shot, chosen)
        self.jobs[shot.id] = tuple(jobs)
        self.picked[shot.id] = self._pick(shot.id, jobs)

    def _job(
        self,
        shot: Shot,
        take: int,
        chosen: Chosen,
        together: Together | None,
        losses: tuple[Loss, ...],
    ) -> ShotJob:
        backend, snapped = chosen.backend, together.whole if together else chosen.snapped
        request, generation = self._request(shot, chosen, together, take)
        key = request_key(request, backend.id, backend.revision)
        state, reason = self._state(shot, take, backend, request, key)
        paid = generation and self._generations.peek(generation)
        return ShotJob(
            shot_id=shot.id,
            take=take,
            backend=backend.id,
            revision=backend.revision,
            request=request,
            key=key,
            num_frames=max(1, self.raster.frames(shot.num_frames, self.film.fps)),
            state=state,
            stale_reason=reason,
            quote=Quote() if paid else backend.quote(snapped.request),
            adjustments=together.adjustments if together else snapped.adjustments,
            losses=losses,
            waits_for=together.waits_for if together else chosen.parent_key,
            generation=generation,
        )

    def _retakes(self, shot: Shot, chosen: Chosen) -> Iterator[ShotJob]:
        """The takes that people asked for beyond the storyboard's, each made alone."""
        notes = self.picks[shot.id].retakes if shot.id in self.picks else ()
        if notes and shot.source is not None:
            self.notes.append(f"{shot.id}: its retakes are left out: it is your own footage")
            return
        backend = chosen.backend
        for number, note in enumerate(notes, 1):
            again, take = retake_of(self.film, shot, number, note), shot.take_count + number
            parent = chosen.parent_key
            asked = request_for(self.film, again, 1, backend, picked=parent, raster=self.raster)
            alone = replace(chosen, snapped=backend.snap(asked))
            losses = chosen.passed + alone.snapped.losses + shot_losses(shot, backend)
            job = self._job(again, 1, alone, None, losses)
            state, reason = self._state(shot, take, backend, job.request, job.key)
            yield replace(job, take=take, note=note, state=state, stale_reason=reason)

    def _together(self, shot: Shot) -> Together | None:
        place = self._places.get(shot.id, "")
        return place if isinstance(place, Together) else None

    def _request(
        self, shot: Shot, chosen: Chosen, together: Together | None, take: int
    ) -> tuple[RenderRequest, str]:
        """The take's snapped request, and the key of the generation that it is cut from."""
        request = chosen.snapped.request
        if together is not None:
            seed = seed_for(self.film, together.first, take)
            request = together.request(request, seed)
            whole = together.whole_of(seed)
            return request, request_key(whole, chosen.backend.id, chosen.backend.revision)
        if take > 1:
            request = replace(request, seed=seed_for(self.film, shot, take))
        return request, ""

    def _group(self, members: Sequence[Shot]) -> Mapping[str, Together | str]:
        """By shot of the group, its place in a generation or why it is made alone."""
        parent = parent_of(members[0])
        if parent and parent not in self.jobs:
            # The first goes on from a shot that nobody else has asked for.
            try:
                for before in parents_first(film_shots(self.film), {parent}):
                    self.plan(before)
            except RefusalError:
                return {}
        ready: list[Member | Alone] = []
        for shot in members:
            reason = why_alone(shot, is_first=shot is members[0])
            try:
                chosen = self._chosen(shot) if not reason else None
            except RefusalError as refusal:
                # Its own planning says so again.
                chosen, reason = None, refusal.what
            if chosen is None:
                ready.append(Alone(shot.id, reason))
                continue
            backend, key = chosen.backend, chosen.parent_key
            request = request_for(self.film, shot, 1, backend, picked=key, raster=self.raster)
            ready.append(Member(shot, backend, request))
        return group_members(ready)

    def _chosen(self, shot: Shot) -> Chosen:
        if shot.id not in self._choices:
            parent_key = self._parent_key(shot)
            self._choices[shot.id] = self._choosing.choose(shot, parent_key)
        return self._choices[shot.id]

    def lost(self) -> list[str]:
        """Picks of shots that the storyboard does not have."""
        known = {shot.id for shot in film_shots(self.film)}
        return [
            f"{shot_id}: its pick is kept, but the storyboard has no such shot"
            for shot_id in sorted(self.picks)
            if shot_id not in known
        ]

    def _parent_key(self, shot: Shot) -> str:
        parent = parent_of(shot)
        if not parent:
            return ""
        jobs = self.jobs[parent]
        take = self.picked[parent]
        if shot.edit is not None and shot.edit.take is not None:
            take = min(shot.edit.take, len(jobs))
        return jobs[take - 1].key

    def _state(
        self, shot: Shot, take: int, backend: Backend, request: RenderRequest, key: str
    ) -> tuple[State, str]:
        if self.store.peek(key):
            return "cached", ""
        for old_key in self._history.get(f"{shot.id}#{take}", ()):
            old = self.store.details_of([old_key]).get(old_key)
            if old is None:
                continue
            new = {
                "backend": backend.id,
                "revision": backend.revision,
                "request": canonical(request),
            }
            if not all(name in old for name in new):
                return "stale", "changed"
            return "stale", why_stale(old, new, self._names)
        return "new", ""

    def _pick(self, shot_id: str, jobs: Sequence[ShotJob]) -> int:
        """The picked take, found by its key where the pick has one.

        The newest retake, or take 1, when there is no pick or it no longer counts.
        """
        pick = self.picks.get(shot_id, Pick())
        otherwise = jobs[-1].take if pick.retakes else 1
        # No take of a preview has the key of the film's.
        by_key = pick.key if self.settings.raster is None else ""
        for job in jobs:
            same = job.key.startswith(by_key) if by_key else job.take == pick.take
            if same:
                return job.take
        if pick.take not in (0, otherwise):
            self.notes.append(
                f"{shot_id}: the pick of take {pick.take} no longer counts, because the shot has "
                f"changed; take {otherwise} is used"
            )
        return otherwise
