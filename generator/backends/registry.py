"""Backends by the name that storyboards use. Each module is imported when it is first asked for.

Besides those that are part of Takeboard there are those of other installed packages, which name
theirs as entry points of the group `takeboard.backends`:

    [project.entry-points."takeboard.backends"]
    sketch = "sketch_farm:Sketch"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from threading import Lock
from types import MappingProxyType

from generator.backends.base import Backend
from generator.backends.retired import retired_note
from generator.local.settings import LocalSettings, local_settings, models_file
from media.errors import UsageError
from storyboards.fields import did_you_mean

__all__ = ["InstalledBackends", "backend_named", "known_backends"]

_CLASSES: Mapping[str, str] = {
    "ltx2": "generator.backends.ltx2:LTX2",
    "wan": "generator.backends.wan:WanBackend",
    "minimax_h3": "generator.backends.minimax_h3:MiniMaxH3",
    "hunyuanvideo": "generator.backends.hunyuanvideo:HunyuanVideo",
    "cogvideox": "generator.backends.cogvideox:CogVideoX",
    "openai_video": "generator.backends.openai_video:OpenAIVideo",
    "animatic": "generator.backends.animatic:Animatic",
    "footage": "generator.backends.footage:FootageBackend",
}


_SET_UP = tuple(name for name in _CLASSES if name not in ("animatic", "footage"))
"""Those that the models file sets up."""


class InstalledBackends(Mapping[str, Backend]):
    """Every backend of this installation by name, made when first asked for.

    With `settings`, a backend named there has those instead of the machine's models file.
    """

    def __init__(self, settings: Mapping[str, LocalSettings] = MappingProxyType({})) -> None:
        self._settings = settings
        self._made: dict[str, Backend] = {}
        self._making = Lock()

    def __getitem__(self, id: str) -> Backend:
        if id not in self:
            raise KeyError(id)
        with self._making:  # two objects for one id would load its model twice
            if id not in self._made:
                self._made[id] = self._make(id)
            return self._made[id]

    def _make(self, id: str) -> Backend:
        module, name = _classes()[id].split(":")
        make: Callable[..., Backend] = getattr(import_module(module), name)
        if id in _SET_UP and id in self._settings:
            return make(self._settings[id])
        if id in _SET_UP:
            _require_known_models()
        return make()

    def __contains__(self, id: object) -> bool:
        return id in _CLASSES or id in _of_others()

    def __iter__(self) -> Iterator[str]:
        return iter(_classes())

    def __len__(self) -> int:
        return len(_classes())


def known_backends() -> tuple[str, ...]:
    """The names of every backend of this installation."""
    return tuple(_classes())


def backend_named(id: str) -> Backend:
    """The backend that storyboards call `id`; UsageError names those that there are."""
    try:
        return InstalledBackends()[id]
    except KeyError:
        known = list(known_backends())
        raise UsageError(
            retired_note(id)
            or f'there is no backend "{id}" in this installation{did_you_mean(id, known)}',
            todo=f"use auto or one of: {', '.join(known)}",
        ) from None


def _classes() -> Mapping[str, str]:
    return {**_CLASSES, **{name: at for name, at in _of_others().items() if name not in _CLASSES}}


@cache
def _of_others() -> Mapping[str, str]:
    """What other packages bring; a name of ours stays ours."""
    return {one.name: one.value for one in entry_points(group="takeboard.backends")}


def _require_known_models() -> None:
    """UsageError for a model in the models file that nothing here would read."""
    known = [*_SET_UP, "spandrel"]
    for name in local_settings().models:
        if name not in known:
            raise UsageError(
                f"models.{name}: expected one of {', '.join(known)}{did_you_mean(name, known)}",
                where=str(models_file()),
            )
