"""What a machine can render with, as it tells those that plan films for it.

A film is planned where nobody has weights. What backends snap, quote and call their takes depends
on the models file and the weights of the machines that render, so those tell both: the settings
that change a plan, and instead of paths which weights they are. `generator/backends/elsewhere.py`
plans with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from generator.backends.base import Backend
from generator.backends.registry import InstalledBackends
from generator.local.settings import LocalSettings, ModelSettings
from generator.local.sources import told_model
from media.errors import TakeboardError
from storyboards.film import Film, film_shots

__all__ = [
    "ToldBackend",
    "ToldMachine",
    "is_on_device",
    "may_use_device",
    "read_told",
    "tell_machine",
]

_FORM = 1


class ToldBackend(BaseModel):
    """A backend that is ready on a machine."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    revision: str
    """As the machine itself names it; who plans with `model` must come to the same."""
    model: ModelSettings = ModelSettings()


class ToldMachine(BaseModel):
    """Every backend that makes takes on a machine's device, by id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: int = Field(ge=_FORM, le=_FORM)
    takeboard: str
    """The version there."""
    acknowledged: tuple[str, ...] = ()
    """Licences that were accepted there."""
    backends: Mapping[str, ToldBackend] = Field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """Ready for JSON, to be read by `read_told`. Equal machines tell equal facts."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def can_make(self, setup: str) -> bool:
        """Whether takes of this setup (`generator.grouping.setup_of`) can be made there."""
        model, _, _ = setup.partition(" ")
        return any(
            model == f"{name}@{told.revision.replace(' ', '_')}"
            for name, told in self.backends.items()
        )


def is_on_device(backend: Backend) -> bool:
    """Whether takes are made on a device of the machine itself."""
    able = backend.capabilities
    return not able.remote and able.usd_per_second == 0 and able.gpu_seconds_per_second > 0


def may_use_device(film: Film) -> bool:
    """Whether a shot of the film names a backend that makes takes on a device, or leaves it open.

    Asks of no weights.
    """
    installed = InstalledBackends()
    named = {name for shot in film_shots(film) if shot.source is None for name in shot.backends}
    return any(name not in installed or is_on_device(installed[name]) for name in named)


def tell_machine(backends: Mapping[str, Backend], settings: LocalSettings) -> ToldMachine:
    """What this machine's device can render with. Loads no weights.

    A backend that cannot be asked (its settings are wrong) is not ready.
    """
    ready: dict[str, ToldBackend] = {}
    for name in backends:
        try:
            backend = backends[name]
            if is_on_device(backend) and not backend.unready:
                model = told_model(settings.model(name) or ModelSettings())
                ready[name] = ToldBackend(revision=backend.revision, model=model)
        except TakeboardError:
            continue
    return ToldMachine(
        form=_FORM,
        takeboard=version("takeboard"),
        acknowledged=settings.acknowledged,
        backends=ready,
    )


def read_told(facts: object) -> ToldMachine | None:
    """What a machine told, or None when this version cannot read it."""
    try:
        return ToldMachine.model_validate(facts)
    except ValidationError:
        return None
