"""Backends by the name that storyboards use. Each module is imported when it is first asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from importlib import import_module

from generator.backends.base import Backend
from generator.backends.retired import retired_note
from generator.local.settings import local_settings, models_file
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
    """Every backend of this installation by name, made when first asked for."""

    def __init__(self) -> None:
        self._made: dict[str, Backend] = {}

    def __getitem__(self, id: str) -> Backend:
        if id not in _CLASSES:
            raise KeyError(id)
        if id not in self._made:
            if id in _SET_UP:
                _require_known_models()
            module, name = _CLASSES[id].split(":")
            make: Callable[[], Backend] = getattr(import_module(module), name)
            self._made[id] = make()
        return self._made[id]

    def __contains__(self, id: object) -> bool:
        return id in _CLASSES

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


def known_backends() -> tuple[str, ...]:
    """The names of every backend of this installation."""
    return tuple(_CLASSES)


def backend_named(id: str) -> Backend:
    """The backend that storyboards call `id`; UsageError names those that there are."""
    try:
        return InstalledBackends()[id]
    except KeyError:
        known = list(_CLASSES)
        raise UsageError(
            retired_note(id)
            or f'there is no backend "{id}" in this installation{did_you_mean(id, known)}',
            todo=f"use auto or one of: {', '.join(known)}",
        ) from None


def _require_known_models() -> None:
    """UsageError for a model in the models file that nothing here would read."""
    known = [*_SET_UP, "spandrel"]
    for name in local_settings().models:
        if name not in known:
            raise UsageError(
                f"models.{name}: expected one of {', '.join(known)}{did_you_mean(name, known)}",
                where=str(models_file()),
            )
