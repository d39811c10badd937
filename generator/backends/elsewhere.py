"""The installation as a film plans on it whose device takes other machines make.

Backends that draw, conform or ask a service are this machine's own. Each that needs a device is
as the machines have it: with their settings and their weights, or not ready when none has it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from generator.backends.base import (
    Backend,
    Capabilities,
    Quote,
    Rendered,
    RenderRequest,
    RenderTools,
    Snapped,
)
from generator.backends.registry import InstalledBackends
from generator.backends.told import ToldBackend, ToldMachine, is_on_device
from generator.local.settings import LocalSettings
from media.errors import RefusalError
from storyboards.film import Film, film_shots

__all__ = ["BackendsElsewhere"]

_NONE_HAS_IT = "is ready on no machine of the farm that is online"


class BackendsElsewhere(Mapping[str, Backend]):
    """Every backend by name, as `machines` (by name) told of theirs.

    Where machines differ, the setup that most of them have is planned with, so that as many as
    can share the film: `notes` says which do not have it.
    """

    def __init__(self, machines: Mapping[str, ToldMachine | None]) -> None:
        """None stands for what a machine has not told, or not so that this version can read it."""
        self._machines = {name: machine for name, machine in machines.items() if machine}
        self._silent = sorted(machines.keys() - self._machines.keys())
        self._own = InstalledBackends()
        self._made: dict[str, Backend] = {}

    def __getitem__(self, id: str) -> Backend:
        if id not in self._made:
            self._made[id] = self._make(id)
        return self._made[id]

    def __contains__(self, id: object) -> bool:
        return id in self._own

    def __iter__(self) -> Iterator[str]:
        return iter(self._own)

    def __len__(self) -> int:
        return len(self._own)

    def notes(self, film: Film) -> tuple[str, ...]:
        """What the film's shots ask for by name and no machine has, and which machines differ."""
        return (*self._without(film), *self._differing(), *self._unheard())

    def _make(self, id: str) -> Backend:
        chosen = self._chosen.get(id)
        if chosen is None:
            own = self._own[id]
            return _NotThere(own, _NONE_HAS_IT) if is_on_device(own) else own
        settings = LocalSettings(acknowledged=chosen.acknowledged, models={id: chosen.told.model})
        made = InstalledBackends({id: settings})[id]
        if made.unready:
            # A backend of another package, which knows no settings but its machine's own.
            return _NotThere(
                made, f"is ready on {_some(chosen.machines)}, but cannot plan here: {made.unready}"
            )
        if made.revision != chosen.told.revision:
            return _NotThere(
                made,
                f"cannot be planned for {_some(chosen.machines)}, which have it as revision "
                f"{chosen.told.revision} with Takeboard {chosen.takeboard}: here it would be "
                f"{made.revision}; install the same version on every machine",
            )
        return made

    @cached_property
    def _chosen(self) -> Mapping[str, _Chosen]:
        """By backend, what most machines have; of equals the first by their text."""
        texts: dict[str, Counter[str]] = {}
        for machine in self._machines.values():
            for id, told in machine.backends.items():
                texts.setdefault(id, Counter())[told.model_dump_json()] += 1
        chosen: dict[str, _Chosen] = {}
        for id, counted in texts.items():
            if id not in self._own:
                continue
            best = min(counted, key=lambda text: (-counted[text], text))
            same = [
                (name, machine)
                for name, machine in sorted(self._machines.items())
                if id in machine.backends and machine.backends[id].model_dump_json() == best
            ]
            _, first = same[0]
            chosen[id] = _Chosen(
                first.backends[id],
                tuple(name for name, _ in same),
                first.acknowledged,
                first.takeboard,
            )
        return chosen

    def _without(self, film: Film) -> Iterator[str]:
        wanted: dict[str, list[str]] = {}
        for shot in film_shots(film):
            for name in shot.backends if shot.source is None else ():
                wanted.setdefault(name, []).append(shot.id)
        for name, shots in wanted.items():
            if name in self and isinstance(there := self[name], _NotThere):
                yield f"{name}, which {_some(shots)} ask{'s' * (len(shots) == 1)} for, {there.why}"
        if "auto" in wanted and not self._chosen:
            yield (
                "no machine of the farm that is online has a model ready: what is left to auto is "
                "drawn, or asked of a service"
            )

    def _differing(self) -> Iterator[str]:
        for id, chosen in sorted(self._chosen.items()):
            others = [
                f"{name} ({machine.backends[id].revision})"
                for name, machine in sorted(self._machines.items())
                if id in machine.backends and name not in chosen.machines
            ]
            if others:
                yield (
                    f"{id}: planned for revision {chosen.told.revision} of "
                    f"{_some(chosen.machines)}; {_some(others)} "
                    f"differ{'s' * (len(others) == 1)} in weights or settings and will not make "
                    "its takes: give every machine the same models file and weights"
                )

    def _unheard(self) -> Iterator[str]:
        for name in self._silent:
            yield (
                f"{name} is online and has not told what it can make in words of this version: "
                "nothing is planned for it; install the same Takeboard on every machine"
            )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A backend as most machines have it."""

    told: ToldBackend
    machines: tuple[str, ...]
    acknowledged: tuple[str, ...]
    takeboard: str


@dataclass(frozen=True, slots=True)
class _NotThere:
    """A backend that no machine can make takes with."""

    own: Backend
    why: str

    @property
    def id(self) -> str:
        return self.own.id

    @property
    def revision(self) -> str:
        return self.own.revision

    @property
    def capabilities(self) -> Capabilities:
        return self.own.capabilities

    @property
    def unready(self) -> str:
        return self.why

    def snap(self, request: RenderRequest) -> Snapped:
        raise RefusalError(self.why)

    def quote(self, request: RenderRequest) -> Quote:
        return self.own.quote(request)

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        raise RefusalError(f"{self.id} {self.why}")

    def render(self, request: RenderRequest, tools: RenderTools) -> Rendered:
        raise RefusalError(f"{self.id} {self.why}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
