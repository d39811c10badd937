"""A store, and a film of one shot that begins with a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.takes import TakeStore
from media.files import sha256_file
from storyboards.film import Asset, Film, Keyframe
from tests.factories import make_film, make_shot


@pytest.fixture
def store(tmp_path: Path) -> TakeStore:
    return TakeStore(tmp_path / "store")


@pytest.fixture
def board(tmp_path: Path) -> Asset:
    path = tmp_path / "film" / "Board 1.PNG"
    path.parent.mkdir()
    path.write_bytes(b"a picture")
    return Asset(path, sha256_file(path))


@pytest.fixture
def film(board: Asset) -> Film:
    return make_film([make_shot(keyframes=(Keyframe(0, board, 1.0),))], size=(64, 36))
