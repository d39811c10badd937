"""The store: whole or absent, made once, whatever dies and whatever breaks."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from textwrap import dedent

import pytest

import media.files
from media.errors import CancelledError, RenderError, StoreError
from media.store import MANIFEST, ContentStore, Entry
from tests.media.object_server import Farm

ROOT = Path(__file__).resolve().parents[2]


def key_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def write_two(folder: Path) -> dict[str, object]:
    (folder / "picture.mp4").write_bytes(b"picture" * 1000)
    (folder / "sound.wav").write_bytes(b"sound")
    return {"num_frames": 24}


@pytest.fixture
def plain(tmp_path: Path) -> ContentStore:
    return ContentStore(tmp_path, "takes")


@pytest.fixture(params=["folder", "shared"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ContentStore:
    """A store in a folder, and one that is a local copy of an object store."""
    if request.param == "shared":
        farm: Farm = request.getfixturevalue("farm")
        return farm.store("here")
    return ContentStore(tmp_path, "takes")


def test_what_was_made_is_found_again(store: ContentStore) -> None:
    made = store.make(key_of(1), write_two)
    assert store.find(key_of(1)) == made
    assert set(made.files) == {"picture.mp4", "sound.wav"}
    assert made.details == {"num_frames": 24}
    assert store.size_bytes(key_of(1)) >= made.size_bytes > 7000
    assert list(store.keys()) == [key_of(1)]
    assert store.peek(key_of(1))
    assert store.find(key_of(2)) is None
    assert not store.peek(key_of(2))


def test_is_built_once(store: ContentStore) -> None:
    store.make(key_of(1), write_two)
    store.make(key_of(1), lambda folder: pytest.fail("built again"))


@pytest.mark.parametrize("error", [RenderError("no"), CancelledError("stop"), ValueError("bad")])
def test_a_failed_build_leaves_nothing(store: ContentStore, error: Exception) -> None:
    def build(folder: Path) -> dict[str, object]:
        write_two(folder)
        raise error

    with pytest.raises(type(error)):
        store.make(key_of(1), build)
    assert store.find(key_of(1)) is None
    assert store.litter() == []
    assert [path for path in store.folder.rglob("*") if path.is_file()] == [store._lock(key_of(1))]
    store.make(key_of(1), write_two)


@pytest.mark.parametrize("name", ["picture.mp4", "sound.wav"])
def test_a_flipped_bit_is_found_and_made_good(tmp_path: Path, name: str) -> None:
    path = ContentStore(tmp_path, "takes").make(key_of(1), write_two).files[name]
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))

    store = ContentStore(tmp_path, "takes")
    assert store.find(key_of(1)) is None
    assert store.damage[0].reason == f"{name} is not what was written"
    moved = store.damage[0].moved_to
    assert moved is not None
    assert (moved / name).exists()
    assert store.make(key_of(1), write_two).files[name].read_bytes() != bytes(data)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: (folder / "sound.wav").unlink(),
        lambda folder: (folder / "sound.wav").write_bytes(b"x"),
        lambda folder: (folder / MANIFEST).write_bytes(b'{"version": 1'),
        lambda folder: (folder / MANIFEST).write_bytes(b"[]"),
        lambda folder: (folder / MANIFEST).write_bytes(b"\xff\xfe"),
        lambda folder: change(folder, key=key_of(2)),
        lambda folder: change(folder, version=2),
        lambda folder: change(folder, files={"../../x": {"bytes": 1, "sha256": ""}}),
    ],
)
def test_damage_is_put_aside(plain: ContentStore, spoil: object) -> None:
    entry = plain.make(key_of(1), write_two)
    spoil(entry.folder)  # type: ignore[operator]
    assert plain.find(key_of(1), verify=False) is None
    assert len(plain.damage) == 1
    assert not plain.entry_folder(key_of(1)).exists()
    assert plain.make(key_of(1), write_two).details == {"num_frames": 24}


def change(folder: Path, **fields: object) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    (folder / MANIFEST).write_text(json.dumps({**manifest, **fields}))


@pytest.mark.parametrize("key", ["", "../x", "A" * 64, "0" * 63])
def test_a_key_is_a_hash(store: ContentStore, key: str) -> None:
    with pytest.raises(StoreError, match="64 hexadecimal"):
        store.find(key)


def test_threads_build_once_and_share(store: ContentStore) -> None:
    builds: list[int] = []

    def build(folder: Path) -> dict[str, object]:
        builds.append(1)
        time.sleep(0.1)
        return write_two(folder)

    threads = [threading.Thread(target=store.make, args=(key_of(1), build)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builds == [1]


def test_a_waiting_run_can_be_cancelled(store: ContentStore) -> None:
    begun, go = threading.Event(), threading.Event()

    def build(folder: Path) -> dict[str, object]:
        begun.set()
        go.wait(10)
        return write_two(folder)

    thread = threading.Thread(target=store.make, args=(key_of(1), build))
    thread.start()
    begun.wait(10)
    with pytest.raises(CancelledError):
        store.make(key_of(1), write_two, should_stop=lambda: True)
    go.set()
    thread.join()
    assert store.peek(key_of(1))


MAKER = dedent("""
    import hashlib, sys, time
    from pathlib import Path
    from media.store import ContentStore
    root, first, last, pause = Path(sys.argv[1]), *map(float, sys.argv[2:5])
    store = ContentStore(root, "takes")
    def build(folder):
        (root / "builds").open("a").write("x")
        for part in range(4):
            with (folder / "picture.mp4").open("ab") as file:
                file.write(bytes([part]) * 50_000)
            time.sleep(pause)
        return {"num_frames": 4}
    print("ready", flush=True)
    for number in range(int(first), int(last)):
        store.make(hashlib.sha256(str(number).encode()).hexdigest(), build)
""")


def start_maker(root: Path, *arguments: object) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, str(root), *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_two_processes_build_once(tmp_path: Path) -> None:
    makers = [start_maker(tmp_path, 0, 6, 0.01) for _ in range(2)]
    assert [maker.wait(60) for maker in makers] == [0, 0]
    assert (tmp_path / "builds").read_text() == "x" * 6
    assert len(list(ContentStore(tmp_path, "takes").keys())) == 6


def test_survives_kill_at_any_moment(tmp_path: Path) -> None:
    """Killed over and over in the middle of its work, the store holds whole entries only."""
    chance = random.Random(7)
    entries: list[Entry | None] = []
    for killed in range(60):
        # A dozen kills, and more where the machine is too busy for work to be met.
        if killed >= 12 and len(entries) > 3:
            break
        maker = start_maker(tmp_path, 0, 1000, 0.004)
        time.sleep(chance.uniform(0.0, 0.15))
        maker.send_signal(signal.SIGKILL)
        maker.wait(10)
        store = ContentStore(tmp_path, "takes")
        entries = list(map(store.find, store.keys()))
        assert all(entry and entry.size_bytes > 200_000 for entry in entries)
        assert store.damage == []
    made = len(entries)
    assert made > 3
    maker = start_maker(tmp_path, 0, made + 3, 0)
    assert maker.wait(60) == 0
    store.sweep()
    assert len(list(store.keys())) == made + 3
    assert not list(store.folder.rglob("*.tmp"))


def test_the_dead_maker_s_folder_is_swept_and_a_living_one_s_is_not(tmp_path: Path) -> None:
    maker = start_maker(tmp_path, 0, 1, 5)
    store = ContentStore(tmp_path, "takes")
    deadline = time.monotonic() + 10
    while not list(store.folder.rglob("picture.mp4")) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert store.litter() == []
    maker.kill()
    maker.wait(10)
    assert len(store.litter()) == 1
    assert store.sweep() >= 50_000
    assert store.litter() == []


def test_a_removal_cut_short_is_absent_and_made_again(plain: ContentStore) -> None:
    entry = plain.make(key_of(1), write_two)
    (entry.folder / MANIFEST).unlink()
    assert plain.find(key_of(1)) is None
    assert plain.litter() == [entry.folder]
    assert plain.make(key_of(1), write_two).details == {"num_frames": 24}


def test_a_full_disk_is_one_clear_line(
    store: ContentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.make(key_of(1), write_two)

    def no_space(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(media.files, "_fsync_tree", no_space)
        with pytest.raises(StoreError, match="no space left on device; free some disk space"):
            store.make(key_of(2), write_two)
    assert store.find(key_of(2)) is None
    assert store.find(key_of(1)) is not None
    assert store.litter() == []
    store.make(key_of(2), write_two)


def mounted(kind_of_mount: list[str], folder: Path) -> bool:
    return (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", *kind_of_mount, "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
        == 0
    )


def test_a_truly_full_disk_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted(["-t", "tmpfs", "-o", "size=256k"], disk):
        pytest.skip("mounting needs root")
    try:
        store = ContentStore(disk, "takes")
        store.make(key_of(1), write_two)

        def large(folder: Path) -> dict[str, object]:
            (folder / "picture.mp4").write_bytes(bytes(1_000_000))
            return {}

        with pytest.raises(StoreError, match="no space left"):
            store.make(key_of(2), large)
        assert store.find(key_of(1)) is not None
        assert store.litter() == []
        store.make(key_of(2), write_two)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_read_only_store_is_read_and_refuses_to_write(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if not mounted(["-t", "tmpfs", "-o", "size=1m"], disk):
        pytest.skip("mounting needs root")
    try:
        ContentStore(disk, "takes").make(key_of(1), write_two)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        store = ContentStore(disk, "takes")
        assert store.find(key_of(1)) is not None
        with pytest.raises(StoreError, match="read-only file system; choose a folder"):
            store.make(key_of(2), write_two)
        with pytest.raises(StoreError, match="read-only"):
            store.remove(key_of(1), used_before=time.time() + 1)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_remove_spares_what_is_in_use(plain: ContentStore) -> None:
    entry = plain.make(key_of(1), write_two)
    assert plain.remove(key_of(1), used_before=plain.last_used(key_of(1))) is None
    with media.files.file_lock(plain._lock(key_of(1))):
        assert plain.remove(key_of(1), used_before=time.time() + 9) is None
    assert plain.remove(key_of(1), used_before=time.time() + 9) == entry.size_bytes
    assert plain.find(key_of(1)) is None


def test_finding_an_entry_notes_its_use(store: ContentStore) -> None:
    entry = store.make(key_of(1), write_two)
    os.utime(entry.folder / MANIFEST, (1000, 1000))
    store.find(key_of(1))
    assert store.last_used(key_of(1)) > time.time() - 60
