"""A store on object storage: the guarantees of a folder, over a real S3-speaking server."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from pathlib import Path

import pytest

import media.object_store
import media.shared_kind
from media.errors import RenderError, StoreError, UsageError
from media.manifest import MANIFEST
from media.object_store import open_objects
from media.patience import Patience, read_patience
from media.shared_index import SharedIndex
from media.shared_store import BINDING, address_of, local_root, shared_objects
from media.store import ContentStore
from tests.media.object_server import (
    KEY_ID,
    SECRET,
    Farm,
    Gate,
    objects_in,
    s3_error,
)
from tests.media.shared_entries import key_of, never, write_two


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
