"""A full or read-only disk ends in one clear line, keeps what was finished, and can be mended."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.flows.films import command, tree, write_film

Mount = Callable[[Path, str], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts a file system in memory at a folder; skips where that is not allowed."""
    mounted: list[Path] = []

    def make(folder: Path, options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            allowed = subprocess.run(words, capture_output=True, check=False).returncode == 0
        except OSError:
            allowed = False
        if not allowed:
            pytest.skip("mounting a small file system needs root")
        mounted.append(folder)

    yield make
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


def produce(path: Path) -> subprocess.CompletedProcess[str]:
    folder = path.parent
    places = ("--store", folder / "store", "--out", folder / "out")
    return command("produce", path, "--quiet", "--jobs", 1, *places, home=folder)


def require_one_line(answer: subprocess.CompletedProcess[str], *words: str) -> None:
    assert answer.returncode in (5, 6), answer.stderr
    (line,) = answer.stderr.strip().splitlines()
    assert "Traceback" not in line
    for word in words:
        assert word in line, line


def whole_takes(folder: Path) -> set[str]:
    return {path.parent.name for path in (folder / "store/takes").glob("??/*/manifest.json")}


def require_mended(path: Path, kept: set[str]) -> None:
    """The next run keeps those takes and leaves nothing half-made."""
    folder = path.parent
    before = {name: tree(folder / f"store/takes/{name[:2]}/{name}") for name in kept}
    answer = produce(path)
    assert answer.returncode == 0, answer.stderr
    assert {name: tree(folder / f"store/takes/{name[:2]}/{name}") for name in kept} == before
    assert (folder / "out/TNY_master_en.mp4").is_file()
    assert not [one for one in folder.rglob("*") if ".tmp" in one.name or "cutting" in one.name]


@pytest.mark.parametrize("room_kb", [120, 400])
def test_the_disk_fills_while_takes_are_made(tmp_path: Path, mount: Mount, room_kb: int) -> None:
    path = write_film(tmp_path)
    mount(tmp_path / "store", "size=8m")
    filler = tmp_path / "store/filler"
    filler.write_bytes(bytes(8 * 1024 * 1024 - room_kb * 1024))
    require_one_line(produce(path), "no space left", "free some disk space", "kept")
    kept = whole_takes(tmp_path)
    assert len(kept) < 5 or room_kb > 120
    assert not [one for one in (tmp_path / "store").rglob("*") if ".tmp" in one.name]
    filler.unlink()
    require_mended(path, kept)


@pytest.mark.parametrize("room_kb", [0, 150, 2000, 8000])
def test_the_disk_fills_while_the_film_is_delivered(
    tmp_path: Path, mount: Mount, room_kb: int
) -> None:
    path = write_film(tmp_path)
    mount(tmp_path / "out", "size=64m")
    filler = tmp_path / "out/filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 64 * 1024 * 1024 - room_kb * 1024)
    require_one_line(produce(path), "free some disk space", "kept")
    kept = whole_takes(tmp_path)
    assert len(kept) == 5
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["filler"]
    filler.unlink()
    require_mended(path, kept)


def test_a_read_only_output_folder(tmp_path: Path, mount: Mount) -> None:
    path = write_film(tmp_path)
    mount(tmp_path / "out", "size=64m,ro")
    require_one_line(produce(path), "read-only file system", "--out")
    kept = whole_takes(tmp_path)
    assert len(kept) == 5
    remount(tmp_path / "out", "rw")
    require_mended(path, kept)


def test_a_read_only_store(tmp_path: Path, mount: Mount) -> None:
    path = write_film(tmp_path)
    mount(tmp_path / "store", "size=64m,ro")
    require_one_line(produce(path), "read-only file system", "TAKEBOARD_STORE")
    assert not (tmp_path / "out").exists()
    remount(tmp_path / "store", "rw")
    require_mended(path, set())
