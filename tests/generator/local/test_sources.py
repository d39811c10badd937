"""Where models are found, what is said when they are not, and which ones they are."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from generator.local.settings import ModelSettings, PartSettings
from generator.local.sources import Need, find_sources, identity_of, what_is_missing
from media.errors import RefusalError, RenderError

NEEDS = (
    Need("main", ("transformer", "model_index.json"), 44.5, "tiny-1.0", "see hub/tiny"),
    Need("sheet", ("*.safetensors",), 1.2, "tiny-1.0", "see hub/sheet", optional=True),
)
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "tiny")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no way to the hub."""
    import huggingface_hub
    from huggingface_hub import constants

    real = huggingface_hub.snapshot_download

    def offline(*args: Any, local_files_only: bool = False, **options: Any) -> str:
        assert local_files_only, "asked the hub"
        return str(real(*args, local_files_only=True, **options))

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    return tmp_path / "hub"


def written(folder: Path) -> Path:
    (folder / "transformer").mkdir(parents=True)
    (folder / "transformer" / "weights.safetensors").write_bytes(bytes(range(256)) * 2000)
    (folder / "model_index.json").write_text("{}")
    return folder


def model_at(source: object, **more: Any) -> ModelSettings:
    return ModelSettings(source=str(source), **more)


def test_a_folder_is_found(folder: Path) -> None:
    assert what_is_missing(model_at(folder), NEEDS) == ""
    sources = find_sources(model_at(folder), NEEDS)
    assert (sources.main, dict(sources.parts)) == (str(folder), {})


def test_what_is_missing_is_named_with_size_licence_and_place(folder: Path) -> None:
    (folder / "model_index.json").unlink()
    said = what_is_missing(model_at(folder), NEEDS)
    for words in (
        "the model lacks model_index.json in",
        str(folder),
        "44.5 GB",
        "tiny-1.0",
        "hub/tiny",
    ):
        assert words in said
    with pytest.raises(RefusalError, match="lacks model_index"):
        find_sources(model_at(folder), NEEDS)


def test_a_model_that_nobody_configured() -> None:
    assert "the model is not in the models file" in what_is_missing(ModelSettings(), NEEDS)
    assert "is not at /nowhere" in what_is_missing(model_at("/nowhere"), NEEDS)


def test_a_shard_that_an_index_names_is_missed(folder: Path) -> None:
    index = {"weight_map": {"a": "weights.safetensors", "b": "more.safetensors"}}
    (folder / "transformer" / "weights.safetensors.index.json").write_text(json.dumps(index))
    assert "lacks transformer/more.safetensors in" in what_is_missing(model_at(folder), NEEDS)


@pytest.mark.parametrize("revision", ["", "main", "v1.0", COMMIT[:12]])
def test_a_hub_id_without_a_commit_is_refused(revision: str) -> None:
    said = what_is_missing(model_at("hub/tiny", revision=revision, download=True), NEEDS)
    assert "without a pinned revision: expected a commit of 40 hexadecimal digits" in said


def test_a_hub_id_is_found_in_the_local_cache(hub: Path) -> None:
    model = model_at("maker/tiny", revision=COMMIT)
    said = what_is_missing(model, NEEDS)
    assert "is not in the local hub cache as maker/tiny@0123456789ab" in said
    assert "download = true" in said
    snapshot = written(hub / "models--maker--tiny" / "snapshots" / COMMIT)
    assert what_is_missing(model, NEEDS) == ""
    assert find_sources(model, NEEDS).main == str(snapshot)
    (snapshot / "model_index.json").unlink()
    assert "lacks model_index.json" in what_is_missing(model, NEEDS)


def test_planning_never_asks_the_hub(hub: Path) -> None:
    model = model_at("maker/tiny", revision=COMMIT, download=True)
    assert what_is_missing(model, NEEDS) == ""
    assert identity_of(model, NEEDS)


def test_rendering_fetches_what_is_needed_and_no_more(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    asked: list[dict[str, Any]] = []

    def fetch(source: str, *, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            raise OSError("not cached")
        asked.append(options)
        return str(written(hub / "fetched"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    model = model_at("maker/tiny", revision=COMMIT, download=True)
    assert find_sources(model, NEEDS).main == str(hub / "fetched")
    assert asked[0]["revision"] == COMMIT
    assert set(asked[0]["allow_patterns"]) >= {"transformer/*", "model_index.json"}
    assert "*" not in asked[0]["allow_patterns"]


def test_a_fetch_that_fails_says_what_was_to_come(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub

    def fetch(*_: Any, **__: Any) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fetch)
    model = model_at("maker/tiny", revision=COMMIT, download=True)
    with pytest.raises(RenderError, match=r"cannot fetch maker/tiny@.*44.5 GB.*no route"):
        find_sources(model, NEEDS)


def test_a_part_is_a_file_by_its_name_or_its_path(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "loras" / "sheet.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"a" * 10)
    by_name = {"sheet": {"source": str(file.parent), "weight_name": "sheet.safetensors"}}
    by_path = {"sheet": {"source": str(file)}}
    found = [model_at(folder, parts=parts) for parts in (by_name, by_path)]
    assert [find_sources(model, NEEDS).parts["sheet"] for model in found] == [str(file)] * 2
    assert identity_of(found[0], NEEDS) == identity_of(found[1], NEEDS)
    gone = {"sheet": {"source": str(file.parent), "weight_name": "other.safetensors"}}
    assert "sheet lacks other" in what_is_missing(model_at(folder, parts=gone), NEEDS)
    # A neighbour in a folder of many adapters changes nothing.
    before = identity_of(found[0], NEEDS)
    (file.parent / "neighbour.safetensors").write_bytes(b"b")
    assert identity_of(found[0], NEEDS) == before


def test_the_same_weights_have_one_identity_wherever_they_lie(folder: Path, tmp_path: Path) -> None:
    copy = written(tmp_path / "elsewhere")
    (copy / "README.md").write_text("words")
    (copy / ".cache").mkdir()
    (copy / ".cache" / "lock").write_text("1")
    assert identity_of(model_at(folder), NEEDS) == identity_of(model_at(copy), NEEDS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model_index.json", b"{ }"),
        ("transformer/config.json", b"{}"),
        ("transformer/weights.safetensors", bytes(range(256)) * 1000 + bytes(256) * 1000),
    ],
)
def test_other_weights_or_settings_are_another_model(
    folder: Path, name: str, content: bytes
) -> None:
    before = identity_of(model_at(folder), NEEDS)
    (folder / name).write_bytes(content)
    os.utime(folder / name, (1, 1))
    assert identity_of(model_at(folder), NEEDS) != before


def test_a_revision_and_a_part_are_in_the_identity(folder: Path, tmp_path: Path) -> None:
    one = identity_of(model_at("maker/tiny", revision=COMMIT), NEEDS)
    two = identity_of(model_at("maker/tiny", revision=COMMIT[::-1]), NEEDS)
    with_part = ModelSettings(
        source="maker/tiny",
        revision=COMMIT,
        parts={"sheet": {"source": "maker/sheet", "revision": COMMIT}},
    )
    assert len({one, two, identity_of(with_part, NEEDS)}) == 3


def test_asking_again_reads_no_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity_of(model_at(folder), NEEDS)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("read again"))
    assert identity_of(model_at(folder), NEEDS) == before


def test_a_part_that_the_model_would_not_read_is_refused(folder: Path) -> None:
    parts = {"shet": PartSettings(source=str(folder))}
    assert what_is_missing(model_at(folder, parts=parts), NEEDS) == (
        'part shet: expected one of sheet with this model, did you mean "sheet"?'
    )
