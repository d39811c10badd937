"""Paths in a run's parameters end up inside a root, or the run is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from socket import gethostname

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.commands import Choice
from flows.farm.confine import confined_options, confined_store, load_confined
from flows.farm.roots import chosen_roots, read_roots, require_inside_roots, require_store
from media.errors import UsageError
from media.shared_store import BINDING, local_root

FILM = """
version: 1
project: {code: TIN, title: The Tin, fps: 24, size: 160x90}
defaults: {backend: animatic}
scenes:
  - id: sc010
    slugline: EXT. BEACH - DAY
    shots: [{id: sh0010, size: LS, duration: 12f, action: A tin rolls.}]
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "films"
    (root / "tin").mkdir(parents=True)
    (root / "tin" / "film.yaml").write_text(FILM)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "film.yaml").write_text(FILM)
    monkeypatch.setenv("TAKEBOARD_ROOTS", str(root))
    monkeypatch.delenv("TAKEBOARD_STORE", raising=False)
    return root


def test_a_path_inside_is_returned_with_links_followed(root: Path) -> None:
    (root / "link").symlink_to(root / "tin")
    asked = root / "tin" / ".." / "link" / "film.yaml"
    assert require_inside_roots(asked, [root], "storyboard") == root / "tin" / "film.yaml"
    assert require_inside_roots(root, [root], "folder") == root


@pytest.mark.parametrize(
    "escape",
    ["../secret/film.yaml", "tin/../../secret", "away/film.yaml", "/etc/passwd", "\0"],
)
def test_a_path_that_leads_out_is_refused_in_one_line(root: Path, escape: str) -> None:
    (root / "away").symlink_to(root.parent / "secret")
    with pytest.raises(UsageError) as refused:
        require_inside_roots(root / escape, [root], "storyboard")
    assert "\n" not in str(refused.value)


def test_a_folder_whose_name_begins_like_a_root_is_outside(root: Path) -> None:
    beside = root.with_name("films-of-others")
    beside.mkdir()
    with pytest.raises(UsageError, match="outside this worker's roots"):
        require_inside_roots(beside, [root], "store")


def test_a_storyboard_that_is_only_on_the_other_machine_is_said_to_be(root: Path) -> None:
    with pytest.raises(UsageError, match=f"{gethostname()}, which makes films, has no such"):
        load_confined(Choice(root / "tin" / "other.yaml"))


@given(parts=st.lists(st.sampled_from(["..", ".", "tin", "a b", "é", "..."]), max_size=8))
def test_what_is_allowed_is_inside(parts: list[str]) -> None:
    root = Path("/nowhere/films")
    path = root.joinpath(*parts)
    inside = Path(os.path.normpath(path)).is_relative_to(root)
    try:
        assert require_inside_roots(path, [root], "storyboard").is_relative_to(root)
        assert inside
    except UsageError:
        assert not inside


def test_roots_are_those_typed_else_the_environment_else_here(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen_roots([tmp_path / "secret"]) == (tmp_path / "secret",)
    assert chosen_roots(None) == (root,)
    assert read_roots({"TAKEBOARD_ROOTS": f"{root}{os.pathsep}{tmp_path}"}) == (root, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert chosen_roots(None, {}) == (tmp_path,)
    with pytest.raises(UsageError, match="no folder"):
        chosen_roots([tmp_path / "missing"])


def test_a_store_is_the_workers_own_or_inside_a_root(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "takes"
    assert require_store(str(own), [root], own) == own
    assert require_store(str(root / "takes"), [root], own) == root / "takes"
    for other in (str(tmp_path / "secret"), f"{own}/../secret", "s3://others/films"):
        with pytest.raises(UsageError, match="store"):
            require_store(other, [root], own)


def test_an_object_store_is_only_the_workers_own(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TAKEBOARD_STORE_COPY", str(tmp_path / "copies"))
    monkeypatch.setenv("TAKEBOARD_STORE", "memory://films/ours")
    assert confined_store("memory://films/ours") == local_root("memory://films/ours")
    for other in ("memory://films/others", "memory://films/ours/../others", "memory://films"):
        with pytest.raises(UsageError, match="not this worker's"):
            confined_store(other)
    bound = root / "tin" / ".takeboard"
    bound.mkdir()
    facts = {"version": 1, "url": "memory://films/others", "copy": "one"}
    (bound / BINDING).write_text(json.dumps(facts))
    with pytest.raises(UsageError, match="not this worker's"):
        confined_store(str(bound))


def test_a_film_outside_is_not_even_read(root: Path, tmp_path: Path) -> None:
    assert load_confined(Choice(root / "tin" / "film.yaml")).title == "The Tin"
    with pytest.raises(UsageError, match="the storyboard is outside this worker's roots"):
        load_confined(Choice(tmp_path / "secret" / "film.yaml"))


@pytest.mark.parametrize("folder", ["deliveries", ".takeboard"])
def test_a_link_beside_the_storyboard_does_not_lead_a_run_out(
    root: Path, tmp_path: Path, folder: str
) -> None:
    choice = Choice(root / "tin" / "film.yaml")
    film = load_confined(choice)
    options = confined_options(choice, film)
    assert options.out == root / "tin" / "deliveries" / "TIN"
    assert options.store == root / "tin" / ".takeboard"
    (root / "tin" / folder).symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match="outside this worker's roots"):
        confined_options(choice, film)


def test_without_roots_nothing_is_confined(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TAKEBOARD_ROOTS")
    choice = Choice(tmp_path / "secret" / "film.yaml", out=Path("/elsewhere"))
    assert confined_options(choice, load_confined(choice)).out == Path("/elsewhere")
    assert confined_store(str(tmp_path)) == tmp_path
