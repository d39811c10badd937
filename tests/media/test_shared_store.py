"""A store on object storage: the guarantees of a folder, over a real S3-speaking server."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import media.object_store
import media.shared_kind
from media.errors import CancelledError, RenderError, StoreError, UsageError
from media.leases import LeaseTimes, hold_lease
from media.manifest import MANIFEST
from media.object_store import open_objects
from media.patience import Patience, patient, read_patience
from media.shared_index import SharedIndex
from media.shared_store import BINDING, address_of, local_root, shared_objects
from media.store import ContentStore
from tests.media.object_server import (
    KEY_ID,
    SECRET,
    Answer,
    Farm,
    Gate,
    ObjectServer,
    forget_connections,
    gate_before,
    objects_in,
    s3_error,
)

ROOT = Path(__file__).resolve().parents[2]


def key_of(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def write_two(folder: Path) -> dict[str, object]:
    (folder / "picture.mp4").write_bytes(b"picture" * 1000)
    (folder / "sound.wav").write_bytes(b"sound")
    return {"num_frames": 24}


def never(folder: Path) -> dict[str, object]:
    pytest.fail("built again")


@pytest.fixture
def gate(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    with gate_before(farm.server) as opened:
        monkeypatch.setenv("AWS_ENDPOINT_URL", opened.endpoint)
        forget_connections()
        yield opened
    forget_connections()


# Addresses


def test_a_path_stays_a_path_and_a_url_gets_a_bound_folder(tmp_path: Path) -> None:
    environ = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    assert local_root(str(tmp_path / "takes"), environ) == tmp_path / "takes"
    assert address_of(tmp_path / "takes") == str(tmp_path / "takes")
    root = local_root("S3://films/lighthouse/", environ)
    assert root.is_relative_to(tmp_path / "cache" / "takeboard" / "stores")
    assert address_of(root) == "s3://films/lighthouse"
    assert root == local_root("s3://films/lighthouse", environ)
    assert root != local_root("s3://films/other", environ)
    assert json.loads((root / BINDING).read_text())["url"] == "s3://films/lighthouse"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("s3://", "expected a URL such as s3://bucket/prefix"),
        ("s3://key:hunter2@films/x", "expected a URL such as s3://bucket/prefix"),
        ("s3://films/x?secret=hunter2", "expected a URL such as s3://bucket/prefix"),
        ("s3://films/../x", "expected a URL such as s3://bucket/prefix"),
        ("file:///srv/takes", "expected the path of a folder"),
        ("flms://films/x", "no library knows flms://"),
        ("gs://films/x", "gs:// needs a library that is not installed"),
    ],
)
def test_a_wrong_address_is_one_clear_line(tmp_path: Path, address: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        local_root(address, {"TAKEBOARD_STORE_COPY": str(tmp_path)})
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_binding_that_cannot_be_read_does_not_become_a_plain_folder(tmp_path: Path) -> None:
    (tmp_path / BINDING).write_text("{")
    with pytest.raises(StoreError, match=r"shared\.json: cannot be read"):
        ContentStore(tmp_path, "takes")


def test_patience_is_a_number() -> None:
    assert read_patience({}).seconds == 600
    assert read_patience({"TAKEBOARD_STORE_PATIENCE": "3"}).seconds == 3
    for wrong in ("soon", "-1", "nan", "inf"):
        with pytest.raises(UsageError, match="TAKEBOARD_STORE_PATIENCE: expected a number"):
            read_patience({"TAKEBOARD_STORE_PATIENCE": wrong})


# Whole or absent


def test_what_one_machine_made_the_other_finds(farm: Farm) -> None:
    made = farm.store("a").make(key_of(1), write_two)
    other = farm.store("b")
    assert other.peek(key_of(1))
    assert not other.peek(key_of(2))
    found = other.find(key_of(1))
    assert found is not None
    assert found.folder.is_relative_to(farm.root("b"))
    assert {name: path.read_bytes() for name, path in found.files.items()} == {
        name: path.read_bytes() for name, path in made.files.items()
    }
    assert found.details == {"num_frames": 24}
    assert other.find(key_of(2)) is None
    assert other.make(key_of(1), never).files == found.files
    assert list(other.keys()) == [key_of(1)]
    assert farm.objects("/leases/") == []


def test_only_what_machines_must_share_is_shared(farm: Farm) -> None:
    for kind in ("takes", "generations", "tickets", "assets", "finished", "sounds", "segments"):
        farm.store("a", kind).make(key_of(1), write_two)
    kinds = {name.split("/")[1] for name in farm.objects("/manifests/")}
    assert kinds == {"takes", "generations", "tickets", "assets", "finished"}
    assert farm.store("b", "segments").find(key_of(1)) is None


def test_files_in_folders_and_empty_files_come_over(farm: Farm) -> None:
    def build(folder: Path) -> dict[str, object]:
        (folder / "stems").mkdir()
        (folder / "stems" / "bed.wav").write_bytes(b"")
        (folder / "big.bin").write_bytes(os.urandom(11 * 2**20))  # in several parts
        return {}

    made = farm.store("a").make(key_of(1), build)
    found = farm.store("b").find(key_of(1))
    assert found is not None
    assert found.files["big.bin"].read_bytes() == made.files["big.bin"].read_bytes()
    assert found.files["stems/bed.wav"].read_bytes() == b""


def test_a_failed_build_leaves_nothing_anywhere(farm: Farm) -> None:
    def build(folder: Path) -> dict[str, object]:
        write_two(folder)
        raise RenderError("no")

    with pytest.raises(RenderError):
        farm.store("a").make(key_of(1), build)
    assert farm.objects() == []
    assert farm.store("a").publish_pending() == 0
    farm.store("b").make(key_of(1), write_two)


def test_the_first_of_two_uploads_stays_whole(farm: Farm) -> None:
    """Two machines that made the same key, unseen by each other: files are never mixed."""
    folders = []
    for number in range(2):
        plain = ContentStore(farm.folder / f"plain{number}", "takes")
        entry = plain.make(key_of(1), lambda folder, n=number: _numbered(folder, n))  # type: ignore[misc]
        folders.append(entry.folder)
    shared = [farm.store(machine)._shared for machine in "ab"]
    kinds = [one.there for one in shared if one]
    threads = [
        threading.Thread(target=kind.publish, args=(key_of(1), folder))
        for kind, folder in zip(kinds, folders, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = farm.store("c").find(key_of(1))
    assert found is not None
    numbers = {path.read_bytes() for path in found.files.values()}
    assert len(numbers) == 1
    assert len(farm.objects("/manifests/")) == 1
    assert len(farm.objects("/files/")) == 3


def _numbered(folder: Path, number: int) -> dict[str, object]:
    for name in ("a", "b", "c"):
        (folder / name).write_bytes(bytes([number]) * 200_000)
    return {}


MAKER = dedent("""
    import hashlib, os, sys, time
    from pathlib import Path
    from media.shared_store import local_root
    from media.store import ContentStore
    url, log, first, last, pause = sys.argv[1], Path(sys.argv[2]), *map(float, sys.argv[3:6])
    store = ContentStore(local_root(url), "takes")
    def build(folder):
        with log.open("a") as built:
            built.write("x")
        for part in range(4):
            with (folder / f"part{part}.bin").open("ab") as file:
                file.write(bytes([part]) * 400_000)
            time.sleep(pause)
        return {"num_frames": 4}
    store.peek("0" * 64)
    print("ready", flush=True)
    for number in range(int(first), int(last)):
        store.make(hashlib.sha256(str(number).encode()).hexdigest(), build)
""")


def start_maker(
    farm: Farm, machine: str, *arguments: object, **environ: str
) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", MAKER, farm.url, str(farm.folder / "builds"), *map(str, arguments)],
        cwd=ROOT,
        env=farm.environ(machine, **environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


@pytest.mark.slow
def test_a_reader_sees_whole_or_absent_whenever_the_uploader_is_killed(farm: Farm) -> None:
    chance = random.Random(11)
    reader = farm.store("reader")
    seen = 0
    for killed in range(40):
        if killed >= 8 and seen > 2:
            break
        maker = start_maker(farm, "maker", 0, 1000, 0.01)
        time.sleep(chance.uniform(0.02, 0.4))
        maker.send_signal(signal.SIGKILL)
        maker.wait(10)
        found = {key: reader.find(key) for key in list(reader.keys())}
        partial = {k: e for k, e in found.items() if e is None or e.size_bytes < 1_600_000}
        assert (partial, reader.damage) == ({}, [])
        seen = len(found)
    assert seen > 2
    pending = farm.store("maker")
    pending.publish_pending()
    built = (farm.folder / "builds").read_text()
    maker = start_maker(farm, "maker", 0, seen + 1, 0)
    assert maker.wait(60) == 0
    # At most the one that no upload had begun for was not there.
    assert len((farm.folder / "builds").read_text()) <= len(built) + 1
    assert len(list(reader.keys())) >= seen + 1


def test_what_a_killed_process_had_finished_is_published_and_not_made_again(
    farm: Farm, server: ObjectServer
) -> None:
    with gate_before(server) as gate:
        gate.before = lambda request, headers: (
            s3_error(503, "SlowDown")
            if request.startswith("PUT") and "/files/" in request
            else None
        )
        maker = start_maker(farm, "a", 0, 1, 0, AWS_ENDPOINT_URL=gate.endpoint)
        manifest = farm.root("a") / "takes" / key_of(0)[:2] / key_of(0) / MANIFEST
        deadline = time.monotonic() + 20
        while not (manifest.exists() and gate.count("PUT", "/files/")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        maker.kill()
        maker.wait(10)
    assert farm.objects("/manifests/") == []
    store = farm.store("a")
    assert store.peek(key_of(0))
    assert not farm.store("b").peek(key_of(0))
    assert store.publish_pending() == 1
    assert store.publish_pending() == 0
    assert farm.store("b").find(key_of(0)) is not None
    assert store.make(key_of(0), never).key == key_of(0)
    assert (farm.folder / "builds").read_text() == "x"


# Single flight


def test_two_machines_make_one_take_once(farm: Farm) -> None:
    makers = [start_maker(farm, machine, 0, 3, 0.05) for machine in "ab"]
    assert [maker.wait(60) for maker in makers] == [0, 0]
    assert (farm.folder / "builds").read_text() == "x" * 3
    assert len(farm.objects("/manifests/")) == 3
    assert farm.objects("/leases/") == []


def test_a_lease_of_this_copy_s_dead_process_does_not_hold_it_up(farm: Farm) -> None:
    maker = start_maker(farm, "a", 0, 1, 5)
    deadline = time.monotonic() + 20
    while not farm.objects("/leases/"):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    maker.kill()
    maker.wait(10)
    begun = time.monotonic()
    farm.store("a").make(key_of(0), write_two)
    assert time.monotonic() - begun < 5
    assert farm.objects("/leases/") == []


def test_a_lease_that_nobody_renews_is_taken_over(farm: Farm) -> None:
    objects = open_objects(farm.url)
    times = LeaseTimes(renew_s=0.2, look_s=0.05, gone_s=1.0)
    objects.create("leases/x/1", b'{"owner": "dead", "host": "m1", "beat": "1"}')
    begun = time.monotonic()
    with hold_lease(
        objects, "leases/x", "me", Patience(5), is_over=lambda: False, times=times
    ) as is_ours:
        assert is_ours
        assert 0.9 < time.monotonic() - begun < 5
        # A living holder keeps it, however long it takes.
        waited = []

        def second() -> None:
            patience = Patience(5, lambda: len(waited) > 0)
            with (
                pytest.raises(CancelledError),
                hold_lease(
                    objects, "leases/x", "you", patience, is_over=lambda: False, times=times
                ),
            ):
                pytest.fail("two hold it")

        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(2.5)
        waited.append(1)
        thread.join(10)
    assert objects.list("leases") == ()


def test_a_lease_that_was_taken_over_is_held_though_the_first_one_is_given_back(
    farm: Farm,
) -> None:
    objects = open_objects(farm.url)
    # The holder of 1 was silent, 2 took over, and then the holder of 1 gave up after all.
    objects.create("leases/x/2", b'{"owner": "other", "host": "m2", "beat": "1"}')
    with (
        pytest.raises(CancelledError),
        hold_lease(objects, "leases/x", "me", Patience(5, _after(0.5)), is_over=lambda: False),
    ):
        pytest.fail("two hold it")
    assert [one.name for one in objects.list("leases")] == ["leases/x/2"]


def test_a_take_that_another_machine_publishes_meanwhile_is_taken(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    def slowly(folder: Path) -> dict[str, object]:
        begun.set()
        go.wait(20)
        return write_two(folder)

    first = threading.Thread(target=farm.store("a").make, args=(key_of(1), slowly))
    first.start()
    assert begun.wait(20)
    with pytest.raises(CancelledError):
        farm.store("b").make(key_of(1), never, should_stop=_after(0.5))
    second = threading.Thread(target=farm.store("b").make, args=(key_of(1), never))
    second.start()
    time.sleep(0.3)
    go.set()
    first.join(20)
    second.join(20)
    assert (farm.store("b").entry_folder(key_of(1)) / MANIFEST).exists()


def _after(seconds: float):  # type: ignore[no-untyped-def]
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def test_who_lost_the_lease_publishes_all_the_same(farm: Farm) -> None:
    def build(folder: Path) -> dict[str, object]:
        # Meanwhile another machine took the lease over and was first.
        lease = f"takes/leases/{key_of(1)}/2"
        open_objects(farm.url).create(lease, b'{"owner": "other", "host": "m2", "beat": "1"}')
        plain = ContentStore(farm.folder / "plain", "takes").make(key_of(1), write_two)
        shared = farm.store("b")._shared
        assert shared is not None
        shared.there.publish(key_of(1), plain.folder)
        return write_two(folder)

    farm.store("a").make(key_of(1), build)
    assert len(farm.objects("/manifests/")) == 1
    assert farm.store("a")._shared.is_known_to_all(key_of(1))  # type: ignore[union-attr]
    # The other machine's lease is its own to give back.
    assert [name.rpartition("/")[2] for name in farm.objects("/leases/")] == ["2"]


def test_a_store_that_writes_over_taken_names_is_refused(farm: Farm, gate: Gate) -> None:
    def forget(request: str, headers: dict[str, str]) -> None:
        headers.pop("If-None-Match", None)

    gate.before = forget
    with pytest.raises(StoreError, match="writes over a name that is taken"):
        farm.store("a").make(key_of(1), never)


# Damage


def spoil_file(bucket: Path) -> None:
    path = next(bucket.rglob("picture.mp4"))
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


def cut_file(bucket: Path) -> None:
    path = next(bucket.rglob("sound.wav"))
    path.write_bytes(path.read_bytes()[:-1])


def lose_file(bucket: Path) -> None:
    next(bucket.rglob("sound.wav")).unlink()


def spoil_manifest(bucket: Path) -> None:
    next(bucket.rglob("manifests/*/*.json")).write_bytes(b'{"version": 1')


@pytest.mark.parametrize("spoil", [spoil_file, cut_file, lose_file, spoil_manifest])
def test_a_damaged_object_is_put_aside_and_made_again(farm: Farm, spoil) -> None:  # type: ignore[no-untyped-def]
    farm.store("a").make(key_of(1), write_two)
    spoil(farm.bucket)
    other = farm.store("b")
    assert other.find(key_of(1)) is None
    assert "in the shared store" in other.damage[0].reason
    assert len(farm.objects("/quarantine/")) == 1
    assert farm.objects("/manifests/") == []
    assert not other.entry_folder(key_of(1)).exists()
    other.make(key_of(1), write_two)
    assert farm.store("c").find(key_of(1)) is not None
    other.sweep()
    assert farm.objects("/quarantine/") == []


@pytest.mark.parametrize("name", ["picture.mp4", MANIFEST])
def test_a_local_copy_that_rotted_is_downloaded_again(farm: Farm, name: str) -> None:
    entry = farm.store("a").make(key_of(1), write_two)
    (entry.folder / name).write_bytes(b"rot")
    store = farm.store("a")
    found = store.find(key_of(1))
    assert found is not None
    assert found.files["picture.mp4"].read_bytes() == b"picture" * 1000
    assert len(store.damage) == 1
    assert farm.objects("/quarantine/") == []
    (entry.folder / MANIFEST).unlink()
    assert farm.store("a").find(key_of(1)) is not None


def test_a_bad_line_condemns_nothing(
    farm: Farm, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    farm.store("a").make(key_of(1), write_two)
    chance = random.Random(3)

    def spoil(request: str, answer):  # type: ignore[no-untyped-def]
        if request.startswith("GET") and request.partition("?")[0].endswith("picture.mp4"):
            answer.body = answer.body[:2000] + chance.randbytes(1) + answer.body[2001:]
        return answer

    gate.after = spoil
    with pytest.raises(StoreError, match="does not arrive as it is stored"):
        farm.store("b").find(key_of(1))
    assert not farm.store("b").entry_folder(key_of(1)).exists()
    gate.after = lambda request, answer: answer
    assert farm.store("b").find(key_of(1)) is not None
    assert farm.objects("/quarantine/") == []


@pytest.mark.parametrize("declared", [True, False])
def test_a_download_that_is_cut_short_is_never_taken(
    farm: Farm, gate: Gate, declared: bool
) -> None:
    farm.store("a").make(key_of(1), write_two)
    cuts = []

    def cut(request: str, answer):  # type: ignore[no-untyped-def]
        path = request.partition("?")[0]
        if request.startswith("GET") and path.endswith("picture.mp4") and len(cuts) < 2:
            cuts.append(path)
            answer.body = answer.body[: len(answer.body) // 2]
        return answer

    gate.after = cut
    # Where it mends the length as well, nothing but the manifest can tell.
    gate.mends_length = not declared
    found = farm.store("b").find(key_of(1))
    assert found is not None
    assert found.files["picture.mp4"].read_bytes() == b"picture" * 1000
    assert len(cuts) == 2
    assert farm.objects("/quarantine/") == []


# Away


def test_an_outage_in_mid_upload_is_waited_out(
    farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    def build(folder: Path) -> dict[str, object]:
        for part in range(6):
            (folder / f"part{part}.bin").write_bytes(os.urandom(2_000_000))
        return {}

    server, done = farm.server, threading.Event()

    def outage() -> None:
        while not farm.objects("/files/") and not done.is_set():
            time.sleep(0.005)
        server.kill()
        time.sleep(2.0)
        server.start()

    thread = threading.Thread(target=outage)
    thread.start()
    try:
        with caplog.at_level(logging.WARNING, "takeboard.store"):
            farm.store("a").make(key_of(1), build)
    finally:
        done.set()
        thread.join(30)
    found = farm.store("b").find(key_of(1))
    assert found is not None
    assert len(found.files) == 6
    away = [record for record in caplog.records if "trying again" in record.message]
    assert len(away) == 1


def test_a_finished_take_is_kept_when_the_store_is_gone_and_published_when_it_is_back(
    farm: Farm, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKEBOARD_STORE_PATIENCE", "1")
    forget_connections()

    def gone(request: str, headers: dict[str, str]):  # type: ignore[no-untyped-def]
        away = request.startswith("PUT") and "/files/" in request
        return s3_error(500, "InternalError") if away else None

    gate.before = gone
    with pytest.raises(StoreError, match=r"is kept in .* and is not shared yet") as caught:
        farm.store("a").make(key_of(1), write_two)
    assert "\n" not in str(caught.value)
    assert farm.store("a").find(key_of(1)) is not None  # at once, although it cannot be shared
    assert farm.store("a").peek(key_of(1))
    with pytest.raises(StoreError, match="is not shared yet"):
        farm.store("a").make(key_of(1), never)
    gate.before = lambda request, headers: None
    farm.store("a").make(key_of(1), never)
    assert farm.store("b").find(key_of(1)) is not None


def test_a_find_publishes_what_is_pending_when_the_store_is_back(
    farm: Farm, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKEBOARD_STORE_PATIENCE", "0")
    forget_connections()
    gate.before = lambda request, headers: (
        s3_error(500, "InternalError") if "/files/" in request else None
    )
    with pytest.raises(StoreError):
        farm.store("a").make(key_of(1), write_two)
    gate.before = lambda request, headers: None
    assert farm.store("a").find(key_of(1)) is not None
    assert farm.store("b").find(key_of(1)) is not None


def test_an_upload_in_parts_that_the_store_gave_up_begins_anew(farm: Farm, gate: Gate) -> None:
    refused: list[str] = []

    def give_up(request: str, headers: dict[str, str]) -> Answer | None:
        if request.startswith("POST") and "uploadId=" in request and not refused:
            refused.append(request)
            return s3_error(404, "NoSuchUpload")
        return None

    def build(folder: Path) -> dict[str, object]:
        (folder / "big.bin").write_bytes(os.urandom(11 * 2**20))
        return {}

    gate.before = give_up
    made = farm.store("a").make(key_of(1), build)
    assert refused
    found = farm.store("b").find(key_of(1))
    assert found is not None
    assert found.files["big.bin"].read_bytes() == made.files["big.bin"].read_bytes()


def test_what_cannot_be_written_is_never_taken_for_written(farm: Farm, gate: Gate) -> None:
    gate.before = lambda request, headers: (
        s3_error(404, "NoSuchKey") if request.startswith("PUT") else None
    )
    objects = open_objects(farm.url)
    path = farm.folder / "x"
    path.write_bytes(b"x")
    for write in (
        lambda: objects.upload(path, "x", Patience(0)),
        lambda: objects.write("x", b"x", Patience(0)),
        lambda: objects.create("x", b"x", Patience(0)),
    ):
        with pytest.raises(StoreError, match="there is no such object"):
            write()


def test_patience_is_with_an_outage_and_not_with_each_request(
    farm: Farm, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media.object_store, "_FIRST_PAUSE_S", 0.02)
    objects = open_objects(farm.url)
    assert objects.read("x") is None  # connecting takes its time on a busy machine
    gate.requests.clear()
    gate.before = lambda request, headers: s3_error(503, "SlowDown")
    with pytest.raises(StoreError, match="SlowDown, tried for"):
        objects.read("x", Patience(1))
    tries = len(gate.requests)
    assert tries > 1
    with pytest.raises(StoreError):
        objects.read("x", Patience(1))
    assert len(gate.requests) == tries + 1
    gate.before = lambda request, headers: None
    assert objects.read("x", Patience(1)) is None
    gate.before = lambda request, headers: s3_error(503, "SlowDown")
    with pytest.raises(StoreError):
        objects.read("x", Patience(5))  # a busy machine may need a second for one request
    assert len(gate.requests) > tries + 3  # another outage


def test_waiting_for_the_store_can_be_stopped(farm: Farm, gate: Gate) -> None:
    gate.before = lambda request, headers: s3_error(503, "SlowDown")
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        farm.store("a").make(key_of(1), never, should_stop=_after(0.5))
    assert time.monotonic() - begun < 5


def test_a_look_for_an_entry_can_be_stopped_and_cut_short(farm: Farm, gate: Gate) -> None:
    gate.before = lambda request, headers: s3_error(503, "SlowDown")
    store = farm.store("a")
    for look in (store.find, store.peek, store.last_used):
        begun = time.monotonic()
        with pytest.raises(CancelledError), patient(_after(0.3)):
            look(key_of(1))
        with pytest.raises(StoreError, match="SlowDown"), patient(lambda: False, 0.3):
            look(key_of(1))
        with pytest.raises(CancelledError), patient(_after(0.3)), patient(lambda: False, 100):
            look(key_of(1))
        assert time.monotonic() - begun < 8


def test_a_server_that_says_nothing_more_is_given_up(
    farm: Farm, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media.object_store, "_STALL_S", 0.5)
    let_go = threading.Event()

    def stall(request: str, headers: dict[str, str]) -> None:
        let_go.wait(20)

    gate.before = stall
    objects = open_objects(farm.url)
    begun = time.monotonic()
    try:
        with pytest.raises(StoreError, match=r"does not answer \(TimeoutError\)"):
            objects.read("x", Patience(0))
    finally:
        let_go.set()
    assert time.monotonic() - begun < 5


# Refused


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "InvalidAccessKeyId", "the access key is not known there; check the keys"),
        (403, "SignatureDoesNotMatch", "the secret key is wrong; check the keys"),
        (403, "AccessDenied", "access is denied; check the keys and what they may do"),
        (404, "NoSuchBucket", "there is no such bucket; make the bucket"),
        (400, "ExpiredToken", "the session token has expired"),
        (403, "RequestTimeTooSkewed", "this machine's clock is wrong"),
    ],
)
def test_what_will_not_mend_by_itself_is_said_at_once(
    farm: Farm, gate: Gate, status: int, code: str, said: str
) -> None:
    gate.before = lambda request, headers: s3_error(status, code)
    for ask in (
        lambda: farm.store("a").find(key_of(1)),
        lambda: farm.store("a").peek(key_of(1)),
        lambda: farm.store("a").make(key_of(1), never),
    ):
        begun = time.monotonic()
        with pytest.raises(StoreError, match=said) as caught:
            ask()
        assert time.monotonic() - begun < 5
        assert str(caught.value).startswith(f"{farm.url}: ")
        assert "\n" not in str(caught.value)


def test_no_bucket_and_no_keys_are_one_clear_line(
    farm: Farm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environ = {"TAKEBOARD_STORE_COPY": str(tmp_path)}
    with pytest.raises(StoreError, match="there is no such bucket"):
        ContentStore(local_root("s3://no-such-bucket/x", environ), "takes").find(key_of(1))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="there are no keys; check the keys in the environment"):
        ContentStore(local_root("s3://no-such-bucket/y", environ), "takes").find(key_of(1))


def test_a_full_disk_is_not_called_an_outage(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.store("a").make(key_of(1), write_two)
    objects = open_objects(farm.url)

    async def full(*args: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(objects._files, "_get_file", full)
    with pytest.raises(StoreError, match="no space left on this machine's disk; free some"):
        objects.download("takes/x", farm.folder / "x")


# Plans


def test_a_plan_s_thousand_looks_are_one_listing(farm: Farm, gate: Gate) -> None:
    for number in range(3):
        farm.store("a").make(key_of(number), write_two)
    store = farm.store("b")
    gate.requests.clear()
    seen = [number for number in range(1000) if store.peek(key_of(number))]
    assert seen == [0, 1, 2]
    assert len(gate.requests) == 1
    assert store.details_of(map(key_of, range(5))).keys() == {key_of(n) for n in range(3)}
    assert gate.count("GET", "/files/") == 0


def test_what_another_machine_publishes_is_seen_soon(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(media.shared_kind, "_LISTING_LASTS_S", 0.3)
    monkeypatch.setattr(media.shared_kind, "_LISTING_SHARE", 0.0)
    other = farm.store("b")
    assert not other.peek(key_of(1))
    farm.store("a").make(key_of(1), write_two)
    assert other.find(key_of(1)) is not None  # who reads looks at once
    farm.store("a").make(key_of(2), write_two)
    time.sleep(0.4)
    assert other.peek(key_of(2))


# Clearing


def test_removing_takes_the_manifest_first_and_leaves_no_object(farm: Farm, gate: Gate) -> None:
    store = farm.store("a")
    entry = store.make(key_of(1), write_two)
    assert store.size_bytes(key_of(1)) > 7000
    assert store.remove(key_of(1), used_before=1.0) is None
    gate.requests.clear()
    assert (store.remove(key_of(1), used_before=time.time() + 60) or 0) > 7000
    deleted = [one for one in gate.requests if one.startswith("DELETE")]
    assert "/manifests/" in deleted[0]
    assert farm.objects() == []
    assert not entry.folder.exists()
    assert farm.store("b").find(key_of(1)) is None


def test_orphan_uploads_are_litter_after_a_day(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    farm.store("a").make(key_of(1), write_two)
    for name in (f"files/{key_of(2)}/dead/picture.mp4", f"files/{key_of(1)}/dead/picture.mp4"):
        path = farm.bucket / "lighthouse" / "takes" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x" * 100)
        old = time.time() - 2 * 86_400
        os.utime(path, (old, old))
    young = farm.bucket / "lighthouse" / "takes" / "files" / key_of(3) / "under-way" / "picture.mp4"
    young.parent.mkdir(parents=True)
    young.write_bytes(b"x")
    assert farm.store("b").sweep() == 200
    assert young.exists()
    assert farm.objects("/dead/") == []
    assert farm.store("b").find(key_of(1)) is not None


def test_use_on_any_machine_counts(farm: Farm) -> None:
    farm.store("a").make(key_of(1), write_two)
    old = time.time() - 40 * 86_400
    for path in farm.bucket.rglob("*.json"):
        os.utime(path, (old, old))
    manifest = farm.store("a").entry_folder(key_of(1)) / MANIFEST
    for path in (manifest, manifest.parent):
        os.utime(path, (old, old))
    assert farm.store("b").last_used(key_of(1)) < time.time() - 30 * 86_400
    assert farm.store("a").find(key_of(1)) is not None  # notes its use, here and there
    store = farm.store("b")
    assert store._shared is not None
    assert store._shared.there.last_used(key_of(1)) > time.time() - 60
    assert store.remove(key_of(1), used_before=time.time() - 86_400) is None


# What many add to


def test_nothing_that_machines_add_at_once_is_lost(farm: Farm) -> None:
    index = SharedIndex(open_objects(farm.url), "history/x")

    def add(word: str) -> None:
        def text(known) -> bytes:  # type: ignore[no-untyped-def]
            words = {one for record in known for one in record.data.decode().split()}
            return " ".join(sorted(words | {word})).encode()

        index.add(text, is_readable=lambda record: True)

    threads = [threading.Thread(target=add, args=(f"w{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    add("last")
    words = {one for record in index.records() for one in record.data.decode().split()}
    assert words == {"last", *(f"w{number}" for number in range(8))}
    assert len(index.records()) == 1


# Keys


def test_keys_are_nowhere(
    farm: Farm, gate: Gate, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with caplog.at_level(logging.INFO):
        farm.store("a").make(key_of(1), write_two)
        farm.store("b").find(key_of(1))
        for status, code in ((403, "SignatureDoesNotMatch"), (500, "InternalError"), (418, "Tea")):
            gate.before = lambda request, headers, s=status, c=code: s3_error(s, c)  # type: ignore[misc]
            objects = open_objects(farm.url)
            with pytest.raises(StoreError) as caught:
                objects.read("x", Patience(0))
            said.append(repr(caught.value) + str(caught.value) + repr(caught.value.__cause__))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{KEY_ID}:{SECRET}@127.0.0.1:1")
        with pytest.raises(StoreError) as caught:
            open_objects(farm.url).read("x", Patience(0))
        said.append(repr(caught.value) + str(caught.value) + repr(caught.value.__cause__))
    said.append(caplog.text)
    files = [path for path in farm.folder.rglob("*") if path.is_file()]
    held = [path.read_bytes() for path in files] + list(objects_in(farm.bucket).values())
    names = [str(path) for path in files] + farm.objects()
    assert len(held) > 8
    for secret in (SECRET, KEY_ID):
        assert not any(secret.encode() in data for data in held)
        assert not any(secret in text for text in (*said, *names))


def test_the_environment_s_endpoint_is_used(farm: Farm) -> None:
    objects = shared_objects(farm.root("a"))
    assert objects is not None
    objects.write("hello", b"there")
    assert (farm.bucket / "lighthouse" / "hello").read_bytes() == b"there"
