"""Which backend makes a shot: the storyboard's choice, or of all that take it the best fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from generator.backends.base import Backend, Loss, Snapped
from generator.backends.retired import retired_note
from generator.losses import shot_losses
from generator.reference_choice import require_usable
from generator.requests import FOOTAGE, Raster, request_for
from media.errors import RefusalError
from storyboards.fields import did_you_mean
from storyboards.film import Film, Shot

__all__ = ["Choosing", "Chosen"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a shot is made on, if it is made alone."""

    backend: Backend
    snapped: Snapped
    passed: tuple[Loss, ...]
    """What was passed over, and why."""
    parent_key: str


@dataclass(frozen=True)
class Choosing:
    """What every shot's choice reads."""

    film: Film
    backends: Mapping[str, Backend]
    raster: Raster
    files: Mapping[str, Path]
    """Every file of the film's that a request can name, by SHA-256."""
    backend: str
    """For every shot that is not the user's footage; empty: the storyboard's choice."""
    routes: Mapping[str, str]
    """Backend by tag: tried first where the storyboard leaves the choice (`auto`)."""

    def choose(self, shot: Shot, parent_key: str) -> Chosen:
        """The first backend of the shot's list that takes it; RefusalError when none does."""
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
                return Chosen(*fits, tuple(passed), parent_key)
        reasons = "; ".join(loss.reason for loss in passed) or "there is none"
        others = ", ".join(name for name in self._ready if name not in shot.backends)
        raise RefusalError(
            f"no backend can make this shot: {reasons}",
            where=f"{self.film.path.name}:{shot.line}: {shot.id}",
            todo="add auto to its backends" + (f", or one of: {others}" if others else ""),
        )

    def _preferences(self, shot: Shot) -> tuple[str, ...]:
        if shot.source is not None:
            return (FOOTAGE,)
        if self.backend:
            return (self.backend,)
        if "auto" not in shot.backends:
            return shot.backends
        routed = [self.routes[tag] for tag in shot.tags if tag in self.routes]
        at = shot.backends.index("auto")
        return (*shot.backends[:at], *routed, *shot.backends[at:])

    @cached_property
    def _ready(self) -> tuple[str, ...]:
        """What `auto` chooses from."""
        named = (name for name in self.backends if name != FOOTAGE)
        return tuple(name for name in named if not self.backends[name].unready)

    def _best_fit(
        self, shot: Shot, parent_key: str, passed: list[Loss]
    ) -> tuple[Backend, Snapped] | None:
        """The backend that loses least; of equals the cheapest, then the first.

        Backends that this machine is not set up for are passed over, and one that stands in for
        the real thing is taken only where nothing else is left.
        """
        found: list[tuple[tuple[float, ...], Backend, Snapped]] = []
        for order, name in enumerate(self._ready):
            fits = self._snap(shot, name, parent_key, passed)
            if fits is not None:
                quote = fits[0].quote(fits[1].request)
                stand_in = fits[0].capabilities.stand_in
                losses = len(fits[1].losses + shot_losses(shot, fits[0]))
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
            snapped = backend.snap(request)
            if name != FOOTAGE and not backend.capabilities.stand_in:
                require_usable(snapped.request.references, self.files)
            return backend, snapped
        except RefusalError as refusal:
            passed.append(Loss("backend", f"{name} refuses: {refusal.what}"))
            return None
