"""A store on object storage whose objects, or answers, are damaged."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from media.errors import StoreError
from media.manifest import MANIFEST
from tests.media.object_server import (
    Farm,
    Gate,
)
from tests.media.shared_entries import key_of, write_two


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
