"""Settings: read once, in the places where Prefect looks too, with errors in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.settings import read_settings, server_url
from media.errors import UsageError


def test_nothing_set_means_beside_the_storyboard_and_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = read_settings({"PREFECT_HOME": str(tmp_path)})
    assert settings.store is None
    assert settings.server_url == ""
    assert settings.jobs >= 1
    assert settings.store_for(tmp_path / "film.yaml") == tmp_path / ".takeboard"


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5", "9999"])
def test_a_wrong_number_of_jobs_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="TAKEBOARD_JOBS: expected a number from 1 to 256"):
        read_settings({"TAKEBOARD_JOBS": value})


def test_the_server_comes_from_the_environment_then_toml_then_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "farm"\n[profiles.farm]\nPREFECT_API_URL = "http://profile/api"\n'
        '[profiles.other]\nPREFECT_API_URL = "http://other/api"\n'
    )
    environ = {"PREFECT_HOME": str(home)}
    assert server_url(environ) == "http://profile/api"
    assert server_url(environ | {"PREFECT_PROFILE": "other"}) == "http://other/api"
    (tmp_path / "prefect.toml").write_text('[api]\nurl = "http://toml/api"\n')
    assert server_url(environ) == "http://toml/api"
    assert server_url(environ | {"PREFECT_API_URL": "http://env/api"}) == "http://env/api"


def test_a_broken_profile_is_left_to_prefect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "profiles.toml").write_text("active = [")
    assert server_url({"PREFECT_HOME": str(tmp_path)}) == ""
