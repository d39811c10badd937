"""The plan of a film: one job per take, with its key, its state and its price.

Nothing is loaded, rendered or spent here. Keys of takes that go on from other takes are known
too, because a key is made of what a take is made of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from generator.backends.base import Backend, Loss, Quote, RenderRequest, Snapped
from generator.backends.retired import retired_note
from generator.history import shot_keys, why_stale
from generator.keys import canonical, request_key
from generator.losses import film_losses, shot_losses
from generator.picks import Pick
from generator.requests import FOOTAGE, Raster, assets_for, raster_of, request_for, seed_for
from media.errors import RefusalError, UsageError
from media.store import ContentStore
from storyboards.fields import did_you_mean
from storyboards.film import Film, Shot, film_shots

__all__ = ["Plan", "PlanSettings", "ShotJob", "plan_shots", "total_quote"]

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
    wanted = _wanted(shots, desk.settings.only)
    refusals: list[RefusalError] = []
    refused: set[str] = set()
    for shot in _parents_first(shots, wanted):
        parent = _parent(shot)
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
    shown = _without_idle_parents(in_order, wanted)
    return Plan(
        film, desk.raster, shown, desk.picked, film_losses(film), tuple(desk.notes + desk.lost())
    )


def total_quote(jobs: Sequence[ShotJob]) -> Quote:
    """What making the jobs costs; cached ones cost nothing, and a shared key is paid once."""
    quotes = {job.key: job.quote for job in jobs if job.state != "cached"}.values()
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
        self._history = shot_keys(store, film)
        self._names = {digest: path.name for digest, path in assets_for(film).items()}

    def plan(self, shot: Shot) -> None:
        """Plan every take of `shot`; the shot that it goes on from is planned already."""
        parent_key = self._parent_key(shot)
        backend, snapped, passed = self._choose(shot, parent_key)
        takes = 1 if shot.source is not None else shot.take_count
        quote = backend.quote(snapped.request)
        losses = passed + snapped.losses + shot_losses(shot, backend)
        jobs: list[ShotJob] = []
        for take in range(1, takes + 1):
            request = snapped.request
            if take > 1:
                request = replace(request, seed=seed_for(self.film, shot, take))
            key = request_key(request, backend.id, backend.revision)
            state, reason = self._state(shot, take, backend, request, key)
            jobs.append(
                ShotJob(
                    shot_id=shot.id,
                    take=take,
                    backend=backend.id,
                    revision=backend.revision,
                    request=request,
                    key=key,
                    num_frames=max(1, self.raster.frames(shot.num_frames, self.film.fps)),
                    state=state,
                    stale_reason=reason,
                    quote=quote,
                    adjustments=snapped.adjustments,
                    losses=losses,
                    waits_for=parent_key,
                )
            )
        self.jobs[shot.id] = tuple(jobs)
        self.picked[shot.id] = self._pick(shot.id, jobs)

    def lost(self) -> list[str]:
        """Picks of shots that the storyboard does not have."""
        known = {shot.id for shot in film_shots(self.film)}
        return [
            f"{shot_id}: its pick is kept, but the storyboard has no such shot"
            for shot_id in sorted(self.picks)
            if shot_id not in known
        ]

    def _parent_key(self, shot: Shot) -> str:
        parent = _parent(shot)
        if not parent:
            return ""
        jobs = self.jobs[parent]
        take = self.picked[parent]
        if shot.edit is not None and shot.edit.take is not None:
            take = min(shot.edit.take, len(jobs))
        return jobs[take - 1].key

    def _choose(self, shot: Shot, parent_key: str) -> tuple[Backend, Snapped, tuple[Loss, ...]]:
        """The first backend of the shot's list that takes it, and what was passed over."""
        passed: list[Loss] = []
        for name in self._preferences(shot):
            if name == "auto":
                fits = self._best_fit(shot, parent_key, passed)
            elif name not in self.backends:
                hint = did_you_mean(name, list(self.backends))
                gone = retired_note(name) or f"{name} is not in this installation{hint}"
                passed.append(Loss("backend", gone))
                continue
            else:
                fits = self._snap(shot, name, parent_key, passed)
            if fits is not None:
                return (*fits, tuple(passed))
        reasons = "; ".join(loss.reason for loss in passed) or "there is none"
        raise RefusalError(
            f"no backend can make this shot: {reasons}",
            where=f"{self.film.path.name}:{shot.line}: {shot.id}",
            todo="add auto to its backends, or one of: "
            + ", ".join(name for name in self.backends if name != FOOTAGE),
        )

    def _preferences(self, shot: Shot) -> tuple[str, ...]:
        if shot.source is not None:
            return (FOOTAGE,)
        if self.settings.backend:
            return (self.settings.backend,)
        if "auto" not in shot.backends:
            return shot.backends
        routed = [self.settings.routes[tag] for tag in shot.tags if tag in self.settings.routes]
        at = shot.backends.index("auto")
        return (*shot.backends[:at], *routed, *shot.backends[at:])

    def _best_fit(
        self, shot: Shot, parent_key: str, passed: list[Loss]
    ) -> tuple[Backend, Snapped] | None:
        """The backend that loses least; of equals the cheapest, then the first.

        Backends that this machine is not set up for are passed over, and one that stands in for
        the real thing is taken only where nothing else is left.
        """
        found: list[tuple[tuple[float, ...], Backend, Snapped]] = []
        for order, name in enumerate(self.backends):
            if name == FOOTAGE or self.backends[name].unready:
                continue
            fits = self._snap(shot, name, parent_key, passed)
            if fits is not None:
                quote = fits[0].quote(fits[1].request)
                stand_in = fits[0].capabilities.stand_in
                losses = len(fits[1].losses)
                rank = (float(stand_in), losses, quote.usd, quote.gpu_seconds, order)
                found.append((rank, *fits))
        if not found:
            return None
        _, backend, snapped = min(found, key=lambda one: one[0])
        return backend, snapped

    def _snap(
        self, shot: Shot, name: str, parent_key: str, passed: list[Loss]
    ) -> tuple[Backend, Snapped] | None:
        backend = self.backends[name]
        request = request_for(self.film, shot, 1, backend, picked=parent_key, raster=self.raster)
        try:
            return backend, backend.snap(request)
        except RefusalError as refusal:
            passed.append(Loss("backend", f"{name} refuses: {refusal.what}"))
            return None

    def _state(
        self, shot: Shot, take: int, backend: Backend, request: RenderRequest, key: str
    ) -> tuple[State, str]:
        if self.store.peek(key):
            return "cached", ""
        for old_key in self._history.get(f"{shot.id}#{take}", ()):
            old = self.store.find(old_key, verify=False) if self.store.peek(old_key) else None
            if old is None:
                continue
            new = {
                "backend": backend.id,
                "revision": backend.revision,
                "request": canonical(request),
            }
            if not all(name in old.details for name in new):
                return "stale", "changed"
            return "stale", why_stale(old.details, new, self._names)
        return "new", ""

    def _pick(self, shot_id: str, jobs: Sequence[ShotJob]) -> int:
        """The picked take, found by its key where the pick has one; 1 when it no longer counts."""
        pick = self.picks.get(shot_id)
        if pick is None:
            return 1
        for job in jobs:
            same = job.key.startswith(pick.key) if pick.key else job.take == pick.take
            if same:
                return job.take
        self.notes.append(
            f"{shot_id}: the pick of take {pick.take} no longer counts, because the shot has "
            "changed; take 1 is used"
        )
        return 1


def _parent(shot: Shot) -> str:
    """The shot whose take this one is made from, or nothing."""
    if shot.source is not None:
        return ""
    if shot.edit is not None:
        return shot.edit.shot
    if shot.continues is not None and shot.continues.mode != "cut":
        return shot.continues.shot
    return ""


def _wanted(shots: Sequence[Shot], only: tuple[str, ...]) -> frozenset[str]:
    known = [shot.id for shot in shots]
    for shot_id in only:
        if shot_id not in known:
            raise UsageError(
                f'there is no shot "{shot_id}" in the film{did_you_mean(shot_id, known)}'
            )
    return frozenset(only or known)


def _parents_first(shots: Sequence[Shot], wanted: frozenset[str]) -> list[Shot]:
    """The wanted shots and those they go on from, each after its parent."""
    by_id = {shot.id: shot for shot in shots}
    ordered: dict[str, Shot] = {}
    for shot in shots:
        chain: dict[str, Shot] = {}
        at: Shot | None = shot if shot.id in wanted else None
        while at is not None and at.id not in ordered:
            if at.id in chain:
                raise UsageError("shots go on from each other in a circle", where=at.id)
            chain[at.id] = at
            at = by_id.get(_parent(at))
        ordered.update((one.id, one) for one in reversed(chain.values()))
    return list(ordered.values())


def _without_idle_parents(jobs: Sequence[ShotJob], wanted: frozenset[str]) -> tuple[ShotJob, ...]:
    """Jobs of the wanted shots, and of other shots only the takes that those go on from."""
    needed = {job.key for job in jobs if job.shot_id in wanted}
    by_key = {job.key: job for job in jobs}
    for key in list(needed):
        parent = by_key[key].waits_for
        while parent and parent not in needed:
            needed.add(parent)
            parent = by_key[parent].waits_for
    return tuple(job for job in jobs if job.shot_id in wanted or job.key in needed)
