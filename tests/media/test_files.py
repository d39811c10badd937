import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from media.errors import CancelledError, StoreError
from media.files import file_lock, free_bytes, publish_folder, sha256_file, write_atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_sha256_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    # FIPS 180-4's example for "abc".
    assert sha256_file(path).startswith("ba7816bf8f01cfea")
    path.write_bytes(b"abcd")
    assert not sha256_file(path).startswith("ba7816bf")


def test_an_atomic_write_replaces_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "één")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["a.txt"]


def test_a_failed_write_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="no space left") as caught:
        write_atomic(path, "new")
    assert "disk space" in caught.value.todo
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_is_published_whole(tmp_path: Path) -> None:
    final = tmp_path / "store" / "take"
    with publish_folder(final) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "x").write_text("x")
        assert not final.exists()
    assert (final / "sub" / "x").read_text() == "x"
    assert names(final.parent) == ["take"]


def test_the_first_published_folder_stays(tmp_path: Path) -> None:
    final = tmp_path / "take"
    with publish_folder(final) as late:
        (late / "x").write_text("late")
        with publish_folder(final) as first:
            (first / "x").write_text("first")
    assert (final / "x").read_text() == "first"
    assert names(tmp_path) == ["take"]


def test_an_error_publishes_nothing(tmp_path: Path) -> None:
    def fail_inside() -> None:
        with publish_folder(tmp_path / "take") as folder:
            (folder / "x").write_text("x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_inside()
    assert names(tmp_path) == []


def test_a_lock_has_one_holder(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", 0, 0

    def hold() -> None:
        nonlocal inside, most
        with file_lock(path, poll_s=0.005):
            inside += 1
            most = max(most, inside)
            time.sleep(0.01)
            inside -= 1

    threads = [threading.Thread(target=hold) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_waiting_for_a_lock_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with file_lock(path):
        with pytest.raises(StoreError, match="still locked"), file_lock(path, timeout_s=0):
            pass
        with pytest.raises(CancelledError), file_lock(path, should_stop=lambda: True):
            pass


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from media.files import file_lock\n"
        "with file_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(StoreError), file_lock(path, timeout_s=0):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with file_lock(path, timeout_s=0):
        pass


def test_free_space_is_known_before_the_folder_exists(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") > 0
