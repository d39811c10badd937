"""Several machines make the entries of a store on object storage, and are killed at it."""

from __future__ import annotations

import random
import signal
import threading
import time
from pathlib import Path

import pytest

from media.errors import CancelledError, StoreError
from media.leases import LeaseTimes, hold_lease
from media.manifest import MANIFEST
from media.object_store import open_objects
from media.patience import Patience
from media.store import ContentStore
from tests.media.object_server import (
    Farm,
    Gate,
    ObjectServer,
    gate_before,
    s3_error,
)
from tests.media.shared_entries import after, key_of, never, start_maker, write_two


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
        hold_lease(objects, "leases/x", "me", Patience(5, after(0.5)), is_over=lambda: False),
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
        farm.store("b").make(key_of(1), never, should_stop=after(0.5))
    second = threading.Thread(target=farm.store("b").make, args=(key_of(1), never))
    second.start()
    time.sleep(0.3)
    go.set()
    first.join(20)
    second.join(20)
    assert (farm.store("b").entry_folder(key_of(1)) / MANIFEST).exists()


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
