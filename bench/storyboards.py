"""Storyboards of any length for the benchmarks, made from the example film's art."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml

__all__ = ["long_storyboard"]

EXAMPLE = Path(__file__).parents[1] / "storyboards" / "examples" / "lighthouse"

_SIZES = ("LS", "MS", "MCU", "CU", "ELS", "MLS")
_MOVES = ("push_in", "pan_left", "static", "truck_right", "crane_up", "handheld")
_LINES = (
    "It never went out.",
    "The Board sent me. They want it off tonight.",
    "Forty years, and every night somebody came home by it.",
)


def long_storyboard(folder: Path, num_shots: int, *, seconds: float = 4.0) -> Path:
    """Write a storyboard of `num_shots` shots, ten a scene, with the example's art beside it.

    Every third shot speaks, every fourth has an effect, every fifth dissolves.
    """
    folder.mkdir(parents=True)
    for name in ("refs", "plates", "boards", "luts"):
        shutil.copytree(EXAMPLE / name, folder / name)
    example = yaml.safe_load((EXAMPLE / "film.yaml").read_text(encoding="utf-8"))
    board = {
        "version": 1,
        "project": {"code": "LONG", "title": "A long film", "fps": 24, "size": "1280x720"},
        "defaults": {"look": "dusk"},
        **{name: example[name] for name in ("cast", "locations", "looks")},
        "scenes": [
            _scene(first, min(10, num_shots - first), num_shots, seconds)
            for first in range(0, num_shots, 10)
        ],
    }
    path = folder / "film.yaml"
    path.write_text(yaml.safe_dump(board, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


def _scene(first: int, count: int, num_shots: int, seconds: float) -> dict[str, object]:
    place = ("gallery", "lamp_room", "shore")[first // 10 % 3]
    return {
        "id": f"sc{first + 10:05}",
        "slugline": f"EXT. {place.upper().replace('_', ' ')} {first // 10 + 1} - DUSK",
        "location": place,
        "ambience": "surf, distant gulls",
        "shots": [_shot(index, num_shots, seconds) for index in range(first, first + count)],
    }


def _shot(index: int, num_shots: int, seconds: float) -> dict[str, object]:
    shot: dict[str, object] = {
        "id": f"sh{index * 10 + 10:05}",
        "size": _SIZES[index % len(_SIZES)],
        "camera": {"move": _MOVES[index % len(_MOVES)], "lens_mm": 35},
        "duration": f"{seconds}s",
        "cast": ["mara"] if index % 2 else ["mara", "tomas"],
        "action": f"Beat {index + 1} of the night.",
    }
    if index % 3 == 0:
        line = f"{_LINES[index // 3 % len(_LINES)]} Night {index}."
        shot["dialogue"] = [{"who": "mara", "line": line, "at": "0.5s"}]
        shot["duration"] = "auto"
    if index % 4 == 0:
        shot["sfx"] = [{"cue": "rail creak", "at": "0.5s"}]
    if index % 5 == 4 and index + 1 < num_shots:
        shot["transition_out"] = {"type": "dissolve", "duration": "12f"}
    return shot
