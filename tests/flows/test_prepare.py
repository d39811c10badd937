"""What a backend's takes share is made once; failing at it costs no take, a wrong setting all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from films import board, install, make, write_film

from flows.options import FilmRun
from flows.progress import Progress
from generator.backends.base import RenderRequest, RenderTools
from media.errors import RenderError, UsageError
from tests.fakes import FakeBackend


@dataclass
class Preparing(FakeBackend):
    """Raises `error` when its takes are prepared."""

    id: str = "preparing"
    error: Exception | None = None

    def prepare(self, requests: Sequence[RenderRequest], tools: RenderTools) -> None:
        super().prepare(requests, tools)
        if self.error is not None:
            raise self.error


class Noted(Progress):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def film_of(folder: Path) -> Path:
    return write_film(folder, {**board(), "defaults": {"backend": "preparing"}})


def test_all_takes_are_prepared_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = Preparing()
    install(monkeypatch, backend)
    assert make(film_of(tmp_path)).rendered == 5
    assert len(backend.prepared) == len(backend.renders) == 5


def test_a_failed_preparation_costs_no_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, Preparing(error=RenderError("the encoder broke")))
    noted = Noted()
    assert make(film_of(tmp_path), FilmRun(noted)).rendered == 5
    assert any("the encoder broke" in note for note in noted.notes)


def test_a_wrong_setting_is_said_once_and_nothing_is_rendered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = Preparing(error=UsageError("device 'cuda:9' is not on this machine"))
    install(monkeypatch, backend)
    noted = Noted()
    with pytest.raises(UsageError, match="cuda:9"):
        make(film_of(tmp_path), FilmRun(noted))
    assert backend.renders == []
    assert len([note for note in noted.notes if "cuda:9" in note]) == 1
