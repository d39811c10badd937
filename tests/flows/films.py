"""A tiny film with references of its own, and how to make it: in this process or as a command."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from flows.film import make_film
from flows.made import MadeFilm
from flows.options import FilmOptions, FilmRun
from generator.backends import registry
from generator.backends.base import Backend
from media.ffmpeg import ffmpeg_exe
from media.sound import write_sound
from media.timebase import SAMPLE_RATE
from storyboards.resolve import load_film

__all__ = [
    "BOARD",
    "LAST_AT_S",
    "Tree",
    "board",
    "command",
    "install",
    "lag_samples",
    "make",
    "noise",
    "picture_digests",
    "sound_of",
    "tree",
    "write_film",
]

F32 = NDArray[np.float32]
Tree = Mapping[str, tuple[int, int]]

REPOSITORY = Path(__file__).parents[2]
LAST_AT_S = Fraction(1, 4)
"""Where in the first and in the last shot its line begins."""

BOARD: Mapping[str, Any] = {
    "version": 1,
    "project": {"code": "TNY", "title": "Tiny", "fps": 24, "size": "160x90"},
    "cast": {"mara": {"description": "woman, yellow coat", "refs": {"front": "refs/mara.png"}}},
    "locations": {"shore": {"description": "a shore", "refs": "refs/shore.png"}},
    "scenes": [
        {
            "id": "sc010",
            "slugline": "EXT. SHORE - DAY",
            "location": "shore",
            "shots": [
                {
                    "id": "sh0010",
                    "size": "LS",
                    "duration": "24f",
                    "cast": ["mara"],
                    "action": "She waits.",
                    "dialogue": [
                        {"who": "mara", "line": "One.", "at": "0.25s", "audio": "refs/first.wav"}
                    ],
                },
                {
                    "id": "sh0020",
                    "size": "MS",
                    "duration": "12f",
                    "action": "A wave.",
                    "camera": {"move": "push_in"},
                    "transition_out": {"type": "dissolve", "duration": "4f"},
                },
            ],
        },
        {
            "id": "sc020",
            "slugline": "EXT. SHORE - NIGHT",
            "location": "shore",
            "shots": [
                {"id": "sh0030", "size": "CU", "duration": "12f", "action": "The sea."},
                {
                    "id": "sh0040",
                    "size": "CU",
                    "duration": "10f",
                    "action": "Still the sea.",
                    "join": {"from": "sh0030", "mode": "extend"},
                },
                {
                    "id": "sh0050",
                    "size": "MCU",
                    "duration": "24f",
                    "cast": ["mara"],
                    "action": "She goes.",
                    "dialogue": [
                        {"who": "mara", "line": "Two.", "at": "0.25s", "audio": "refs/last.wav"}
                    ],
                },
            ],
        },
    ],
}
"""78 frames: 24 + 12 + 12 - 4 + 10 + 24."""


def board() -> dict[str, Any]:
    """The tiny film's storyboard, to be changed by a test."""
    return copy.deepcopy(dict(BOARD))


def noise(seed: int, num_samples: int = SAMPLE_RATE // 2) -> F32:
    """A mark that correlates with itself alone: `(1, samples) float32`."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((1, num_samples)) * 0.1).astype(np.float32)


def write_film(folder: Path, storyboard: Mapping[str, Any] = BOARD) -> Path:
    """Write the storyboard, with its references where there are none yet; the path of it."""
    refs = folder / "refs"
    if not refs.is_dir():
        refs.mkdir(parents=True)
        _draw_mara().save(refs / "mara.png")
        _draw_shore().save(refs / "shore.png")
        write_sound(refs / "first.wav", noise(1))
        write_sound(refs / "last.wav", noise(2))
    path = folder / "film.yaml"
    path.write_text(yaml.safe_dump(dict(storyboard), sort_keys=False), encoding="utf-8")
    return path


def install(monkeypatch: pytest.MonkeyPatch, *backends: Backend) -> None:
    """Add backends to this installation for the length of a test: these very objects."""
    module = ModuleType("installed_for_a_test")
    classes = dict(registry._CLASSES)
    for backend in backends:
        setattr(module, backend.id, lambda backend=backend: backend)
        classes[backend.id] = f"{module.__name__}:{backend.id}"
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(registry, "_CLASSES", classes)


def make(path: Path, run: FilmRun | None = None, **changes: Any) -> MadeFilm:
    """The film, made in this process; `variables` and `variant` go to the loader."""
    chosen = {name: changes.pop(name) for name in ("variables", "variant") if name in changes}
    options = FilmOptions(store=path.parent / "store", out=path.parent / "out", jobs=2)
    return make_film(load_film(path, **chosen), replace(options, **changes), run or FilmRun())


def command(
    *arguments: object, home: Path, before: str = "", timeout_s: float = 120, **environment: str
) -> subprocess.CompletedProcess[str]:
    """What `takeboard …` answers, in a process of its own that knows only of `environment`.

    `before` is run in it first.
    """
    return subprocess.run(
        command_line(*arguments, before=before),
        env=quiet_environment(home, **environment),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def command_line(*arguments: object, before: str = "") -> Sequence[str]:
    """The words that start the command, once `before` was run in its process."""
    start = "from flows.cli import main; main()"
    return [sys.executable, "-c", before + start, *map(str, arguments)]


def quiet_environment(home: Path, **changes: str) -> dict[str, str]:
    """This process's environment without a word of Prefect or of another store."""
    dropped = ("PREFECT_", "TAKEBOARD_", "COVERAGE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return {
        **kept,
        "HOME": str(home),
        "PREFECT_HOME": str(home / ".prefect"),
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        **changes,
    }


def picture_digests(path: Path) -> list[bytes]:
    """The decoded pixels of every frame."""
    with av.open(str(path)) as container:
        return [
            frame.to_ndarray(format="rgb24").tobytes()
            for frame in container.decode(container.streams.video[0])
        ]


def sound_of(path: Path) -> F32:
    """The first channel as a player hears it, decoded by ffmpeg: `(samples,) float32`, 48 kHz."""
    shown = subprocess.run(
        [ffmpeg_exe(), "-v", "error", "-i", str(path), "-map", "0:a:0", "-af", "pan=mono|c0=c0",
         "-ar", str(SAMPLE_RATE), "-f", "f32le", "-t", "60", "-"],
        capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    return np.frombuffer(shown.stdout, np.float32)


def lag_samples(heard: F32, mark: F32, expected_at: int, within: int = 4800) -> int:
    """How many samples after `expected_at` the mark is heard, searched `within` each way."""
    first = max(0, expected_at - within)
    window = heard[first : expected_at + within + mark.size]
    match = np.correlate(window, mark, mode="valid")
    return int(np.argmax(np.abs(match))) + first - expected_at


def tree(folder: Path) -> Tree:
    """Size and modification time of everything under `folder`, by name."""
    return {
        str(path.relative_to(folder)): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _draw_mara() -> Image.Image:
    picture = Image.new("RGBA", (120, 240))
    pen = ImageDraw.Draw(picture)
    pen.rectangle((30, 70, 90, 239), fill=(220, 180, 40, 255))
    pen.ellipse((38, 8, 82, 66), fill=(230, 190, 160, 255))
    return picture


def _draw_shore() -> Image.Image:
    rows = np.linspace((90, 140, 200), (200, 180, 140), 180).astype(np.uint8)
    picture = Image.fromarray(np.repeat(rows[:, None], 320, axis=1))
    ImageDraw.Draw(picture).ellipse((200, 20, 240, 60), fill=(255, 240, 200))
    return picture
