"""An object store that is away, refuses, or says nothing."""

from __future__ import annotations

import logging
import os
import threading
import time
from pathlib import Path

import pytest

import media.object_store
import media.shared_kind
from media.errors import CancelledError, StoreError
from media.object_store import open_objects
from media.patience import Patience, patient
from media.shared_store import local_root
from media.store import ContentStore
from tests.media.object_server import (
    Answer,
    Farm,
    Gate,
    forget_connections,
    s3_error,
)
from tests.media.shared_entries import after, key_of, never, write_two


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
        farm.store("a").make(key_of(1), never, should_stop=after(0.5))
    assert time.monotonic() - begun < 5


def test_a_look_for_an_entry_can_be_stopped_and_cut_short(farm: Farm, gate: Gate) -> None:
    gate.before = lambda request, headers: s3_error(503, "SlowDown")
    store = farm.store("a")
    for look in (store.find, store.peek, store.last_used):
        begun = time.monotonic()
        with pytest.raises(CancelledError), patient(after(0.3)):
            look(key_of(1))
        with pytest.raises(StoreError, match="SlowDown"), patient(lambda: False, 0.3):
            look(key_of(1))
        with pytest.raises(CancelledError), patient(after(0.3)), patient(lambda: False, 100):
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
